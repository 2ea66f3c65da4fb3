// The neuron page: simulated rows on and off, verdicts on its explanations by keys, and parts that are loaded when wanted.

import { Outbox } from "./outbox.js";
import { announce, element, forPage, uuid } from "./review.js";

const evidence = document.getElementById("evidence");
const all = document.getElementById("toggle-simulated");
const each = [...document.querySelectorAll("[data-simulated]")];
const rows = [...document.querySelectorAll(".matrix tbody tr")];
let since = performance.now(); // when the reader began to think of the next decision
const made = []; // verdicts of this page that can be taken back here, with their rows

// Simulated rows.

function show(button, on) {
  button.setAttribute("aria-pressed", String(on));
  const own = evidence.querySelectorAll(`.simulated[data-explanation="${button.dataset.simulated}"]`);
  for (const row of own) row.hidden = !on;
}

function toggle(button) {
  show(button, button.getAttribute("aria-pressed") !== "true");
  all.setAttribute("aria-pressed", String(each.some((other) => other.getAttribute("aria-pressed") === "true")));
}

function toggleAll() {
  const on = all.getAttribute("aria-pressed") !== "true";
  for (const button of each) show(button, on);
  all.setAttribute("aria-pressed", String(on));
  announce(on ? "simulated rows are shown" : "simulated rows are hidden");
}

all?.addEventListener("click", toggleAll);
for (const button of each) button.addEventListener("click", () => toggle(button));

// Verdicts.

/** The neuron and the text that a row is about: as JSON, for an attribute cannot hold every character; null for a failure. */
function target(row) {
  return row.dataset.target ? JSON.parse(row.dataset.target) : null;
}

function said(row, text) {
  const details = row.querySelector(".judge");
  let line = details.parentElement.querySelector(".said");
  if (!line) details.before((line = element("p", { class: "said" })));
  row.querySelector(".unjudged")?.remove();
  line.textContent = text;
  announce(text);
}

const outbox = new Outbox((unsaved, error) => {
  if (error) announce(`${unsaved} not saved: ${error.message}. Trying again.`);
});

function judge(button) {
  const row = button.closest("tr");
  const { verdict } = button.dataset;
  const one = { uuid: uuid(), row };
  const seconds = (performance.now() - since) / 1000;
  since = performance.now();
  made.push(one);
  said(row, "saving…");
  outbox.put("/events", { uuid: one.uuid, target: target(row), seconds, said: { kind: "verdict", verdict } }, {
    written: () => said(row, `saved: ${button.firstChild.textContent.trim().toLowerCase()}`),
    failed: (error) => {
      if (made.includes(one)) made.splice(made.indexOf(one), 1);
      said(row, `not saved: ${error.message}`);
    },
  });
}

/** Take back the newest verdict of this page, by its name: whatever was done since, here or elsewhere, stays. */
function undo() {
  const one = made.pop();
  if (!one) return announce("nothing was decided on this page");
  outbox.put("/undo", { uuid: uuid(), event: one.uuid }, {
    written: () => said(one.row, "taken back"),
    failed: (error) => said(one.row, `not taken back: ${error.message}`),
  });
}

for (const button of document.querySelectorAll("[data-verdict]")) button.addEventListener("click", () => judge(button));

// Keys.

function current() {
  return rows.findIndex((row) => row.contains(document.activeElement));
}

function move(step) {
  const at = current();
  const to = at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + step, 0), rows.length - 1);
  const details = rows[to]?.querySelector(".judge");
  if (details) details.open = true;
  rows[to]?.focus();
  rows[to]?.scrollIntoView({ block: "nearest" });
}

function press(key) {
  const row = rows[current()];
  if (!row) return false;
  const button = key === "e" ? row.querySelector("[data-edit]") : row.querySelector(`[data-key="${CSS.escape(key)}"]`);
  button?.click();
  return Boolean(button);
}

const KEYS = { v: () => all && toggleAll(), j: () => move(1), k: () => move(-1), Backspace: undo };

document.addEventListener("keydown", (event) => {
  if (!forPage(event) || localStorage.getItem("shortcuts") === "off") return;
  const own = Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : null;
  if (event.repeat && !"jk".includes(event.key)) return;
  if (own) own();
  if (own || press(event.key)) event.preventDefault();
});

// Parts of other pages, shown in this one.

async function part(address, id) {
  const answer = await fetch(address, { credentials: "same-origin" });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const found = page.getElementById(id) ?? page.querySelector("main p");
  return document.importNode(found, true);
}

async function provenance(link) {
  const close = element("button", { type: "button", autofocus: true, onclick: () => dialog.close() }, "Close ", element("kbd", {}, "esc"));
  const dialog = element("dialog", { class: "provenance", "aria-label": "Where it comes from" }, close, await part(link.href, "provenance"));
  dialog.addEventListener("close", () => {
    dialog.remove();
    link.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
}

for (const link of document.querySelectorAll(".comes-from")) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    provenance(link).catch(() => location.assign(link.href));
  });
}

// What takes a search is sought once it comes into view.
const related = document.getElementById("related");
new IntersectionObserver(async (seen, observer) => {
  if (!seen.some((entry) => entry.isIntersecting)) return;
  observer.disconnect();
  const link = related.querySelector("a");
  const found = await part(link.href, "related-neurons").catch(() => null);
  if (found) link.parentElement.replaceWith(found);
}).observe(related);
