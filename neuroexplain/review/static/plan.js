// The form of a new queue: shows the fields of its kind, and sends those alone.
import { makeQueue } from "./newqueue.js";

const form = document.getElementById("plan-form");

/** Which fields belong to what is chosen: a kind, or a kind of disagreement. */
function show() {
  const kind = form.elements.kind.value;
  const kinds = [kind, `${kind}-${form.elements.between.value}`];
  for (const part of form.querySelectorAll("[data-for]")) {
    part.hidden = !part.dataset.for.split(" ").some((one) => kinds.includes(one));
    for (const field of part.querySelectorAll("input, select")) field.disabled = part.hidden;
  }
}

/** What the form says, as the interface wants it; fields that are not shown are not sent. */
function wanted() {
  const said = new FormData(form);
  const plan = { name: said.get("name"), kind: said.get("kind"), blind: said.get("blind") };
  for (const name of ["query", "allocation", "bins", "between", "skip", "queue"]) {
    if (said.get(name)) plan[name] = said.get(name);
  }
  for (const name of ["n", "seed", "above"]) if (said.get(name)) plan[name] = Number(said.get(name));
  for (const name of ["strata", "methods", "measures"]) if (said.has(name)) plan[name] = said.getAll(name);
  plan.shared = Number(said.get("shared")) / 100;
  return plan;
}

async function make(event) {
  event.preventDefault();
  const button = form.querySelector("button");
  const error = document.getElementById("plan-error");
  button.disabled = true;
  error.hidden = true;
  try {
    const queue = await makeQueue(wanted());
    location.assign(`/queues/${queue.uuid}`);
  } catch (trouble) {
    error.textContent = trouble.message;
    error.hidden = false;
    button.disabled = false;
  }
}

if (form) {
  form.hidden = false;
  form.addEventListener("change", show);
  form.addEventListener("submit", make);
  show();
}
