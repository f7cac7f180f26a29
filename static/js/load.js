// Parts of a page that come after it, each in the place of a link that leads to the same: [data-load] has the address.
import { addCopyButtons } from "./copy.js";

export function loadParts() {
  for (const place of document.querySelectorAll("[data-load]")) load(place);
}

async function load(place) {
  const answer = await fetch(place.dataset.load, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer?.ok || answer.redirected) return; // the link stays
  const part = new DOMParser().parseFromString(await answer.text(), "text/html").body;
  place.replaceChildren(...part.childNodes);
  addCopyButtons(place);
}
