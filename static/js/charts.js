// What the site's charts have in common: payload, colours of the style sheets, legend, patterns, gaps.

import { offerPng } from "./export_png.js";

const PATTERN_PX = 8;

export function payload(id) {
  const element = document.getElementById(`${id}-data`);
  return element ? JSON.parse(element.textContent) : null;
}

export function language() {
  return document.documentElement.lang;
}

// A colour of the style sheets, as #rrggbb: also where the reader's system names it ("CanvasText").
export function colour(name) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  return pen.fillStyle;
}

export function seriesColour(index) {
  return colour(`series-${(index % 6) + 1}`);
}

export function faded(hex, share) {
  const channels = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return `rgba(${channels.join(", ")}, ${share})`;
}

// A fill that differs by more than its colour: plain, then stripes and dots of the paper's colour.
export function fill(index) {
  const base = seriesColour(index);
  if (index % 6 === 0) return base;
  const tile = document.createElement("canvas");
  tile.width = tile.height = PATTERN_PX;
  const pen = tile.getContext("2d");
  pen.fillStyle = base;
  pen.fillRect(0, 0, PATTERN_PX, PATTERN_PX);
  pen.strokeStyle = pen.fillStyle = faded(colour("paper"), 0.5);
  pen.lineWidth = 1.5;
  MOTIFS[index % 6](pen);
  return pen.createPattern(tile, "repeat");
}

const MOTIFS = {
  1: (pen) => line(pen, [[-2, 2, 2, -2], [0, 8, 8, 0], [6, 10, 10, 6]]),
  2: (pen) => dot(pen, 4, 4, 1.5),
  3: (pen) => line(pen, [[0, 4, 8, 4]]),
  4: (pen) => line(pen, [[-2, 6, 2, 10], [0, 0, 8, 8], [6, -2, 10, 2]]),
  5: (pen) => line(pen, [[4, 0, 4, 8]]),
};

function line(pen, segments) {
  pen.beginPath();
  for (const [x0, y0, x1, y1] of segments) {
    pen.moveTo(x0, y0);
    pen.lineTo(x1, y1);
  }
  pen.stroke();
}

function dot(pen, x, y, radius) {
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fill();
}

export function setDefaults() {
  const { defaults } = window.Chart;
  defaults.animation = false;
  defaults.responsive = true;
  defaults.maintainAspectRatio = false;
  defaults.font.family = getComputedStyle(document.body).fontFamily;
  defaults.font.size = 12.5;
  defaults.color = colour("muted");
  defaults.borderColor = colour("line");
  defaults.plugins.legend.display = false;
  Object.assign(defaults.plugins.tooltip, {
    backgroundColor: colour("ink"),
    titleColor: colour("paper"),
    bodyColor: colour("paper"),
    footerColor: colour("paper"),
    footerFont: { weight: "normal" },
    padding: 10,
    cornerRadius: 6,
    boxPadding: 4,
  });
}

const REDRAWN_FOR = ["(prefers-color-scheme: dark)", "(forced-colors: active)", "print"];

// Draw now, and anew when the colours change: those of the reader's system, or those of paper. Another payload may
// `replace` the first; what was switched off stays so.
export function show(id, build) {
  const canvas = document.getElementById(id);
  let data = payload(id);
  if (!canvas || !data || !window.Chart) return null;
  let chart = null;
  const draw = () => {
    const hidden = new Set(chart?.data.datasets.filter((_, i) => !chart.isDatasetVisible(i)).map(({ group }) => group));
    chart?.destroy();
    setDefaults();
    chart = new window.Chart(canvas, build(data));
    chart.data.datasets.forEach(({ group }, i) => chart.setDatasetVisibility(i, !hidden.has(group)));
    chart.update();
    drawLegend(id, chart);
  };
  draw();
  REDRAWN_FOR.forEach((query) => window.matchMedia(query).addEventListener("change", draw));
  const renewCursor = addCursor(canvas, () => data, () => chart);
  offerPng(canvas);
  const replace = (other) => {
    const before = data;
    data = other;
    draw();
    renewCursor?.(before);
  };
  return { canvas, chart: () => chart, data: () => data, replace };
}

// A slider over the points: the keyboard's way to the tooltips, which it also reads aloud. Escape closes them.
function addCursor(canvas, data, current) {
  if (!data().titles?.length) return null;
  const slider = document.createElement("input");
  const last = () => data().titles.length - 1;
  Object.assign(slider, { type: "range", className: "cursor", min: 0, max: last(), step: 1, value: last() });
  slider.setAttribute("aria-labelledby", canvas.getAttribute("aria-labelledby"));
  const point = () => slider.setAttribute("aria-valuetext", pointOut(current(), data(), Number(slider.value)));
  const leave = () => pointOut(current(), data(), -1);
  slider.addEventListener("input", point);
  slider.addEventListener("focus", point);
  slider.addEventListener("blur", leave);
  slider.addEventListener("keydown", ({ key }) => key === "Escape" && leave());
  canvas.after(slider);
  return (before) => {
    const at = before.t[Number(slider.value)];
    slider.max = last();
    slider.value = nearest(data().t, at);
    if (document.activeElement === slider) point();
  };
}

// The index of the instant that is nearest to another.
function nearest(instants, at) {
  return instants.reduce((best, t, i) => (Math.abs(t - at) < Math.abs(instants[best] - at) ? i : best), 0);
}

// Show the tooltip of one point, and say what it says; of no point (-1) close it.
function pointOut(chart, data, index) {
  const active = chart.data.datasets
    .map((dataset, datasetIndex) => ({ datasetIndex, index, value: valueAt(dataset, index) }))
    .filter(({ datasetIndex, value }) => value !== null && chart.isDatasetVisible(datasetIndex));
  const place = active.length ? chart.getDatasetMeta(active[0].datasetIndex).data[index] : { x: 0, y: 0 };
  chart.setActiveElements(active);
  chart.tooltip.setActiveElements(active, { x: place.x, y: place.y });
  chart.update();
  const { title = [], body = [], footer = [] } = active.length ? chart.tooltip : {};
  const said = body.flatMap(({ lines }) => lines);
  return [data.titles[index], ...(said.length ? said : ["–"]), ...(title.length ? footer : [])].filter(Boolean).join("; ");
}

function valueAt(dataset, index) {
  const value = dataset.data[index] ?? null;
  return value !== null && typeof value === "object" ? value.y : value;
}

// A legend of buttons: reachable by keyboard, and read aloud.
function drawLegend(id, chart) {
  const place = document.querySelector(`[data-legend="${id}"]`);
  const groups = Map.groupBy
    ? Map.groupBy(chart.data.datasets.keys(), (i) => chart.data.datasets[i].group)
    : grouped(chart.data.datasets);
  place.replaceChildren(...[...groups.values()].map((members) => entry(chart, [...members])));
}

function grouped(datasets) {
  const groups = new Map();
  datasets.forEach((dataset, i) => groups.set(dataset.group, [...(groups.get(dataset.group) ?? []), i]));
  return groups;
}

function entry(chart, members) {
  const dataset = chart.data.datasets[members[0]];
  const button = document.createElement("button");
  button.type = "button";
  button.append(swatch(dataset), dataset.label);
  const show = () => button.setAttribute("aria-pressed", String(chart.isDatasetVisible(members[0])));
  button.addEventListener("click", () => {
    const visible = !chart.isDatasetVisible(members[0]);
    members.forEach((i) => chart.setDatasetVisibility(i, visible));
    chart.update();
    show();
  });
  show();
  return button;
}

function swatch(dataset) {
  const canvas = document.createElement("canvas");
  canvas.width = 48;
  canvas.height = 24;
  const pen = canvas.getContext("2d");
  pen.scale(2, 2);
  if (dataset.type === "line") {
    pen.strokeStyle = dataset.borderColor;
    pen.lineWidth = Math.max(dataset.borderWidth, 2);
    pen.setLineDash(dataset.borderDash ?? []);
    line(pen, [[0, 6, 24, 6]]);
  } else {
    pen.fillStyle = dataset.backgroundColor;
    pen.fillRect(6, 0, 12, 12);
  }
  return canvas;
}
