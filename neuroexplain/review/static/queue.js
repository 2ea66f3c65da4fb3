// One decision, one key: the next item is there already, and the decision is written behind it.

import { Outbox } from "./outbox.js";
import { announce, call, forPage, uuid } from "./review.js";

const root = document.getElementById("queue");
const place = document.getElementById("place");
const { queue, mode, blind } = root.dataset;
const kind = { verdict: "verdict", pairwise: "preference", adjudication: "adjudication" }[mode];
const byId = (id) => document.getElementById(id);

const decided = new Set(); // places that were decided or skipped in this page, written or not yet
let ahead = []; // items that are ready
let fetching = null;
let since = performance.now();
let pausedAt = null;
let paused = 0;

// --- what is saved ------------------------------------------------------------------------------------------------

let retryTimer = null;
const outbox = new Outbox((waiting, error) => {
  byId("saved").textContent = error ? `not saved: ${waiting}` : waiting ? `saving ${waiting}…` : "saved";
  byId("saved").dataset.waiting = waiting;
  clearTimeout(retryTimer);
  if (error) {
    complain(`${waiting} not saved: ${error.message}. Trying again.`);
    retryTimer = setTimeout(() => outbox.retry(), 1500);
  } else complain("");
});

function complain(text) {
  byId("trouble").textContent = text;
  byId("trouble").hidden = !text;
}

// --- items --------------------------------------------------------------------------------------------------------

const current = () => place.querySelector(".item");
const position = () => Number(current().dataset.position);

async function items(path) {
  const answer = await fetch(`/queues/${queue}${path}`, { credentials: "same-origin" });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return [...page.querySelectorAll(".item")].map((item) => document.adoptNode(item));
}

/** Have the next items ready; those behind the last place first, then what was skipped. */
function refill() {
  fetching ??= (async () => {
    const known = new Set(ahead.map((item) => Number(item.dataset.position)));
    const last = Math.max(position(), ...known);
    for (const after of [last, -1]) {
      if (ahead.length >= 2) break;
      for (const item of await items(`/coming?after=${after}`)) {
        const at = Number(item.dataset.position);
        if (at !== position() && !decided.has(at) && !known.has(at)) {
          known.add(at);
          ahead.push(item);
        }
      }
    }
  })().finally(() => (fetching = null));
  return fetching;
}

function show(item) {
  place.replaceChildren(item);
  since = performance.now();
  paused = 0;
  pausedAt = document.hidden ? since : null;
  for (const input of document.querySelectorAll("#decide input")) {
    if (input.type === "radio") input.checked = false;
    else input.value = "";
  }
  history.replaceState(null, "", `/queues/${queue}?at=${position()}`);
  scrollTo(0, 0);
  item.focus({ preventScroll: true });
  announce(`Item ${position() + 1}`);
}

async function next() {
  if (!ahead.length) {
    // The server has to know what was decided before it can say what is left.
    try {
      await outbox.flush();
      await fetching;
      await refill();
    } catch (error) {
      return complain(error.message);
    }
  }
  if (ahead.length) {
    show(ahead.shift());
    refill().catch((error) => complain(error.message));
  } else end();
}

async function look(at) {
  const [item] = await items(`/items/${at}`);
  if (item) show(item);
}

function end() {
  place.replaceChildren();
  byId("decide").hidden = true;
  byId("end").hidden = false;
  byId("end-done").textContent = byId("done").textContent;
  byId("end").querySelector("h2").focus();
}

// --- deciding -----------------------------------------------------------------------------------------------------

function seconds() {
  const now = performance.now();
  return (now - since - paused - (pausedAt === null ? 0 : now - pausedAt)) / 1000;
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) pausedAt = performance.now();
  else if (pausedAt !== null) {
    paused += performance.now() - pausedAt;
    pausedAt = null;
  }
});

function saying(value) {
  if (value === null) return { kind: "skip" };
  if (mode === "pairwise") return { kind, winner: value, note: byId("note").value };
  const said = { kind, verdict: value, note: byId("note").value };
  if (mode === "adjudication") return said;
  const sure = document.querySelector("input[name=confidence]:checked");
  const tags = byId("tags").value.split(",").map((tag) => tag.trim()).filter(Boolean);
  return { ...said, tags, confidence: sure ? Number(sure.value) : null };
}

function decide(value) {
  const item = current();
  if (!item || ("writesFirst" in item.dataset && value !== null)) return;
  const at = position();
  const event = { uuid: uuid(), queue, position: at, seconds: seconds(), blind, said: saying(value) };
  const again = decided.has(at);
  decided.add(at);
  count(value !== null && !again ? 1 : 0);
  outbox.put(event, (error) => {
    decided.delete(at);
    count(value !== null && !again ? -1 : 0);
    if (current()) ahead.unshift(current());
    show(item);
    complain(`not saved: ${error.message}`);
  });
  next();
}

function count(by) {
  byId("done").textContent = Number(byId("done").textContent) + by;
  byId("left").textContent = Math.max(0, Number(byId("left").textContent) - by);
}

async function undo() {
  try {
    await outbox.flush();
    const undone = await call("POST", "/undo", { uuid: uuid(), queue });
    decided.delete(undone.position);
    if (undone.kind !== "skip" && undone.kind !== "own") count(-1);
    if (current()) ahead.unshift(current());
    byId("decide").hidden = false;
    byId("end").hidden = true;
    await look(undone.position);
    ahead = ahead.filter((item) => Number(item.dataset.position) !== undone.position);
    if (undone.said.note) byId("note").value = undone.said.note;
    announce(`taken back: ${undone.said.verdict ?? undone.said.winner ?? undone.kind}`);
    complain("");
  } catch (error) {
    complain(error.message);
  }
}

async function saveOwn() {
  const at = position();
  const text = place.querySelector(".own").value.trim();
  if (!text) return complain("write an explanation first");
  try {
    await call("POST", "/events", { uuid: uuid(), queue, position: at, seconds: seconds(), blind, said: { kind: "own", text } });
    await look(at);
    complain("");
  } catch (error) {
    complain(`not saved: ${error.message}`);
  }
}

// --- keys ---------------------------------------------------------------------------------------------------------

const shortcuts = byId("shortcuts");
shortcuts.checked = localStorage.getItem("shortcuts") !== "off";
shortcuts.addEventListener("change", () => localStorage.setItem("shortcuts", shortcuts.checked ? "on" : "off"));

const choices = new Map([...document.querySelectorAll("[data-key]")].map((b) => [b.dataset.key, b.dataset.value]));

function pressed(event) {
  if (event.key === "Escape" && document.activeElement !== document.body) return document.activeElement.blur();
  if (!forPage(event) || !shortcuts.checked || event.repeat) return;
  const onButton = event.target instanceof HTMLButtonElement || event.target instanceof HTMLAnchorElement || event.target.tagName === "SUMMARY";
  if (onButton && event.key === " ") return; // it presses the button
  const done = act(event.key);
  if (done) event.preventDefault();
}

function act(key) {
  if (choices.has(key)) decide(choices.get(key));
  else if (key === " ") decide(null);
  else if (key === "Backspace") undo();
  else if (key === "c") byId("note").focus();
  else if (key === "g" && byId("tags")) byId("tags").focus();
  else if (key === "v") root.classList.toggle("hide-simulated");
  else if (key === "?") byId("help").showModal();
  else if (/^[123]$/.test(key) && mode === "verdict") byId(`sure-${key}`).checked = true;
  else if (key === "j") look(position() + 1).catch(() => complain("this is the last item"));
  else if (key === "k") look(position() - 1).catch(() => complain("this is the first item"));
  else return false;
  return true;
}

document.addEventListener("keydown", pressed);
document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("button") : null;
  if (!button) return;
  if (button.dataset.value) decide(button.dataset.value);
  else if (button.id === "skip") decide(null);
  else if (button.id === "undo") undo();
  else if (button.id === "help-button") byId("help").showModal();
  else if (button.classList.contains("save-own")) saveOwn();
});
byId("decide").addEventListener("submit", (event) => {
  event.preventDefault(); // Enter in a field leaves it
  document.activeElement.blur();
});

history.replaceState(null, "", `/queues/${queue}?at=${position()}`);
refill().catch((error) => complain(error.message));
