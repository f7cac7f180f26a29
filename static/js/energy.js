// Energy by day: stacked bars. Energy is never drawn as a line between days.
import { colour, fill, language, show } from "./charts.js";
import { formatNumber, formatQuantity } from "./quantities.js";

function build(data) {
  const quantity = (value) => formatQuantity(value * data.size, data.table[data.quantity], language());
  return {
    type: "bar",
    data: {
      labels: data.labels,
      datasets: data.series.map((series, i) => ({
        type: "bar",
        label: series.label,
        group: series.label,
        data: series.values,
        backgroundColor: fill(i),
        borderColor: colour("paper"),
        borderWidth: { top: 1 },
        borderSkipped: false,
        maxBarThickness: 44,
        categoryPercentage: 0.9,
        barPercentage: 0.92,
      })),
    },
    options: {
      interaction: { mode: "index", intersect: false },
      scales: {
        x: { stacked: true, grid: { display: false }, ticks: { maxRotation: 0, autoSkipPadding: 14 } },
        y: {
          stacked: true,
          beginAtZero: true,
          border: { display: false },
          ticks: { maxTicksLimit: 6, callback: (value) => axisNumber(value) },
        },
      },
      plugins: {
        tooltip: {
          filter: (item) => item.raw,
          callbacks: {
            title: (items) => (items.length ? data.titles[items[0].dataIndex] : ""),
            label: (item) => `${item.dataset.label}: ${quantity(item.raw)}`,
            footer: (items) => footer(data, items, quantity),
          },
        },
      },
    },
  };
}

export function axisNumber(value) {
  return new Intl.NumberFormat(language(), { maximumSignificantDigits: 3, useGrouping: false }).format(value);
}

function footer(data, items, quantity) {
  if (!items.length) return "";
  const at = items[0].dataIndex;
  const total = data.series.reduce((sum, series) => sum + (series.values[at] ?? 0), 0);
  const measured = formatNumber(100 * data.coverage[at], language());
  return [`${data.words.total}: ${quantity(total)}`, `${measured}\u00a0% ${data.words.coverage}`];
}

show("energy-chart", build);
