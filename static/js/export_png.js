// A chart as a picture: title, unit, legend, canvas and what it is of, as they are on the page, twice as fine.

const SCALE = 2;
const MARGIN = 20;
const GAP = 8;
const LINE = 1.4; // of a text's size
const SWATCH = { width: 24, height: 12 };

// A figure of a chart gets its button once.
export function offerPng(canvas) {
  const figure = canvas.closest("figure.chart");
  if (!figure || figure.querySelector(".as-picture")) return;
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "as-picture", textContent: "PNG" });
  button.setAttribute("aria-label", `PNG: ${textOf(figure.querySelector("figcaption"))}`);
  button.addEventListener("click", () => save(figure));
  figure.append(button);
}

function save(figure) {
  picture(figure).toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${fileName(figure)}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
}

// Parts from top to bottom: each knows its height and how to draw itself.
function picture(figure) {
  const plots = [...figure.querySelectorAll(".plot canvas")];
  const width = Math.max(...plots.map(({ clientWidth }) => clientWidth));
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d");
  const parts = [
    caption(pen, figure, width),
    legend(pen, figure, width),
    ...plots.map((plot) => ({ height: plot.clientHeight, draw: (y) => copy(pen, plot, y) })),
    footer(pen, figure, width),
  ].filter(({ height }) => height);
  const height = parts.reduce((sum, part) => sum + part.height, GAP * (parts.length - 1));
  canvas.width = SCALE * (width + 2 * MARGIN);
  canvas.height = SCALE * (height + 2 * MARGIN);
  pen.scale(SCALE, SCALE);
  pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--paper");
  pen.fillRect(0, 0, width + 2 * MARGIN, height + 2 * MARGIN);
  pen.translate(MARGIN, MARGIN);
  parts.reduce((y, part) => (part.draw(y), y + part.height + GAP), 0);
  return canvas;
}

function caption(pen, figure, width) {
  const title = figure.querySelector("figcaption");
  return words(pen, [textOf(title)], getComputedStyle(title), width);
}

// What it is of: the page, its period, how fresh it is, where it was taken, and whether its figures are made up.
function footer(pen, figure, width) {
  const page = textOf(document.querySelector("h1"));
  const said = [
    [page, period(figure)].filter(Boolean).join(" · "),
    textOf(document.querySelector(".fresh")),
    [location.host, textOf(document.querySelector(".simulated p"))].filter(Boolean).join(" · "),
  ];
  const style = getComputedStyle(figure.querySelector(".unit") ?? figure);
  return words(pen, said.filter(Boolean), { ...fontOf(style), fontWeight: "400", fontSize: "12px" }, width);
}

// Of the page, where it is of one; else from the chart's first point to its last.
function period(figure) {
  const data = document.getElementById(`${figure.querySelector(".plot canvas").id}-data`);
  const titles = (data && JSON.parse(data.textContent).titles) ?? [];
  const points = [...new Set([titles[0], titles.at(-1)].filter(Boolean))];
  return figure.dataset.period || textOf(document.querySelector(".summary h2")) || points.join(" – ");
}

// Lines of words, broken where they are too long.
function words(pen, texts, style, width) {
  const { color, size, font } = inked(style);
  pen.font = font;
  const lines = texts.flatMap((text) => broken(pen, text, width));
  const draw = (top) => {
    Object.assign(pen, { font, fillStyle: color, textBaseline: "middle" });
    lines.forEach((line, i) => pen.fillText(line, 0, top + (i + 0.5) * size * LINE));
  };
  return { height: lines.length * size * LINE, draw };
}

function broken(pen, text, width) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
    if (pen.measureText(longer).width <= width || !lines.at(-1)) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

// The series that are shown, with their pattern or dash.
function legend(pen, figure, width) {
  const shown = [...figure.querySelectorAll(".legend > *")].filter((entry) => entry.getAttribute("aria-pressed") !== "false");
  if (!shown.length) return { height: 0 };
  const { color, size, font } = inked(getComputedStyle(shown[0]));
  const row = Math.max(size, SWATCH.height) * LINE;
  pen.font = font;
  let [x, y] = [0, 0];
  const places = shown.map((entry) => {
    const label = textOf(entry);
    const swatch = entry.querySelector("canvas");
    const wide = (swatch ? SWATCH.width + GAP : 0) + pen.measureText(label).width + 2 * GAP;
    if (x && x + wide > width) [x, y] = [0, y + row];
    const place = { label, swatch, x, y };
    x += wide;
    return place;
  });
  const draw = (top) => {
    Object.assign(pen, { font, fillStyle: color, textBaseline: "middle" });
    for (const { label, swatch, x, y } of places) {
      const middle = top + y + row / 2;
      if (swatch) pen.drawImage(swatch, x, middle - SWATCH.height / 2, SWATCH.width, SWATCH.height);
      pen.fillText(label, x + (swatch ? SWATCH.width + GAP : 0), middle);
    }
  };
  return { height: y + row, draw };
}

// The chart itself, for a moment as fine as the picture.
function copy(pen, plot, top) {
  const { clientWidth: width, clientHeight: height } = plot;
  const chart = window.Chart?.getChart(plot);
  const before = chart?.options.devicePixelRatio;
  if (chart) refine(chart, Math.max(SCALE, window.devicePixelRatio));
  pen.drawImage(plot, 0, top, width, height);
  if (chart) refine(chart, before);
}

function refine(chart, ratio) {
  chart.options.devicePixelRatio = ratio;
  chart.resize();
}

function inked(style) {
  const { color, fontFamily, fontSize, fontWeight } = fontOf(style);
  return { color, size: parseFloat(fontSize), font: `${fontWeight} ${fontSize} ${fontFamily}` };
}

function fontOf({ color, fontFamily, fontSize, fontWeight }) {
  return { color, fontFamily, fontSize, fontWeight };
}

function textOf(element) {
  return element?.textContent.replace(/\s+/g, " ").trim() ?? "";
}

function fileName(figure) {
  const title = figure.querySelector("figcaption").cloneNode(true);
  title.querySelectorAll(".unit").forEach((unit) => unit.remove());
  const said = `${textOf(document.querySelector("h1"))} ${textOf(title)}`;
  return said.toLowerCase().replace(/[^\p{Letter}\p{Number}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 80) || "chart";
}
