// Choosing a part of a curve by pointer: drag over it, or turn the wheel with Ctrl. What it does, links and keys do too.

const LEAST_PX = 8;
const PER_TURN = 1.25;

export function grip({ canvas, chart }, { chosen, turned }) {
  const plot = canvas.parentElement;
  const mark = Object.assign(document.createElement("div"), { className: "dragged", hidden: true });
  plot.append(mark);
  let from = null;

  const at = (event) => {
    const { left, right } = chart().chartArea;
    return Math.min(Math.max(event.clientX - canvas.getBoundingClientRect().left, left), right);
  };
  const time = (x) => chart().scales.x.getValueForPixel(x);
  const leave = () => {
    from = null;
    mark.hidden = true;
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button || !event.isPrimary) return;
    from = at(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (from === null) return;
    const to = at(event);
    if (mark.hidden && Math.abs(to - from) < LEAST_PX) return;
    if (mark.hidden) canvas.setPointerCapture(event.pointerId);
    draw(mark, chart().chartArea, from, to);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (from !== null && !mark.hidden) chosen(time(from), time(at(event)));
    leave();
  });
  canvas.addEventListener("pointercancel", leave);
  window.addEventListener("keydown", ({ key }) => key === "Escape" && leave());
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      turned(time(at(event)), event.deltaY > 0 ? PER_TURN : 1 / PER_TURN);
    },
    { passive: false },
  );
}

function draw(mark, area, one, other) {
  mark.hidden = false;
  Object.assign(mark.style, {
    insetInlineStart: `${Math.min(one, other)}px`,
    insetBlockStart: `${area.top}px`,
    inlineSize: `${Math.abs(other - one)}px`,
    blockSize: `${area.bottom - area.top}px`,
  });
}
