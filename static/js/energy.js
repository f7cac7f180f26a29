// Energy by day: stacked bars.
import { show } from "./charts.js";
import { coverageWords, stackedBars, totalWords } from "./parts.js";

show("energy-chart", (data) =>
  stackedBars(data, { footer: (at, said) => [totalWords(data, at, said), ...coverageWords(data, at)] }));
