// A job's power: mean lines of the job, its nodes and its components, the job's with a band, gaps left open and shaded.
import { colour, seriesColour, show } from "./charts.js";
import { zoomable } from "./curve_zoom.js";
import { clipped, coverageWords, curve, curveTooltip, gapMarks, timeAxis, valueAxis } from "./parts.js";

const DASHES = [[], [], [6, 3], [2, 2], [8, 3, 2, 3], [4, 2], [1, 3], [10, 4], [3, 5]];

function build(data) {
  const datasets = [...data.series, ...data.parts].flatMap(line(data));
  if (data.assumed !== null) datasets.push(assumed(data));
  return {
    type: "line",
    data: { datasets },
    options: {
      interaction: { mode: "nearest", axis: "x", intersect: false },
      scales: { x: timeAxis(data), y: valueAxis() },
      plugins: { tooltip: curveTooltip(data, (at, said) => [range(data, at, said), ...coverageWords(data, at)]) },
    },
    plugins: [gapMarks(data), runMarks(data)],
  };
}

// The first line is the job's; of the others only the mean is drawn.
function line(data) {
  return (series, index) => {
    if (index === 0) return curve(data, series, { tone: colour("series-1"), series: index });
    const { label, mean } = series;
    const looks = { tone: seriesColour(index), width: 1.25, dash: DASHES[index % DASHES.length], series: index };
    return curve(data, { label, mean }, looks);
  };
}

function range(data, at, said) {
  const [{ min, max }] = data.series;
  return `${data.words.range}: ${said(min[at])} – ${said(max[at])}`;
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

// Where a later run begins, with its name.
function runMarks(data) {
  return {
    id: "runs",
    afterDatasetsDraw(chart) {
      const { ctx: pen, scales, chartArea } = chart;
      clipped(chart, () => {
        Object.assign(pen, { strokeStyle: colour("muted"), fillStyle: colour("muted"), lineWidth: 1, textBaseline: "top" });
        pen.font = window.Chart.helpers.toFont(chart.options.font).string;
        pen.setLineDash([4, 3]);
        for (const { at, label } of data.runs) {
          const x = scales.x.getPixelForValue(at);
          pen.beginPath();
          pen.moveTo(x, chartArea.top);
          pen.lineTo(x, chartArea.bottom);
          pen.stroke();
          pen.fillText(label, x + 4, chartArea.top + 2);
        }
      });
    },
  };
}

const shown = show("power-chart", build);
if (shown) zoomable(shown);
