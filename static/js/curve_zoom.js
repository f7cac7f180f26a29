// Zoom of a power curve: links, keys, dragging and wheel choose a part, the server draws it finer, the address names it.
import { around, between, moved, same } from "./curve_window.js";
import { grip } from "./curve_drag.js";

const SETTLED_MS = 150;
const KEYS = { "+": "in", "=": "in", "-": "out", "_": "out", 0: "whole" };
const ARROWS = { ArrowLeft: "left", ArrowRight: "right" };

export function zoomable(shown) {
  const group = document.querySelector("[data-curve]");
  if (!group) return;
  const place = new Place(group, shown);
  group.addEventListener("click", (event) => place.click(event));
  group.addEventListener("keydown", (event) => place.key(event, true));
  const plot = shown.canvas.parentElement;
  plot.addEventListener("keydown", (event) => place.key(event, event.shiftKey));
  grip(shown, {
    chosen: (one, other) => place.go(between(one, other, place.whole)),
    turned: (at, factor) => place.go(around(at, factor, place.wanted, place.whole)),
  });
  window.addEventListener("popstate", () => place.back());
  document.getElementById("power-keys").hidden = false;
}

// What is shown, and what is asked for.
class Place {
  constructor(group, shown) {
    this.group = group;
    this.shown = shown;
    this.figure = group.closest("figure");
    this.take(shown.data());
  }

  take({ start, end, whole }) {
    this.whole = whole;
    this.here = { start, end };
    this.wanted = { start, end };
  }

  click(event) {
    const link = event.target.closest("[data-move]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    this.step(link.dataset.move);
  }

  // `arrows`: whether they move the part; without Shift they go from point to point on the chart.
  key(event, arrows) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const name = KEYS[event.key] ?? (arrows ? ARROWS[event.key] : undefined);
    if (!name) return;
    event.preventDefault();
    this.step(name);
  }

  step(name) {
    this.go(moved(name, this.wanted, this.whole));
  }

  back() {
    const asked = new URLSearchParams(location.search);
    const [start, end] = ["from", "to"].map((name) => Number(asked.get(name)));
    this.go(asked.has("from") ? { start, end } : { ...this.whole }, { remembered: true });
  }

  // Ask for a part once no further step comes; what was asked for before is not waited for.
  go({ start, end }, { remembered = false } = {}) {
    this.asking?.abort();
    clearTimeout(this.timer);
    this.wanted = { start, end };
    this.figure.removeAttribute("aria-busy");
    if (same(this.wanted, this.here)) return;
    this.figure.setAttribute("aria-busy", "true");
    this.asking = new AbortController();
    const { signal } = this.asking;
    this.timer = setTimeout(() => this.fetch(signal, remembered), remembered ? 0 : SETTLED_MS);
  }

  async fetch(signal, remembered) {
    try {
      const answer = await fetch(this.address(), { signal, headers: { Accept: "application/json" } });
      const found = answer.headers.get("Content-Type")?.startsWith("application/json") ? await answer.json() : {};
      if (signal.aborted) return;
      if (found.chart) this.show(found, remembered);
      else this.fail(found.error);
    } catch (fault) {
      if (fault.name !== "AbortError") this.fail();
    }
  }

  address() {
    const { start, end } = this.wanted;
    const query = new URLSearchParams({ start: this.group.dataset.start });
    if (!same(this.wanted, this.whole)) {
      query.set("from", start);
      query.set("to", end);
    }
    return `${this.group.dataset.curve}?${query}`;
  }

  show(found, remembered) {
    this.figure.removeAttribute("aria-busy");
    this.failed("");
    this.take(found.chart);
    if (!remembered) history.pushState(null, "", `?${found.query}`);
    this.shown.replace(found.chart);
    this.figure.dataset.period = found.period;
    document.getElementById("power-unit").textContent = found.chart.unit;
    document.getElementById("power-table").innerHTML = found.table;
    document.getElementById("power-csv").href = `?${found.csv}`;
    document.getElementById("power-shown").textContent = found.sentence;
    for (const link of this.group.querySelectorAll("[data-move]")) {
      const { query, stays } = found.moves[link.dataset.move];
      link.href = `?${query}#power`;
      if (stays) link.setAttribute("aria-disabled", "true");
      else link.removeAttribute("aria-disabled");
    }
  }

  fail(sentence) {
    this.figure.removeAttribute("aria-busy");
    this.wanted = this.here;
    this.failed(sentence ?? this.group.dataset.failed);
  }

  failed(sentence) {
    const place = document.getElementById("power-failed");
    place.textContent = sentence;
    place.hidden = !sentence;
  }
}
