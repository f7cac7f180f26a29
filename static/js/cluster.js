// A cluster: stacked bars of energy and of wall time, and the power of all nodes as a line.
import { colour, show } from "./charts.js";
import {
  coverageWords, curve, curveTooltip, gapMarks, stackedBars, timeAxis, totalWords, valueAxis,
} from "./parts.js";

// What a part is decides its colour and pattern, wherever it stands in the stack.
const TONES = { jobs: 0, covered: 0, unallocated: 1, other: 5, off: 5, gap: 3 };

function bars(data) {
  const footer = (at, said) => [...(data.quantity ? [totalWords(data, at, said)] : []), ...coverageWords(data, at)];
  return stackedBars(data, { tone: ({ role }) => TONES[role], max: data.quantity ? undefined : 100, footer });
}

function power(data) {
  return {
    type: "line",
    data: { datasets: curve(data, { label: data.series[0].label, mean: data.series[0].mean }, { tone: colour("series-1") }) },
    options: {
      interaction: { mode: "nearest", axis: "x", intersect: false },
      scales: { x: timeAxis(data), y: valueAxis() },
      plugins: { tooltip: curveTooltip(data, (at) => coverageWords(data, at)) },
    },
    plugins: [gapMarks(data)],
  };
}

show("split-chart", bars);
show("wall-chart", bars);
show("cluster-power-chart", power);
