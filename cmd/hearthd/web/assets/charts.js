// Small charts of the last minutes, drawn anew when there is something new.

// Colors of the theme are looked up once: each look makes the browser settle styles.
const colors = new Map();
export const color = (name) => {
  if (!colors.has(name)) colors.set(name, getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim());
  return colors.get(name);
};

// recolor is for another theme.
export const recolor = () => colors.clear();

const points = 180;

// fit gives the canvas as many pixels as the screen has for it.
const fit = (canvas, width, height) => {
  const ratio = window.devicePixelRatio || 1;
  const w = Math.round(width * ratio), h = Math.round(height * ratio);
  if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  return ctx;
};

// Chart keeps series of one name and color each. With stack they lie on each other
// as shares of their sum, with log the scale is logarithmic.
export class Chart {
  constructor(id, series, { stack = false, log = false, unit }) {
    Object.assign(this, { canvas: document.getElementById(id), series, stack, log, unit, rows: [] });
    this.values = series.map(([name, tone]) => legend(id + "Legend", name, tone));
    new ResizeObserver(([{ contentRect: { width, height } }]) => {
      Object.assign(this, { width, height });
      this.draw();
    }).observe(this.canvas);
  }

  // push adds a row, in the order of the series; null is a gap.
  push(row, texts = row.map((v) => (v === null ? "–" : this.unit(v)))) {
    this.rows.push(row);
    if (this.rows.length > points) this.rows.shift();
    texts.forEach((text, i) => setText(this.values[i], text));
  }

  draw() {
    const { width, height } = this;
    if (!width) return; // not laid out yet
    const ctx = fit(this.canvas, width, height);
    ctx.clearRect(0, 0, width, height);
    const x = (i) => width - (this.rows.length - 1 - i) * (width / (points - 1));
    if (this.stack) return this.drawStack(ctx, x, height);
    this.drawLines(ctx, x, width, height);
  }

  drawStack(ctx, x, height) {
    const below = this.rows.map(() => 0);
    this.series.forEach(([, tone], k) => {
      const from = below.slice();
      this.rows.forEach((row, i) => { below[i] += row[k] || 0; });
      ctx.fillStyle = color(tone);
      ctx.beginPath();
      this.rows.forEach((_, i) => ctx.lineTo(x(i), height - height * from[i]));
      for (let i = this.rows.length - 1; i >= 0; i--) ctx.lineTo(x(i), height - height * below[i]);
      ctx.fill();
    });
  }

  drawLines(ctx, x, width, height) {
    const all = this.rows.flat().filter((v) => v !== null);
    const top = 14, most = Math.max(...all, 1), least = this.log ? Math.max(1, Math.min(...all.filter((v) => v > 0), most)) / 2 : 0;
    const scale = this.log ? (v) => Math.log(Math.max(v, least) / least) / Math.log(most / least) : (v) => v / most;
    const y = (v) => height - 2 - (height - 2 - top) * scale(v);
    ctx.strokeStyle = color("line");
    ctx.fillStyle = color("quiet");
    ctx.font = "11px system-ui, sans-serif";
    ctx.lineWidth = 1;
    for (const v of this.log ? [most, Math.sqrt(most * least)] : [most, most / 2]) {
      ctx.beginPath(); ctx.moveTo(0, y(v)); ctx.lineTo(width, y(v)); ctx.stroke();
      ctx.fillText(this.unit(v), 0, y(v) - 3);
    }
    this.series.forEach(([, tone], k) => {
      ctx.strokeStyle = color(tone);
      ctx.lineWidth = 1.75;
      ctx.lineJoin = "round";
      ctx.beginPath();
      let pen = false;
      this.rows.forEach((row, i) => {
        if (row[k] === null) { pen = false; return; }
        pen ? ctx.lineTo(x(i), y(row[k])) : ctx.moveTo(x(i), y(row[k]));
        pen = true;
      });
      ctx.stroke();
    });
  }
}

export const setText = (element, text) => { if (element.textContent !== text) element.textContent = text; };

// legend adds an entry to a list and returns the place of its value.
export const legend = (list, name, tone) => {
  const item = document.createElement("li"), dot = document.createElement("i"), value = document.createElement("b");
  dot.style.setProperty("background", `var(--${tone})`);
  item.append(dot, name + " ", value);
  document.getElementById(list).append(item);
  return value;
};

// rows fills a description list with names and values.
export const rows = (id, pairs) => {
  const list = typeof id === "string" ? document.getElementById(id) : id;
  pairs.forEach(([name, value], i) => {
    if (!list.children[2 * i]) list.append(document.createElement("dt"), document.createElement("dd"));
    setText(list.children[2 * i], name);
    setText(list.children[2 * i + 1], value);
  });
  while (list.children.length > 2 * pairs.length) list.lastChild.remove();
};
