// The grid's carbon intensity over time, drawn by how it is known, and the cluster's power on the same axis below it.
import { colour, show } from "./charts.js";
import { coverageWords, curve, curveTooltip, gapMarks, timeAxis, valueAxis, wordsOf } from "./parts.js";

const DASHES = { measured: [], estimated: [8, 4], mean: [2, 4] };
const TONES = { measured: "series-3", estimated: "series-5", mean: "series-6" };
const AXIS_PX = 54; // of both charts, so that one time stands below the other

const alignedAxis = () => valueAxis({ afterFit: (axis) => { axis.width = AXIS_PX; } });

// A stretch begins where the one before it ends: its line is drawn up to the first value that is known otherwise.
function stretch(data, { role, mean }) {
  return mean.map((value, i) => (data.looks[i] === role || (data.looks[i + 1] === role && data.looks[i]) ? value : null));
}

function intensity(data) {
  const said = wordsOf(data);
  const datasets = data.series.flatMap((series) =>
    curve(data, { label: series.label, mean: stretch(data, series) }, {
      tone: colour(TONES[series.role]), dash: DASHES[series.role], look: series.role,
    }));
  return {
    type: "line",
    data: { datasets },
    options: {
      interaction: { mode: "index", intersect: false },
      scales: { x: timeAxis(data), y: alignedAxis() },
      plugins: {
        tooltip: {
          filter: ({ dataset, dataIndex, parsed }) => parsed.y !== null && data.looks[dataIndex] === dataset.look,
          callbacks: {
            title: (items) => (items.length ? data.titles[items[0].dataIndex] : ""),
            label: (item) => `${item.dataset.label}: ${said(item.parsed.y)}`,
          },
        },
      },
    },
  };
}

function load(data) {
  return {
    type: "line",
    data: { datasets: curve(data, data.series[0], { tone: colour("series-1") }) },
    options: {
      interaction: { mode: "nearest", axis: "x", intersect: false },
      scales: { x: timeAxis(data), y: alignedAxis() },
      plugins: { tooltip: curveTooltip(data, (at) => coverageWords(data, at)) },
    },
    plugins: [gapMarks(data)],
  };
}

show("intensity-chart", intensity);
show("load-chart", load);
