// How values lie: bars of the middle half with median and interval, and points of two quantities with the front joined.
// Draws every canvas with data-ranges or data-plane on the page by itself.
import { colour, faded, language, show } from "./charts.js";
import { axisNumber, valueAxis } from "./parts.js";
import { formatNumber } from "./quantities.js";

const MARK_PX = 3;
const WHISKER_PX = 1.5;
const CAP = 0.28; // of a bar's thickness

function said(value, unit) {
  return `${formatNumber(value, language())}\u00a0${unit}`;
}

function ranges(data) {
  return {
    type: "bar",
    data: {
      labels: data.labels,
      datasets: [
        {
          type: "bar",
          label: data.words.half,
          group: "half",
          // a bar of no length is not drawn and not pointed at: it gets a hair's breadth
          data: data.rows.map(({ low, high }) => [low, high === low ? low * 1.0001 : high]),
          backgroundColor: faded(colour("series-1"), 0.3),
          borderColor: colour("series-1"),
          borderWidth: 1,
          borderSkipped: false,
          borderRadius: 3,
          maxBarThickness: 22,
          barPercentage: 0.8,
          categoryPercentage: 0.85,
        },
      ],
    },
    options: {
      indexAxis: "y",
      interaction: { mode: "index", axis: "y", intersect: false },
      scales: {
        x: valueAxis({ suggestedMax: Math.max(...data.rows.map(({ high, interval }) => Math.max(high, ...(interval ?? [])))) }),
        y: { grid: { display: false }, ticks: { autoSkip: false } },
      },
      plugins: { tooltip: { callbacks: tooltip(data) } },
    },
    plugins: [marks(data)],
  };
}

function tooltip(data) {
  return {
    title: (items) => (items.length ? data.titles[items[0].dataIndex] : ""),
    label: ({ dataIndex }) => {
      const { low, median, high, interval } = data.rows[dataIndex];
      const lines = [`${data.words.median}: ${said(median, data.unit)}`];
      if (high > low) lines.push(`${data.words.half}: ${formatNumber(low, language())} – ${said(high, data.unit)}`);
      if (interval) {
        lines.push(`${data.words.interval}: ${formatNumber(interval[0], language())} – ${said(interval[1], data.unit)}`);
      }
      return lines;
    },
    footer: (items) => (items.length ? data.rows[items[0].dataIndex].notes : ""),
  };
}

// Median and whisker stand on the bars.
function marks(data) {
  return {
    id: "marks",
    afterDatasetsDraw: (chart) => {
      chart.ctx.save();
      chart.getDatasetMeta(0).data.forEach((bar, i) => drawMarks(chart.ctx, chart.scales.x, bar, data.rows[i]));
      chart.ctx.restore();
    },
  };
}

function drawMarks(pen, x, bar, { median, interval }) {
  const half = bar.height / 2;
  pen.strokeStyle = colour("ink");
  if (interval) {
    const [from, to] = interval.map((value) => x.getPixelForValue(value));
    pen.lineWidth = WHISKER_PX;
    line(pen, from, bar.y, to, bar.y);
    [from, to].forEach((end) => line(pen, end, bar.y - CAP * bar.height, end, bar.y + CAP * bar.height));
  }
  pen.lineWidth = MARK_PX;
  const at = x.getPixelForValue(median);
  line(pen, at, bar.y - half, at, bar.y + half);
}

function line(pen, x0, y0, x1, y1) {
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
}

function plane(data) {
  const set = (front) => ({
    type: "line",
    label: front ? data.words.front : data.words.behind,
    group: front ? "front" : "behind",
    data: data.points.map(({ x, y, front: on }) => ({ x: x[1], y: on === front ? y[1] : null })),
    showLine: front,
    spanGaps: true,
    borderColor: colour(front ? "series-1" : "gap"),
    backgroundColor: colour(front ? "series-1" : "gap"),
    borderDash: front ? [5, 4] : [1, 3],
    borderWidth: 1.5,
    tension: 0,
    role: "mean",
    pointStyle: front ? "circle" : "rectRot",
    pointRadius: 6,
    pointHoverRadius: 8,
    pointHitRadius: 14,
  });
  const sets = [set(true), set(false)].filter(({ data: points }) => points.some(({ y }) => y !== null));
  return {
    type: "line",
    data: { datasets: sets },
    options: {
      interaction: { mode: "nearest", intersect: true },
      layout: { padding: { top: 14, right: 14 } },
      scales: {
        x: planeAxis(data, 0, { type: "linear", position: "bottom" }),
        y: planeAxis(data, 1),
      },
      plugins: { tooltip: { callbacks: planeTooltip(data) } },
    },
    plugins: [crosses(data)],
  };
}

function planeAxis(data, place, more = {}) {
  const text = `${data.axes[place]} [${data.units[place]}]`;
  return { beginAtZero: true, ticks: { maxTicksLimit: 6, callback: axisNumber }, title: { display: true, text }, ...more };
}

function planeTooltip(data) {
  return {
    title: (items) => (items.length ? data.titles[items[0].dataIndex] : ""),
    label: ({ dataIndex }) =>
      ["x", "y"].map((name, i) => {
        const [low, middle, high] = data.points[dataIndex][name];
        const half = high > low ? ` (${formatNumber(low, language())} – ${formatNumber(high, language())})` : "";
        return `${data.axes[i]}: ${said(middle, data.units[i])}${half}`;
      }),
    footer: (items) => (items.length ? (data.points[items[0].dataIndex].front ? data.words.front : data.words.behind) : ""),
  };
}

// The middle half of each, both ways, and its name.
function crosses(data) {
  return {
    id: "crosses",
    beforeDatasetsDraw: ({ ctx, scales }) => {
      ctx.save();
      ctx.lineWidth = 1.5;
      ctx.strokeStyle = faded(colour("series-1"), 0.45);
      data.points.forEach(({ x, y }) => {
        const at = [scales.x.getPixelForValue(x[1]), scales.y.getPixelForValue(y[1])];
        line(ctx, scales.x.getPixelForValue(x[0]), at[1], scales.x.getPixelForValue(x[2]), at[1]);
        line(ctx, at[0], scales.y.getPixelForValue(y[0]), at[0], scales.y.getPixelForValue(y[2]));
      });
      ctx.restore();
    },
    afterDatasetsDraw: ({ ctx, scales, chartArea }) => {
      ctx.save();
      ctx.fillStyle = colour("ink");
      ctx.textBaseline = "bottom";
      data.points.forEach(({ label, x, y }) => {
        const px = scales.x.getPixelForValue(x[1]);
        const right = px > (chartArea.left + 2 * chartArea.right) / 3;
        ctx.textAlign = right ? "right" : "left";
        ctx.fillText(label, px + (right ? -9 : 9), scales.y.getPixelForValue(y[1]) - 6);
      });
      ctx.restore();
    },
  };
}

document.querySelectorAll("canvas[data-ranges]").forEach(({ id }) => show(id, ranges));
document.querySelectorAll("canvas[data-plane]").forEach(({ id }) => show(id, plane));
