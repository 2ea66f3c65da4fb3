// A blind queue of pairs by the two methods that are compared.
import { makeQueue } from "./newqueue.js";

const form = document.getElementById("pairs");

async function make(event) {
  event.preventDefault();
  const { first, second } = form.dataset;
  const button = form.querySelector("button");
  const error = document.getElementById("pairs-error");
  button.disabled = true;
  error.hidden = true;
  try {
    const plan = { kind: "pairs", blind: "scores", methods: [first, second], n: Number(form.elements.n.value), shared: 1 };
    const queue = await makeQueue({ name: `${first} against ${second}`.slice(0, 200), ...plan });
    location.assign(`/queues/${queue.uuid}`);
  } catch (trouble) {
    error.textContent = trouble.message;
    error.hidden = false;
    button.disabled = false;
  }
}

if (form) {
  form.hidden = false;
  form.addEventListener("submit", make);
}
