// A job's power: mean lines and bands from lowest to highest, gaps left open and shaded.
import { colour, faded, language, seriesColour, show } from "./charts.js";
import { formatNumber, formatQuantity } from "./quantities.js";

const DASHES = [[], [], [6, 3], [2, 2], [8, 3, 2, 3], [4, 2], [1, 3], [10, 4], [3, 5]];
const BAND = 0.22;

function build(data) {
  const datasets = data.series.flatMap((series, i) => lines(data, series, i));
  if (data.assumed !== null) datasets.push(assumed(data));
  return { type: "line", data: { datasets }, options: options(data), plugins: [gaps(data)] };
}

function lines(data, series, index) {
  const main = index === 0;
  const tone = main ? colour("series-1") : seriesColour(index);
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
  };
  const points = (values) => data.t.map((x, i) => ({ x, y: values[i] }));
  const mean = {
    ...shared,
    data: points(series.mean),
    borderWidth: main ? 2 : 1.25,
    borderDash: DASHES[index % DASHES.length],
    pointRadius: (context) => (alone(series.mean, context.dataIndex) ? 2 : 0),
    pointBackgroundColor: tone,
    role: "mean",
    series: index,
  };
  if (!main) return [mean];
  const band = { ...shared, borderWidth: 0, backgroundColor: faded(tone, BAND) };
  const bottom = { ...band, data: points(series.min), role: "min" };
  return [mean, bottom, { ...band, data: points(series.max), fill: "-1", role: "max" }];
}

// A bucket between two gaps has no neighbour to draw a line to.
function alone(values, i) {
  return values[i] !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null;
}

function assumed(data) {
  return {
    type: "line",
    group: "assumed",
    label: data.words.assumed,
    parsing: false,
    data: [{ x: data.start, y: data.assumed }, { x: data.end, y: data.assumed }],
    borderColor: colour("gap"),
    borderWidth: 1.5,
    borderDash: [2, 4],
    pointRadius: 0,
    pointHitRadius: 0,
    role: "assumed",
  };
}

function options(data) {
  return {
    interaction: { mode: "nearest", axis: "x", intersect: false },
    scales: {
      x: {
        type: "linear",
        min: data.start,
        max: data.end,
        grid: { drawTicks: true },
        afterBuildTicks: (axis) => {
          axis.ticks = data.ticks.map(({ value }) => ({ value }));
        },
        ticks: {
          maxRotation: 0,
          autoSkipPadding: 12,
          callback: (value) => data.ticks.find((tick) => tick.value === value)?.label ?? "",
        },
      },
      y: {
        beginAtZero: true,
        border: { display: false },
        ticks: {
          maxTicksLimit: 6,
          callback: (value) =>
            new Intl.NumberFormat(language(), { maximumSignificantDigits: 3, useGrouping: false }).format(value),
        },
      },
    },
    plugins: { tooltip: tooltip(data) },
  };
}

function tooltip(data) {
  const quantity = (value) => formatQuantity(value * data.size, data.table[data.quantity], language());
  return {
    filter: (item) => item.dataset.role === "mean" && item.parsed.y !== null,
    callbacks: {
      title: (items) => (items.length ? data.titles[items[0].dataIndex] : ""),
      label: (item) => `${item.dataset.label}: ${quantity(item.parsed.y)}`,
      footer: (items) => {
        if (!items.length) return "";
        const at = items[0].dataIndex;
        const [main] = data.series;
        const range = `${data.words.range}: ${quantity(main.min[at])} – ${quantity(main.max[at])}`;
        return [range, `${formatNumber(100 * data.coverage[at], language())}\u00a0% ${data.words.coverage}`];
      },
    },
  };
}

// Buckets that are held but not wholly measured; those of a gap without any value together.
export function incomplete(data) {
  const found = [];
  data.coverage.forEach((covered, i) => {
    if (covered === null || covered >= 1) return;
    const share = data.series[0].mean[i] === null ? 0 : covered;
    const last = found.at(-1);
    if (share === 0 && last?.share === 0 && last.to === i) last.to = i + 1;
    else found.push({ from: i, to: i + 1, share });
  });
  return found;
}

// Shade what was held but not measured; a bucket measured in part has a mark at the bottom.
function gaps(data) {
  return {
    id: "gaps",
    beforeDatasetsDraw(chart) {
      const { ctx: pen, chartArea: area, scales } = chart;
      pen.save();
      pen.beginPath();
      pen.rect(area.left, area.top, area.width, area.height);
      pen.clip();
      for (const { from, to, share } of incomplete(data)) {
        const left = scales.x.getPixelForValue(data.edges[from]);
        const right = scales.x.getPixelForValue(data.edges[to]);
        const height = share === 0 ? area.height : 5;
        pen.fillStyle = faded(colour("gap"), share === 0 ? 0.16 : 1 - share);
        pen.fillRect(left, area.bottom - height, Math.max(right - left, 1), height);
      }
      pen.restore();
    },
  };
}

show("power-chart", build);
