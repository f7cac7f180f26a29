// The form that gives files: says at once what is too large, and shows how much is sent. Without it the form works too.
const form = document.getElementById("give");
const files = form.querySelector("input[type=file]");
const bar = form.querySelector("progress");
const words = form.querySelector("[role=status]");
const MIB = 2 ** 20;

function total() {
  return [...files.files].reduce((sum, file) => sum + file.size, 0);
}

function tooLarge() {
  return total() > Number(form.dataset.mostMib) * MIB;
}

function say(text) {
  words.textContent = text;
}

function send() {
  const request = new XMLHttpRequest();
  const button = form.querySelector("button.primary");
  button.disabled = true;
  bar.hidden = false;
  request.upload.addEventListener("progress", ({ loaded, total: all }) => {
    bar.value = loaded / all;
    say(`${Math.floor((100 * loaded) / all)} % ${form.dataset.sent}`);
  });
  request.addEventListener("load", () => show(request));
  for (const fault of ["error", "abort", "timeout"]) {
    request.addEventListener(fault, () => {
      button.disabled = false;
      bar.hidden = true;
      say(form.dataset.broken);
    });
  }
  request.open("POST", form.action || window.location.href);
  request.send(new FormData(form));
}

// Where it leads on, go there; else the same form with what is wrong takes the place of this one.
function show(request) {
  if (request.responseURL && request.responseURL !== window.location.href) {
    window.location.assign(request.responseURL);
    return;
  }
  const page = new DOMParser().parseFromString(request.responseText, "text/html");
  const errors = [...page.querySelectorAll("#give .error")];
  form.querySelectorAll(".error").forEach((error) => error.remove());
  for (const error of errors) {
    const field = error.closest("[data-option]")?.dataset.option;
    const place = field && form.querySelector(`[data-option="${field}"]`);
    if (place) place.append(document.importNode(error, true));
    else form.prepend(document.importNode(error, true));
  }
  const plain = (request.getResponseHeader("Content-Type") ?? "").startsWith("text/plain");
  if (!errors.length) say(plain ? request.responseText : form.dataset.broken);
  form.querySelector("button.primary").disabled = false;
  bar.hidden = true;
  bar.value = 0;
  form.querySelector(".error")?.scrollIntoView({ block: "nearest" });
}

files.addEventListener("change", () => say(tooLarge() ? form.dataset.tooLarge : ""));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (tooLarge()) say(form.dataset.tooLarge);
  else {
    say("");
    send();
  }
});
