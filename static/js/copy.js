// A button behind each text that is meant to be pasted elsewhere. Its words come from the page: data-copy, data-copied.
// Where the browser gives no clipboard (no HTTPS) the button marks the text instead.
export function addCopyButtons(part) {
  for (const text of part.querySelectorAll("[data-copy]")) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "copy", textContent: text.dataset.copy });
    const said = document.createElement("span");
    said.setAttribute("role", "status");
    said.className = "fine";
    button.addEventListener("click", () => copy(text, said));
    text.after(button, " ", said);
  }
}

async function copy(text, said) {
  try {
    await navigator.clipboard.writeText(text.textContent.trim());
  } catch {
    window.getSelection().selectAllChildren(text);
    return;
  }
  said.textContent = text.dataset.copied;
  setTimeout(() => {
    said.textContent = "";
  }, 4000);
}

addCopyButtons(document);
