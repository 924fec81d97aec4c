// What the server tells once a second, shown.
import { Chart, legend, recolor, rows, setText } from "./charts.js";
import { PageMap } from "./pagemap.js";
import { bytes, count, micros, percent, span } from "./units.js";

const $ = (id) => document.getElementById(id);
const rate = (n) => count(n) + "/s";

const traffic = new Chart("traffic", [["gets", "b"], ["changes", "a"]], { unit: rate });
const tiers = new Chart("tiers", [["RAM", "ram"], ["hot copies", "hot"], ["flash", "flashed"], ["misses", "miss"]], { stack: true, unit: percent });
const latency = new Chart("latency", [["p50", "e"], ["p99", "b"], ["p99.9", "d"]], { log: true, unit: micros });
const uses = ["index", "segments", "hot copies", "write buffers", "read buffers", "catalog", "journal"].map((name, i) => {
  const part = document.createElement("i"), tone = "abcdefg"[i];
  part.style.setProperty("background", `var(--${tone})`);
  $("memory").append(part);
  return { name, part, value: legend("memoryLegend", name, tone) };
});
const map = new PageMap();

const sum = (list) => list.reduce((a, b) => a + b, 0);
const big = (id, text) => {
  const [number, ...unit] = text.split(" ");
  $(id).replaceChildren(number, Object.assign(document.createElement("small"), { textContent: unit.length ? " " + unit.join(" ") : "" }));
};

// since gives what counters grew by a second, from the event before.
const since = (now, before) => {
  const seconds = (now.now - before.now) / 1000;
  return (read) => {
    const a = read(now), b = read(before);
    return Array.isArray(a) ? a.map((v, i) => (v - b[i]) / seconds) : (a - b) / seconds;
  };
};

const showCache = (e, grew) => {
  const c = e.cache, hits = grew((x) => x.cache.hits), misses = grew((x) => x.cache.misses);
  const gets = sum(hits) + sum(misses), changes = grew((x) => x.cache.changes + x.cache.deletes);
  big("gets", rate(gets).replace("/s", " /s"));
  big("changes", rate(changes).replace("/s", " /s"));
  big("ratio", gets ? percent(sum(hits) / gets) : "–");
  big("items", count(c.items));
  big("conns", count(c.conns));
  traffic.push([gets, changes]);
  tiers.push(gets ? [...hits, sum(misses)].map((v) => v / gets) : [0, 0, 0, 0]);
  rows("misses", ["absent", "expired", "page reclaimed", "bad record"].map((name, i) => [name, rate(misses[i])]));
  setText($("memoryText"), `${bytes(sum(c.memory))} of ${bytes(c.limit)}`);
  uses.forEach(({ part, value }, i) => {
    part.style.width = (100 * c.memory[i]) / c.limit + "%";
    setText(value, bytes(c.memory[i]));
  });
  const room = [
    ["waits for room", rate(grew((x) => x.cache.backpressured))],
    ["time waited", micros(grew((x) => x.cache.backpressureUs)) + " a second"],
    ["evicted from RAM", rate(grew((x) => x.cache.evictions))],
    ["expired, dropped", rate(grew((x) => x.cache.expired))],
    ["network in", bytes(grew((x) => x.cache.bytesIn)) + "/s"],
    ["network out", bytes(grew((x) => x.cache.bytesOut)) + "/s"],
  ];
  if (e.flash) room.unshift(["pages reclaimed", rate(grew((x) => x.flash.reclaimed))]);
  rows("room", room);
};

const showFlash = (e, grew) => {
  const f = e.flash;
  latency.push(f.latency ?? [null, null, null]);
  big("p99", f.latency ? micros(f.latency[1]) : "–");
  rows("moves", [
    ["RAM to flash", rate(grew((x) => x.flash.demoted))],
    ["flash to hot copies", rate(grew((x) => x.flash.promoted))],
    ["rescued from reclaimed pages", rate(grew((x) => x.flash.rescued))],
    ["evicted with their page", rate(grew((x) => x.flash.evicted))],
    ["dropped, not written", rate(grew((x) => x.flash.dropped))],
    ["written", bytes(grew((x) => x.flash.written)) + "/s"],
  ]);
  rows("flash", [
    ["live", `${bytes(f.live)} of ${bytes(f.size)}`],
    ["items on flash", count(e.cache.flashItems)],
    ["reads", rate(grew((x) => x.flash.reads))],
    ["in flight", count(f.inFlight)],
    ["write amplification", f.amplified.toFixed(2)],
    ["journal, not folded", `${bytes(f.journal[0])} of ${bytes(f.journal[1])}`],
    ["catalog", bytes(f.catalog)],
    ["reads with faults", count(f.faults)],
    ["device", f.out ? "takes no writes" : "works"],
    ["engine", f.engine],
    ["recovered at the start", `${count(f.recovered)} in ${micros(f.took * 1000)}`],
  ]);
};

const showState = (e) => {
  $("state").dataset.state = e.status;
  setText($("state"), e.status);
  setText($("version"), e.version);
  setText($("uptime"), "up " + span(e.uptime));
  $("recovery").hidden = !e.recovery;
  $("main").hidden = !e.cache;
  for (const section of document.querySelectorAll(".flash")) section.hidden = !e.flash;
  if (e.recovery) {
    const { done, total } = e.recovery;
    $("recovered").value = total ? done / total : 0;
    setText($("recoveryText"), total ? `${count(done)} of ${count(total)} records, ${percent(done / total)}` : "");
  }
};

const frames = []; // milliseconds of script that the last steps took
const timed = (step) => {
  const begun = performance.now();
  step();
  frames.push(performance.now() - begun);
  if (frames.length > 600) frames.shift();
};

// A step of what there is to show is done in each frame, so that none is late.
const steps = [];
let frame = 0;
const next = () => {
  if (!steps.length) return;
  timed(steps.shift());
  frame = requestAnimationFrame(next);
};

let last = null;
const show = (text) => {
  while (steps.length) timed(steps.shift()); // of an event before
  timed(() => {
    const e = JSON.parse(text), before = last;
    last = e;
    steps.push(() => showState(e));
    if (e.flash) steps.push(() => map.update(e.flash));
    if (!e.cache || !before?.cache) return;
    const grew = since(e, before);
    steps.push(() => showCache(e, grew));
    if (e.flash) steps.push(() => showFlash(e, grew));
    for (const chart of e.flash ? [traffic, tiers, latency] : [traffic, tiers]) steps.push(() => chart.draw());
  });
  cancelAnimationFrame(frame); // or there are two chains
  frame = requestAnimationFrame(next);
};

// lost drops what is yet to be shown of a server that has gone.
const lost = () => {
  steps.length = 0;
  $("state").dataset.state = "lost";
  setText($("state"), "no connection");
  last = null;
};

// A hidden page asks for nothing.
let source = null;
const listen = () => {
  source?.close();
  source = null;
  if (document.hidden) return;
  last = null;
  source = new EventSource("events");
  source.onmessage = (message) => show(message.data);
  source.onerror = lost;
};
document.addEventListener("visibilitychange", listen);
listen();

const repaint = () => {
  recolor();
  map.recolor();
  for (const chart of [traffic, tiers, latency]) chart.draw();
};
$("theme").addEventListener("click", () => {
  const root = document.documentElement, dark = getComputedStyle(root).colorScheme === "dark";
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
  repaint();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);

// For tests, and for who wonders.
window.hearth = { frames, show, last: () => last, idle: () => !steps.length, quiet: () => source.close(), lost };
