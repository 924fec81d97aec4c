// The pages of the flash tier, a cell each. A picture has one pixel for each page, of
// which only those that changed are written; it is drawn enlarged, with lines between.
import { color, fit, legend, rows, setText } from "./charts.js";
import { bytes, count, percent, span } from "./units.js";

const states = ["free", "being written", "sealed", "draining", "retired"];
const buckets = ["default", "compact", "low TTL", "chunked", "cold compact", "old"];
const shades = 16, SEALED = 2;
// Fields of a page as events have them.
const [ID, STATE, BUCKET, OBJECTS, BYTES, FAULTS, VERSION, CREATED] = [0, 1, 2, 3, 4, 5, 6, 7];

export class PageMap {
  constructor() {
    this.canvas = document.getElementById("map");
    this.details = document.getElementById("details");
    this.pages = [];
    this.chosen = -1;
    this.canvas.addEventListener("click", (e) => this.choose(this.at(e.offsetX, e.offsetY)));
    this.canvas.addEventListener("keydown", (e) => this.key(e));
    for (const [name, tone] of [["free", "free"], ["mostly dead", "miss"], ["live", "flashed"], ["being written", "good"], ["draining", "hot"], ["retired", "bad"]]) {
      legend("mapLegend", name, tone);
    }
    this.tones();
  }

  // tones are the colors of cells as pixels have them: from mostly dead to live in
  // steps, then those of the other states.
  tones() {
    const rgb = (name) => {
      const n = parseInt(color(name).slice(1).replace(/^(.)(.)(.)$/, "$1$1$2$2$3$3"), 16);
      return [n >> 16, (n >> 8) & 255, n & 255];
    };
    const pixel = ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
    const dead = rgb("miss"), live = rgb("flashed");
    this.live = Array.from({ length: shades }, (_, i) => pixel(dead.map((d, k) => Math.round(d + ((live[k] - d) * i) / (shades - 1)))));
    this.others = ["free", "good", "", "hot", "bad"].map((name) => (name ? pixel(rgb(name)) : 0));
    this.mark = color("text");
    this.back = color("panel");
  }

  toneOf(page) {
    if (page[STATE] !== SEALED) return this.others[page[STATE]];
    return this.live[Math.round(Math.min(1, page[BYTES] / this.pageSize) * (shades - 1))];
  }

  // layout chooses the size of cells, which all fit the width.
  layout() {
    const width = this.canvas.parentElement.clientWidth, n = this.pages.length;
    this.size = Math.max(5, Math.min(26, Math.floor(Math.sqrt((width * 260) / Math.max(n, 1)))));
    this.columns = Math.max(1, Math.floor(width / this.size));
    this.lines = Math.ceil(n / this.columns);
    const height = this.lines * this.size;
    this.canvas.style.width = width + "px";
    this.canvas.style.height = height + "px";
    this.ctx = fit(this.canvas, width, height);
    this.small = Object.assign(document.createElement("canvas"), { width: this.columns, height: Math.max(1, this.lines) });
    this.image = this.small.getContext("2d").createImageData(this.small.width, this.small.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
  }

  update(flash) {
    this.pageSize = flash.pageSize;
    if (this.pages.length !== flash.pages) {
      this.pages = Array.from({ length: flash.pages }, (_, i) => [i, 0, 0, 0, 0, 0, 0, 0]);
      this.layout();
      for (const page of this.pages) this.pixels[page[ID]] = this.toneOf(page);
    }
    for (const page of flash.changed) this.pages[page[ID]] = page;
    this.draw(flash.changed);
    if (this.chosen >= 0) this.show();
    setText(document.getElementById("mapText"), `${flash.pages.toLocaleString("en")} pages of ${bytes(flash.pageSize)}, ${percent(flash.live / flash.size)} live`);
  }

  draw(pages) {
    for (const page of pages) this.pixels[page[ID]] = this.toneOf(page);
    const { ctx, size, columns, lines } = this, width = columns * size, height = lines * size;
    this.small.getContext("2d").putImageData(this.image, 0, 0);
    ctx.imageSmoothingEnabled = false;
    ctx.clearRect(0, 0, width, height);
    ctx.drawImage(this.small, 0, 0, width, height);
    ctx.fillStyle = this.back;
    const gap = size > 7 ? 2 : 1;
    for (let i = 1; i <= columns; i++) ctx.fillRect(i * size - gap, 0, gap, height);
    for (let i = 1; i <= lines; i++) ctx.fillRect(0, i * size - gap, width, gap);
    if (!this.pages[this.chosen]) return;
    ctx.strokeStyle = this.mark;
    ctx.lineWidth = 2;
    ctx.strokeRect((this.chosen % columns) * size, Math.floor(this.chosen / columns) * size, size - gap, size - gap);
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
    this.draw([]);
    this.show();
  }

  show() {
    const page = this.pages[this.chosen];
    let list = this.details.querySelector("dl");
    if (!list) {
      list = document.createElement("dl");
      list.className = "rows";
      this.details.replaceChildren(document.createElement("h3"), list);
    }
    setText(this.details.firstChild, `Page ${page[ID]}`);
    const free = page[STATE] === 0;
    rows(list, [
      ["state", states[page[STATE]]],
      ["version", free ? "–" : String(page[VERSION])],
      ["bucket", free ? "–" : buckets[page[BUCKET]] ?? String(page[BUCKET])],
      ["live records", count(page[OBJECTS])],
      ["live", `${bytes(page[BYTES])}, ${percent(page[BYTES] / this.pageSize)}`],
      ["faults", String(page[FAULTS])],
      ["age", free ? "–" : span(Math.max(0, Math.floor(Date.now() / 1000) - page[CREATED]))],
    ]);
  }

  // repaint is for another theme or width.
  repaint() {
    if (!this.ctx) return;
    this.tones();
    this.layout();
    this.draw(this.pages);
  }
}
