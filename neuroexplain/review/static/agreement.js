// Makes a queue of what reviewers differ on, and goes there.

import { makeQueue } from "./newqueue.js";
import { announce } from "./review.js";

const form = document.getElementById("settle");

if (form) {
  form.hidden = false;
  form.addEventListener("submit", make);
}

async function make(event) {
  event.preventDefault();
  const button = form.querySelector("button");
  const trouble = document.getElementById("settle-trouble");
  button.disabled = true;
  trouble.hidden = true;
  const plan = {
    kind: "adjudication",
    name: form.elements.name.value,
    blind: form.elements.blind.checked ? "scores" : "none",
    n: Number(form.dataset.n),
    queue: form.dataset.queue || null,
  };
  try {
    const made = await makeQueue(plan);
    location.assign(`/queues/${made.uuid}`);
  } catch (error) {
    trouble.textContent = error.message;
    trouble.hidden = false;
    announce(error.message);
    button.disabled = false;
  }
}
