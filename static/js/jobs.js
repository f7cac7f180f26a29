// Two to eight ticked jobs can be compared: says how many more it takes. Without scripts the server says it.
const FEWEST = 2;
const MOST = 8;

const form = document.getElementById("choose");
const words = document.getElementById("chosen-words");

function update() {
  const count = form.querySelectorAll("input[name=job]:checked").length;
  form.querySelector("button").disabled = count < FEWEST || count > MOST;
  words.textContent = count > MOST ? words.dataset.many : count < FEWEST ? words.dataset.few : "";
}

if (form && words) {
  form.addEventListener("change", update);
  window.addEventListener("pageshow", update);
  update();
}
