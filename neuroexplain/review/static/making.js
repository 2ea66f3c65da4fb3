// A queue of what a query finds: a form that asks the interface for it and goes there.
import { makeQueue } from "./newqueue.js";

const form = document.getElementById("make-queue");

/** What the form says, as the interface wants it. */
function wanted() {
  const said = new FormData(form);
  return {
    name: said.get("name"),
    kind: said.get("kind"),
    blind: said.get("blind"),
    query: form.dataset.query,
    n: Number(said.get("n")),
    seed: Number(said.get("seed")),
    shared: Number(said.get("shared")) / 100,
    skip: said.get("skip") ? "own" : "none",
  };
}

async function make(event) {
  event.preventDefault();
  const button = form.querySelector("button");
  const said = document.getElementById("make-error");
  button.disabled = true;
  said.hidden = true;
  try {
    const queue = await makeQueue(wanted());
    location.assign(`/queues/${queue.uuid}`);
  } catch (error) {
    said.textContent = error.message;
    said.hidden = false;
    button.disabled = false;
  }
}

if (form) {
  document.getElementById("make").hidden = false;
  form.addEventListener("submit", make);
}
