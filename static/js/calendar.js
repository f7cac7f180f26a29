// Arrow keys move through the days of a calendar; Home and End go to a month's first and last one. One day at a time is in
// the order of tabs, so that the keyboard passes the year by in one step.
const table = document.querySelector("table.calendar");

function days() {
  return [...table.querySelectorAll("tbody td a")];
}

function place(link) {
  const cell = link.closest("td");
  return { row: cell.parentElement.rowIndex, column: cell.cellIndex };
}

function at(row, column) {
  return table.rows[row]?.cells[column]?.querySelector("a") ?? null;
}

function towards(link, key) {
  const every = days();
  const index = every.indexOf(link);
  const { row, column } = place(link);
  const month = every.filter((other) => place(other).row === row);
  switch (key) {
    case "ArrowRight": return every[index + 1];
    case "ArrowLeft": return every[index - 1];
    case "ArrowDown": return at(row + 1, column);
    case "ArrowUp": return row > 1 ? at(row - 1, column) : null;
    case "Home": return month.at(0);
    case "End": return month.at(-1);
    default: return undefined;
  }
}

function choose(link) {
  for (const other of days()) other.tabIndex = other === link ? 0 : -1;
}

if (table) {
  const last = days().at(-1);
  if (last) choose(last);
  table.addEventListener("keydown", (event) => {
    const link = event.target.closest("td a");
    if (!link || event.ctrlKey || event.metaKey || event.altKey) return;
    const next = towards(link, event.key);
    if (next === undefined) return;
    event.preventDefault();
    if (next) {
      choose(next);
      next.focus();
    }
  });
}
