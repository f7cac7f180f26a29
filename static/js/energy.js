// Energy by day as stacked bars; by hour of the day as bars, with the grid's mean intensity as a line.
import { colour, faded, language, show } from "./charts.js";
import { coverageWords, stackedBars, totalWords, valueAxis, wordsOf } from "./parts.js";
import { loadParts } from "./load.js";
import { formatNumber } from "./quantities.js";

show("usage-chart", (data) => {
  const chart = stackedBars(data, { footer: (at, said) => [totalWords(data, at, said), ...coverageWords(data, at)] });
  if (data.links) followClicks(chart, data.links);
  return chart;
});

// A click on a part of a bar leads to its jobs, one above or below it to those of the whole bar. The table has links.
function followClicks(chart, links) {
  chart.options.onClick = (event, _items, drawn) => {
    const [bar] = drawn.getElementsAtEventForMode(event, "index", { intersect: false }, true);
    if (!bar) return;
    const [part] = drawn.getElementsAtEventForMode(event, "nearest", { intersect: true }, true);
    const only = part ? links.series[part.datasetIndex] : "";
    window.location.assign(only ? (links.parts ?? links.bars)[bar.index] + only : links.bars[bar.index]);
  };
  chart.options.onHover = (event, items) => {
    event.native.target.classList.toggle("linked", items.length > 0);
  };
}

show("hours-chart", (data) => {
  const chart = stackedBars(data, { footer: () => [] });
  const said = wordsOf(data);
  const tone = colour("series-3");
  chart.data.datasets.push({
    type: "line",
    label: `${data.grid.label} [${data.grid.unit}]`,
    group: "grid",
    data: data.grid.values,
    yAxisID: "grid",
    borderColor: tone,
    backgroundColor: faded(tone, 1),
    borderWidth: 2,
    pointRadius: 2,
    order: -1,
  });
  chart.options.scales.grid = valueAxis({ position: "right", grid: { drawOnChartArea: false } });
  chart.options.plugins.tooltip.filter = (item) => item.raw !== null;
  chart.options.plugins.tooltip.callbacks.label = ({ dataset, raw }) =>
    dataset.group === "grid"
      ? `${data.grid.label}: ${formatNumber(raw, language())}\u00a0${data.grid.unit}`
      : `${dataset.label}: ${said(raw)}`;
  return chart;
});

loadParts();
