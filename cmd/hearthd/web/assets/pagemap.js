// The pages of the flash tier, a cell each. The canvas has one pixel for each page; the
// style sheet enlarges it and lays the lines between the cells over it.
import { color, legend, rows, setText } from "./charts.js";
import { bytes, count, percent, span } from "./units.js";

const SHADES = 16, FULL = 255; // of sealed pages; of colors

export class PageMap {
  constructor() {
    this.cells = document.getElementById("cells");
    this.canvas = document.getElementById("map");
    this.ring = document.getElementById("chosen");
    this.details = document.getElementById("details");
    this.pages = ""; // a character each, see cells in pages.go
    this.chosen = -1;
    this.canvas.addEventListener("click", (e) => this.choose(this.at(e.offsetX, e.offsetY)));
    this.canvas.addEventListener("keydown", (e) => this.key(e));
    for (const [name, tone] of [["free", "free"], ["mostly dead", "miss"], ["live", "flashed"], ["being written", "good"], ["draining", "hot"], ["retired", "bad"]]) {
      legend("mapLegend", name, tone);
    }
    this.tones();
    new ResizeObserver(([{ contentRect: { width } }]) => {
      if (width === this.width) return; // its height follows from ours
      this.width = width;
      this.repaint();
    }).observe(this.cells.parentElement);
  }

  // tones are the colors of cells as pixels have them, by their characters: digits
  // are states, letters are how much of a sealed page lives.
  tones() {
    const rgb = (name) => {
      const n = parseInt(color(name).slice(1).replace(/^(.)(.)(.)$/, "$1$1$2$2$3$3"), 16);
      return [n >> 16, (n >> 8) & FULL, n & FULL];
    };
    const pixel = ([r, g, b]) => ((FULL << 24) | (b << 16) | (g << 8) | r) >>> 0;
    const dead = rgb("miss"), live = rgb("flashed"), a = "a".charCodeAt(0);
    this.tone = new Uint32Array(128);
    for (const [digit, name] of Object.entries({ 0: "free", 1: "good", 3: "hot", 4: "bad" })) this.tone[digit.charCodeAt(0)] = pixel(rgb(name));
    for (let i = 0; i < SHADES; i++) this.tone[a + i] = pixel(dead.map((d, k) => Math.round(d + ((live[k] - d) * i) / (SHADES - 1))));
  }

  // layout chooses the size of cells, which all fit the width.
  layout() {
    const { width } = this, n = this.pages.length;
    this.size = Math.max(5, Math.min(26, Math.floor(Math.sqrt((width * 260) / n))));
    this.columns = Math.max(1, Math.floor(width / this.size));
    Object.assign(this.canvas, { width: this.columns, height: Math.ceil(n / this.columns) });
    this.cells.style.width = this.columns * this.size + "px";
    this.cells.style.height = this.canvas.height * this.size + "px";
    this.cells.style.setProperty("--cell", this.size + "px");
    this.cells.style.setProperty("--gap", (this.size > 7 ? 2 : 1) + "px");
    this.ctx = this.canvas.getContext("2d");
    this.image = this.ctx.createImageData(this.canvas.width, this.canvas.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.mark();
  }

  update(flash) {
    const { cells = this.pages } = flash, anew = cells.length !== this.pages.length;
    if (cells !== this.pages) {
      this.pages = cells;
      if (anew) this.repaint();
      else this.paint();
    }
    if (this.chosen >= 0) this.show();
    this.pageSize = flash.pageSize;
    setText(document.getElementById("mapText"), `${this.pages.length} pages of ${bytes(flash.pageSize)}, ${percent(flash.live / flash.size)} live`);
  }

  paint() {
    if (!this.ctx) return;
    for (let i = 0; i < this.pages.length; i++) this.pixels[i] = this.tone[this.pages.charCodeAt(i)];
    this.ctx.putImageData(this.image, 0, 0);
  }

  // mark shows which page is chosen.
  mark() {
    this.ring.hidden = !this.pages[this.chosen];
    if (this.ring.hidden) return;
    this.ring.style.left = (this.chosen % this.columns) * this.size + "px";
    this.ring.style.top = Math.floor(this.chosen / this.columns) * this.size + "px";
  }

  at(x, y) { return Math.min(Math.floor(x / this.size), this.columns - 1) + Math.floor(y / this.size) * this.columns; }

  key(e) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns, Enter: 0 };
    if (!(e.key in steps)) return;
    e.preventDefault();
    this.choose(Math.max(0, Math.min(this.pages.length - 1, Math.max(this.chosen, 0) + steps[e.key])));
  }

  choose(i) {
    if (!this.pages[i]) return;
    this.chosen = i;
    this.mark();
    this.show();
  }

  // show asks for the chosen page, as often as something may have changed.
  async show() {
    const id = this.chosen, answer = await fetch("page?id=" + id).catch(() => null);
    if (!answer?.ok || id !== this.chosen) return; // there is another answer to come
    const page = await answer.json();
    let list = this.details.querySelector("dl");
    if (!list) {
      list = document.createElement("dl");
      list.className = "rows";
      this.details.replaceChildren(document.createElement("h3"), list, document.createElement("code"));
    }
    setText(this.details.firstChild, `Page ${page.id}`);
    setText(this.details.lastChild, page.file);
    const has = (value, text = String) => (page.state === "free" ? "–" : text(value));
    rows(list, [
      ["state", page.state === "open" ? "being written" : page.state],
      ["version", has(page.version)],
      ["bucket", has(page.bucket)],
      ["live records", count(page.objects)],
      ["live", `${bytes(page.bytes)}, ${percent(page.bytes / this.pageSize)}`],
      ["faults", String(page.faults)],
      ["age", has(page.created, (t) => span(Math.max(0, Math.floor(Date.now() / 1000) - t)))],
    ]);
  }

  // repaint is for another width or number of pages, once both are known.
  repaint() {
    if (!this.width || !this.pages) return;
    this.layout();
    this.paint();
  }

  // recolor is for another theme.
  recolor() {
    this.tones();
    this.paint();
  }
}
