// An annual statement: what the energy of each month is made of.
import { show } from "./charts.js";
import { coverageWords, stackedBars, totalWords } from "./parts.js";

const TONES = { jobs: 0, unallocated: 1, filled: 2, infrastructure: 3, plant: 4, other: 5 };

show("statement-chart", (data) =>
  stackedBars(data, {
    tone: ({ role }) => TONES[role],
    footer: (at, said) => [totalWords(data, at, said), ...coverageWords(data, at)],
  }),
);
