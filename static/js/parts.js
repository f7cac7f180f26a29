// What charts are made of: stacked bars, a power curve with its band, an axis of time, marks where nothing was measured.
import { colour, faded, fill, language } from "./charts.js";
import { formatNumber, formatQuantity } from "./quantities.js";

const BAND = 0.22;
const GAP = 0.16;
const MARK_PX = 5;
const axisFormats = new Map();

// A payload's values in words; without a quantity they have a unit of their own, such as %.
export function wordsOf(data) {
  return (value) =>
    data.quantity
      ? formatQuantity(value * data.size, data.table[data.quantity], language())
      : `${formatNumber(value, language())}\u00a0${data.unit}`;
}

export function coverageWords(data, at) {
  if ((data.coverage[at] ?? null) === null) return [];
  return [`${formatNumber(Math.floor(1000 * data.coverage[at] + 1e-9) / 10, language())}\u00a0% ${data.words.coverage}`];
}

export function axisNumber(value) {
  if (!axisFormats.has(language())) {
    const format = new Intl.NumberFormat(language(), { maximumSignificantDigits: 3, useGrouping: false });
    axisFormats.set(language(), format);
  }
  return axisFormats.get(language()).format(value);
}

export function valueAxis(more = {}) {
  return { beginAtZero: true, border: { display: false }, ticks: { maxTicksLimit: 6, callback: axisNumber }, ...more };
}

// Time runs linearly; where it is labelled, the server says.
export function timeAxis(data, more = {}) {
  return {
    type: "linear",
    min: data.start,
    max: data.end,
    afterBuildTicks: (axis) => {
      axis.ticks = data.ticks.map(({ value }) => ({ value }));
    },
    ticks: {
      maxRotation: 0,
      autoSkipPadding: 12,
      callback: (value) => data.ticks.find((tick) => tick.value === value)?.label ?? "",
    },
    ...more,
  };
}

// Energy by day or hour; it is never drawn as a line. `tone` gives a series its colour and pattern.
export function stackedBars(data, { tone = (_series, i) => i, max, footer }) {
  const said = wordsOf(data);
  return {
    type: "bar",
    data: {
      labels: data.labels,
      datasets: data.series.map((series, i) => ({
        type: "bar",
        label: series.label,
        group: series.role ?? series.label,
        role: series.role,
        data: series.values,
        backgroundColor: fill(tone(series, i)),
        borderColor: colour("paper"),
        borderWidth: { top: 1 },
        borderSkipped: false,
        maxBarThickness: 44,
        categoryPercentage: 0.9,
        barPercentage: 0.92,
      })),
    },
    options: {
      interaction: { mode: "index", intersect: false },
      scales: {
        x: { stacked: true, grid: { display: false }, ticks: { maxRotation: 0, autoSkipPadding: 14 } },
        y: valueAxis({ stacked: true, max }),
      },
      plugins: {
        tooltip: {
          filter: (item) => item.raw,
          callbacks: {
            title: (items) => (items.length ? data.titles[items[0].dataIndex] : ""),
            label: (item) => `${item.dataset.label}: ${said(item.raw)}`,
            footer: (items) => (items.length ? footer(items[0].dataIndex, said) : ""),
          },
        },
      },
    },
  };
}

export function totalWords(data, at, said) {
  const total = data.series.reduce((sum, series) => sum + (series.values[at] ?? 0), 0);
  return `${data.words.total}: ${said(total)}`;
}

// A line of means, gaps left open, and around it a band from the lowest to the highest, where the data have them.
export function curve(data, series, { tone, width = 2, dash = [], ...more }) {
  const shared = {
    type: "line",
    group: series.label,
    label: series.label,
    parsing: false,
    normalized: true,
    spanGaps: false,
    pointRadius: 0,
    pointHitRadius: 6,
    tension: 0,
    borderColor: tone,
    ...more,
  };
  const points = (values) => data.t.map((x, i) => ({ x, y: values[i] }));
  const mean = {
    ...shared,
    data: points(series.mean),
    borderWidth: width,
    borderDash: dash,
    pointRadius: (context) => (alone(series.mean, context.dataIndex) ? 2 : 0),
    pointBackgroundColor: tone,
    role: "mean",
  };
  if (!series.min) return [mean];
  const band = { ...shared, borderWidth: 0, backgroundColor: faded(tone, BAND) };
  const bottom = { ...band, data: points(series.min), role: "min" };
  return [mean, bottom, { ...band, data: points(series.max), fill: "-1", role: "max" }];
}

// A value between two gaps has no neighbour to draw a line to.
function alone(values, i) {
  return values[i] !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null;
}

// The tooltip of a curve: its means only.
export function curveTooltip(data, footer) {
  const said = wordsOf(data);
  return {
    filter: (item) => item.dataset.role === "mean" && item.parsed.y !== null,
    callbacks: {
      title: (items) => (items.length ? data.titles[items[0].dataIndex] : ""),
      label: (item) => `${item.dataset.label}: ${said(item.parsed.y)}`,
      footer: (items) => (items.length ? footer(items[0].dataIndex, said) : ""),
    },
  };
}

// Shade what was not measured; what was measured in part has a mark at the bottom, as strong as the missing part is large.
export function gapMarks(data) {
  return {
    id: "gaps",
    beforeDatasetsDraw(chart) {
      const { ctx: pen, scales } = chart;
      const { top, bottom } = scales.y;
      clipped(chart, () => {
        for (const { from, to, share } of incomplete(data)) {
          const left = scales.x.getPixelForValue(data.edges[from]);
          const right = scales.x.getPixelForValue(data.edges[to]);
          const height = share === 0 ? bottom - top : MARK_PX;
          pen.fillStyle = faded(colour("gap"), share === 0 ? GAP : 0.25 + 0.75 * (1 - share));
          pen.fillRect(left, bottom - height, Math.max(right - left, 1), height);
        }
      });
    },
  };
}

// Buckets that are not wholly measured, neighbours without any value together. Null: nothing was there to be measured.
export function incomplete(data) {
  const [{ mean }] = data.series;
  const found = [];
  data.coverage.forEach((covered, i) => {
    if (covered === null || covered >= 1) return;
    const share = mean[i] === null ? 0 : covered;
    const last = found.at(-1);
    if (share === 0 && last?.share === 0 && last.to === i) last.to = i + 1;
    else found.push({ from: i, to: i + 1, share });
  });
  return found;
}

export function clipped(chart, draw) {
  const { ctx: pen, chartArea: area } = chart;
  pen.save();
  pen.beginPath();
  pen.rect(area.left, area.top, area.width, area.height);
  pen.clip();
  draw();
  pen.restore();
}
