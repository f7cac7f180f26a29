// Parts of a page that go on changing: [data-refresh] is fetched anew, ever more rarely, for as long as it says so.
// Nothing is replaced while somebody has the keyboard in it, and nothing is fetched while nobody looks.
const FIRST_MS = 1_000;
const LONGEST_MS = 15_000;
const SLOWER = 1.15;

async function fresh(id) {
  const answer = await fetch(window.location.href, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer?.ok || answer.redirected) return null;
  return new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(id);
}

async function renew(part, wait) {
  if (document.hidden || part.contains(document.activeElement)) return later(part, wait);
  const other = await fresh(part.id);
  if (!other) return later(part, LONGEST_MS);
  if (other.innerHTML !== part.innerHTML && !part.contains(document.activeElement)) {
    part.replaceChildren(...other.childNodes);
  }
  if (other.dataset.refresh === undefined) delete part.dataset.refresh;
  else later(part, Math.min(wait * SLOWER, LONGEST_MS));
}

function later(part, wait) {
  setTimeout(() => renew(part, wait), wait);
}

for (const part of document.querySelectorAll("[data-refresh][id]")) later(part, FIRST_MS);
