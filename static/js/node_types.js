// Node types: the mean power of one node of each over time, a line a type, open where nothing was measured.
import { seriesColour, show } from "./charts.js";
import { curve, curveTooltip, timeAxis, valueAxis } from "./parts.js";

const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 5], [14, 4]];

function lines(data) {
  return {
    type: "line",
    data: {
      datasets: data.series.flatMap((series, i) =>
        curve(data, series, { tone: seriesColour(i), dash: DASHES[i % DASHES.length] }),
      ),
    },
    options: {
      interaction: { mode: "index", axis: "x", intersect: false },
      scales: { x: timeAxis(data), y: valueAxis() },
      plugins: { tooltip: curveTooltip(data, () => []) },
    },
  };
}

show("lines-chart", lines);
