"""What every chart keeps to, asked in the page itself: words, the same figures as a table, not colour alone."""

from __future__ import annotations

# Gives the faults of all charts of a page, a line each.
CHARTS = r"""
const PAPER = [1, 3, 5].map((at) => parseInt(plain("--paper").slice(at, at + 2), 16));
const decimal = (1.5).toLocaleString(document.documentElement.lang).charAt(1);
const faults = [];

function plain(name) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return pen.fillStyle;
}
function luminance(rgb) {
  const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(a, b) {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}
function painted(style) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const pen = tile.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = style;
  pen.fillRect(0, 0, 8, 8);
  const bytes = pen.getImageData(0, 0, 8, 8).data;
  return [...Array(64).keys()].map((i) => [...bytes.slice(4 * i, 4 * i + 4)]);
}
function tone(pixels) {  // the commonest of a tile, or of a plain colour
  const counts = new Map();
  for (const pixel of pixels) counts.set(String(pixel), (counts.get(String(pixel)) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0][0].split(",").map(Number);
}
function shape(dataset) {  // what is left of its look without colour
  if ((dataset.type ?? "bar") === "line") {
    const { borderDash = [], borderWidth, pointStyle = "", stepped = "" } = dataset;
    return `line ${JSON.stringify(borderDash)} ${borderWidth} ${pointStyle} ${stepped}`;
  }
  const pixels = painted(dataset.backgroundColor);
  const base = String(tone(pixels));
  return `bar ${pixels.map((pixel) => (String(pixel) === base ? 0 : 1)).join("")}`;
}
function numberOf(text) {
  const found = text.replace(/[\s\u00a0\u202f]/g, "").match(/^[-−]?[0-9.,]+/);
  if (!found) return null;
  const figures = found[0].replace("−", "-");
  return { value: Number(decimal === "," ? figures.replaceAll(".", "").replace(",", ".") : figures.replaceAll(",", "")),
           step: 10 ** -(figures.split(decimal)[1] ?? "").length };
}
function words(ids) {
  return (ids ?? "").split(" ").map((id) => document.getElementById(id)?.textContent.trim() ?? "").join(" ").trim();
}
function check(canvas) {
  const say = (fault) => faults.push(`${canvas.id}: ${fault}`);
  const figure = canvas.closest("figure.chart");
  if (!figure) return say("stands in no figure.chart");
  if (!figure.querySelector("figcaption")?.textContent.trim()) say("has no caption");
  if (canvas.getAttribute("role") !== "img" || !words(canvas.getAttribute("aria-labelledby"))) say("has no name");
  if (words(canvas.getAttribute("aria-describedby")).length < 20) say("has no sentence");
  const chart = window.Chart.getChart(canvas);
  if (window.Chart.defaults.animation !== false || chart.options.animation) say("moves");
  const table = document.getElementById(canvas.getAttribute("aria-details")) ?? figure.querySelector("table");
  const cells = [...(table?.querySelectorAll("td") ?? [])].map((cell) => numberOf(cell.textContent)).filter(Boolean);
  if (!cells.length) say("has no table of figures");
  const looks = new Map();
  for (const dataset of chart.data.datasets) {
    if (!dataset.label) continue;
    const line = (dataset.type ?? chart.config.type) === "line";
    const look = shape({ ...dataset, type: line ? "line" : "bar" });
    const { label, group } = dataset;
    const same = looks.get(look);
    if (same !== undefined && same !== group) say(`${label} differs from ${same} by its colour only`);
    looks.set(look, group);
    const rgba = tone(painted(line ? dataset.borderColor : dataset.backgroundColor));
    const visible = line ? dataset.borderWidth > 0 : true;
    if (visible && rgba[3] === 255 && contrast(rgba.slice(0, 3), PAPER) < 3) say(`${label} is too pale: ${rgba}`);
    if (!["mean", undefined].includes(dataset.role)) continue;
    const values = dataset.data.map((v) => v?.y ?? v).filter((v) => typeof v === "number" && v > 0);
    const at = (share) => values[Math.floor(share * values.length)];
    const some = [0, 0.31, 0.5, 0.77, 0.999].map(at).filter((v) => v !== undefined);
    for (const value of some) {
      if (!cells.some(({ value: shown, step }) => Math.abs(shown - value) <= Math.max(0.0051 * value, 0.51 * step)))
        say(`${dataset.label}: ${value} is not in the table`);
    }
  }
}
document.querySelectorAll(".plot canvas").forEach(check);
return faults;
"""
