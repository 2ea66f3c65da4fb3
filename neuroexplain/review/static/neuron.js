// The neuron page: simulated rows on and off, and a verdict on any of its explanations.

import { announce, call, element, forPage, uuid } from "./review.js";

const button = document.getElementById("toggle-simulated");
const evidence = document.getElementById("evidence");
const shown = performance.now();

function toggle() {
  const hidden = evidence.classList.toggle("hide-simulated");
  button.setAttribute("aria-pressed", String(!hidden));
}

button.addEventListener("click", toggle);
document.addEventListener("keydown", (event) => {
  if (event.key === "v" && forPage(event) && localStorage.getItem("shortcuts") !== "off") toggle();
});

async function judge(pressed) {
  const details = pressed.closest(".judge");
  const { neuron, text } = details.dataset;
  const verdict = pressed.dataset.verdict;
  const seconds = (performance.now() - shown) / 1000;
  let said = details.querySelector(".said");
  if (!said) {
    said = element("p", { class: "said", role: "status" });
    details.append(said);
  }
  try {
    await call("POST", "/events", { uuid: uuid(), target: { neuron, text }, seconds, said: { kind: "verdict", verdict } });
    said.textContent = `saved: ${verdict.replace("-", " ")}`;
    announce(said.textContent);
  } catch (error) {
    said.textContent = `not saved: ${error.message}`;
  }
}

for (const each of document.querySelectorAll("[data-verdict]")) each.addEventListener("click", () => judge(each));
