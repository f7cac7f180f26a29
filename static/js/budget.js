// A budget: cumulated use, the forecast with its interval, the even pace, the budget and its warning levels.
import { colour, faded, language, show } from "./charts.js";
import { clipped, timeAxis, valueAxis, wordsOf } from "./parts.js";
import { formatNumber } from "./quantities.js";

const LOOKS = {
  used: { tone: "series-1", borderWidth: 2.5, borderDash: [] },
  filled: { tone: "series-6", borderWidth: 1.5, borderDash: [2, 3] },
  forecast: { tone: "series-1", borderWidth: 2, borderDash: [7, 4] },
};
const AREA = 0.1;
const BAND = 0.2;

function line(data, values, more) {
  return {
    type: "line",
    data: data.t.map((x, i) => ({ x, y: values[i] })),
    parsing: false,
    normalized: true,
    spanGaps: false,
    tension: 0,
    pointRadius: 0,
    pointHitRadius: 6,
    ...more,
  };
}

function drawn(data, series) {
  const { tone, ...look } = LOOKS[series.role];
  const hue = colour(tone);
  const shared = { group: series.role, label: series.label, borderColor: hue };
  const main = line(data, series.values, {
    ...shared,
    ...look,
    role: series.role,
    pointBackgroundColor: hue,
    // The last of what is used; where only a sum is shown, it is all there is.
    pointRadius: ({ dataIndex }) => (series.role !== "forecast" && (series.values[dataIndex + 1] ?? null) === null ? 3.5 : 0),
    backgroundColor: faded(hue, AREA),
    fill: series.role === "used" ? "origin" : false,
  });
  if (!series.low) return [main];
  const edge = { ...shared, borderWidth: 0, pointHitRadius: 0, backgroundColor: faded(hue, BAND) };
  return [main, line(data, series.low, { ...edge, role: "low" }), line(data, series.high, { ...edge, role: "high", fill: "-1" })];
}

function flat(data, { value, full }) {
  return line(data, data.t.map(() => value), {
    group: full ? "budget" : "levels",
    role: "level",
    label: full ? data.words.budget : data.words.levels,
    borderColor: colour(full ? "series-2" : "warn"),
    borderWidth: full ? 2 : 1.5,
    borderDash: full ? [] : [3, 3],
    pointHitRadius: 0,
  });
}

// A level is named on its line, at the left, where the use is still small.
function levelNames(data) {
  return {
    id: "levels",
    afterDatasetsDraw(chart) {
      const { ctx: pen, chartArea: area, scales } = chart;
      const visible = (i) => chart.data.datasets.some((set, at) => set.role === "level" && set.level === i && chart.isDatasetVisible(at));
      clipped(chart, () => {
        pen.font = `600 12px ${window.Chart.defaults.font.family}`;
        pen.textBaseline = "bottom";
        data.levels.forEach(({ label, value, full }, i) => {
          if (!visible(i)) return;
          const said = full ? `${label}: ${wordsOf(data)(data.available)}` : label;
          const y = scales.y.getPixelForValue(value) - 3;
          pen.fillStyle = colour("paper");
          pen.fillRect(area.left + 4, y - 15, pen.measureText(said).width + 8, 16);
          pen.fillStyle = colour(full ? "series-2" : "warn");
          pen.fillText(said, area.left + 8, y);
        });
      });
    },
  };
}

function tooltip(data) {
  const said = wordsOf(data);
  const share = (value) => `${formatNumber(Math.floor((100 * value) / data.available), language())}\u00a0% ${data.words.of}`;
  const forecast = data.series.find(({ role }) => role === "forecast");
  return {
    filter: ({ dataset, parsed, dataIndex, chart }) =>
      dataset.role in LOOKS && parsed.y !== null && !(dataset.role === "forecast" && usedAt(chart, dataIndex)),
    callbacks: {
      title: (items) => (items.length ? data.titles[items[0].dataIndex] : ""),
      label: ({ dataset, parsed, dataIndex: i }) =>
        dataset.role === "forecast"
          ? `${dataset.label}: ${said(parsed.y)} (${said(forecast.low[i])} – ${said(forecast.high[i])})`
          : `${dataset.label}: ${said(parsed.y)}`,
      footer: (items) => (items.length ? share(items[0].parsed.y) : ""),
    },
  };
}

function usedAt(chart, index) {
  const used = chart.data.datasets.find(({ role }) => role === "used");
  return used.data[index].y !== null;
}

function budget(data) {
  const even = line(data, data.even.values, {
    group: "even", role: "even", label: data.even.label, borderColor: colour("muted"), borderWidth: 1.5, borderDash: [1, 4], pointHitRadius: 0,
  });
  const levels = data.levels.map((level, i) => ({ ...flat(data, level), level: i }));
  return {
    type: "line",
    data: { datasets: [...data.series.flatMap((series) => drawn(data, series)), even, ...levels] },
    options: {
      interaction: { mode: "index", intersect: false },
      scales: { x: timeAxis(data), y: valueAxis({ max: data.most }) },
      plugins: { tooltip: tooltip(data) },
    },
    plugins: [levelNames(data)],
  };
}

document.querySelectorAll("canvas[data-budget]").forEach(({ id }) => show(id, budget));
