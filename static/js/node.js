// A node's power: mean and band from lowest to highest, gaps shaded, and below it the jobs as bands.
import { colour, faded, show } from "./charts.js";
import { clipped, coverageWords, curve, curveTooltip, gapMarks, timeAxis, valueAxis } from "./parts.js";

const MOST_LANES = 16; // more jobs at once than that are in the table only
const LABEL_PX = 6; // room at both sides of a label

function build(data) {
  return {
    type: "line",
    data: { datasets: [...curve(data, data.series[0], { tone: colour("series-1"), yAxisID: "y" }), ...jobs(data)] },
    options: options(data),
    plugins: [gapMarks(data), bands(data)],
  };
}

// The bands are drawn by hand; an empty series gives them their place in the legend.
function jobs(data) {
  if (!data.lanes) return [];
  const entry = { type: "bar", group: "jobs", label: data.words.jobs, yAxisID: "lanes", parsing: false, data: [] };
  return [{ ...entry, backgroundColor: faded(colour("series-2"), 0.5), role: "jobs" }];
}

function shownLanes(data) {
  return Math.min(data.lanes, MOST_LANES);
}

function options(data) {
  const lanes = shownLanes(data);
  return {
    interaction: { mode: "nearest", axis: "x", intersect: false },
    scales: {
      x: timeAxis(data, { offset: false, grid: { offset: false } }), // a bar in the chart would set them
      ...(lanes ? { lanes: laneAxis(lanes) } : {}),
      y: valueAxis({ stack: "node", stackWeight: 4 }),
    },
    plugins: { tooltip: curveTooltip(data, (at, said) => footer(data, at, said)) },
  };
}

function footer(data, at, said) {
  const [{ min, max }] = data.series;
  return [
    `${data.words.range}: ${said(min[at])} – ${said(max[at])}`,
    ...coverageWords(data, at),
    ...running(data, data.t[at]),
  ];
}

function laneAxis(lanes) {
  return {
    type: "linear",
    position: "left",
    reverse: true,
    min: 0,
    max: lanes,
    stack: "node",
    stackWeight: Math.min(1 + lanes / 6, 3),
    border: { display: false },
    grid: { display: false },
    ticks: { display: false },
  };
}

function running(data, at) {
  const names = data.bands.filter(({ start, end }) => start <= at && at < end).map(({ label }) => label);
  const shown = names.slice(0, 6);
  return [...shown, ...(names.length > shown.length ? ["…"] : [])];
}

// Named jobs are filled, others are outlines: the difference is not in the colour alone.
function bands(data) {
  return {
    id: "bands",
    afterDatasetsDraw(chart) {
      const { ctx: pen, scales } = chart;
      const entry = chart.data.datasets.findIndex(({ role }) => role === "jobs");
      if (!scales.lanes || entry < 0 || !chart.isDatasetVisible(entry)) return;
      clipped(chart, () => {
        pen.font = `11px ${window.Chart.defaults.font.family}`;
        pen.textBaseline = "middle";
        for (const band of data.bands) if (band.lane < shownLanes(data)) drawBand(pen, scales, band);
      });
    },
  };
}

function drawBand(pen, scales, band) {
  const left = scales.x.getPixelForValue(band.start);
  const width = Math.max(scales.x.getPixelForValue(band.end) - left, 1.5);
  const top = scales.lanes.getPixelForValue(band.lane) + 1;
  const height = Math.max(scales.lanes.getPixelForValue(band.lane + 1) - top - 1, 1);
  const tone = colour(band.named ? "series-2" : "gap");
  pen.fillStyle = faded(tone, band.named ? 0.45 : 0.12);
  pen.fillRect(left, top, width, height);
  pen.strokeStyle = tone;
  pen.lineWidth = 1;
  if (width > 3) pen.strokeRect(left + 0.5, top + 0.5, width - 1, height - 1);
  if (height < 12 || pen.measureText(band.label).width > width - 2 * LABEL_PX) return;
  pen.fillStyle = colour("ink");
  pen.fillText(band.label, left + LABEL_PX, top + height / 2);
}

show("node-chart", build);
