// Numbers as people read them.

const steps = (n, base, units) => {
  let i = 0;
  while (Math.abs(n) >= base && i < units.length - 1) { n /= base; i++; }
  return [n >= 100 || (i === 0 && Number.isInteger(n)) ? n.toFixed(0) : n.toPrecision(3), units[i]];
};

export const count = (n) => steps(n, 1000, ["", "k", "M", "G", "T"]).join(" ").trim();
export const bytes = (n) => steps(n, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]).join(" ");
export const percent = (x) => (100 * x).toFixed(x > 0.9995 || x < 0.0005 ? 0 : 1) + " %";
export const micros = (us) => steps(us, 1000, ["µs", "ms", "s"]).join(" ");

export const span = (seconds) => {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const i = parts.findIndex(([size], at) => seconds >= size || at === parts.length - 1);
  const [size, unit] = parts[i], whole = Math.floor(seconds / size), rest = seconds - whole * size;
  const next = parts[i + 1];
  return `${whole} ${unit}` + (next && rest >= next[0] ? ` ${Math.floor(rest / next[0])} ${next[1]}` : "");
};
