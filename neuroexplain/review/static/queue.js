// One decision, one key: the next item is there already, and the decision is written behind it.

import { openEdit } from "./edit.js";
import { marking, marks } from "./marking.js";
import { Outbox } from "./outbox.js";
import { announce, call, forPage, uuid } from "./review.js";

const root = document.getElementById("queue");
const place = document.getElementById("place");
const { queue, mode, blind } = root.dataset;
const kind = { verdict: "verdict", pairwise: "preference", adjudication: "adjudication" }[mode];
const byId = (id) => document.getElementById(id);

const AHEAD = 3; // items to have ready
const decided = new Set(); // places that were decided in this page, written or not yet
const skipped = new Set(); // places that were skipped, and wait until nothing else is left
let ahead = []; // items that are ready
let fetching = null;
let waiting = false;
let since = performance.now();
let pausedAt = null;
let paused = 0;

// --- what is saved ------------------------------------------------------------------------------------------------

let retryTimer = null;
const outbox = new Outbox((unsaved, error) => {
  byId("saved").textContent = error ? `not saved: ${unsaved}` : unsaved ? `saving ${unsaved}…` : "saved";
  byId("saved").dataset.unsaved = unsaved;
  clearTimeout(retryTimer);
  if (error) {
    complain(`${unsaved} not saved: ${error.message}. Trying again.`);
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

/** Have the next items ready: those behind the last place first, then what was passed over. */
function refill() {
  fetching ??= (async () => {
    const last = Math.max(position(), ...ahead.map((item) => Number(item.dataset.position)));
    for (const after of [last, -1]) {
      if (ahead.length < AHEAD) (await items(`/coming?after=${after}`)).forEach(admit);
    }
  })().finally(() => {
    fetching = null;
    root.dataset.ready = ahead.length;
  });
  return fetching;
}

function admit(item) {
  const at = Number(item.dataset.position);
  const known = ahead.some((other) => other.dataset.position === item.dataset.position);
  if (at !== position() && !known && !decided.has(at) && !skipped.has(at)) ahead.push(item);
}

function show(item) {
  place.replaceChildren(item);
  root.dataset.ready = ahead.length;
  since = performance.now();
  paused = 0;
  pausedAt = document.hidden ? since : null;
  for (const input of document.querySelectorAll("#decide input")) {
    if (input.type === "radio") input.checked = false;
    else input.value = "";
  }
  if (byId("rewrite")) suggest("");
  history.replaceState(null, "", `/queues/${queue}?at=${position()}`);
  scrollTo(0, 0);
  item.focus({ preventScroll: true });
  announce(`Item ${position() + 1}`);
}

async function next() {
  waiting = true; // for an item: a second key must not decide the same one again
  try {
    if (!ahead.length) await catchUp();
    if (!ahead.length) return end();
    show(ahead.shift());
    waiting = false;
    await refill();
  } catch (error) {
    complain(error.message);
  } finally {
    waiting = false;
  }
}

/** Ask for what is left once the server knows of every decision; skipped items come back when there is nothing else. */
async function catchUp() {
  await outbox.flush();
  await fetching;
  await refill();
  if (ahead.length || !skipped.size) return;
  skipped.clear();
  await refill();
  // The one before the reviewer may be the last that is left.
  if (!ahead.length && current() && !decided.has(position())) ahead.push(current());
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
  const rewrite = byId("rewriting").hidden ? "" : byId("rewrite").value.trim();
  return { ...said, tags, rewrite, confidence: sure ? Number(sure.value) : null };
}

function decide(value) {
  const item = current();
  if (!item || waiting || (mode === "simulation" && value !== null) || ("writesFirst" in item.dataset && value !== null)) return;
  const said = saying(value);
  put("/events", { said, blind }, item, value !== null, () => restore(said));
}

/** Send a decision on its way, and show the next item. */
function put(path, what, item, counts, again, written) {
  const at = position();
  const by = counts && !decided.has(at) && !("decided" in item.dataset) ? 1 : 0;
  (counts ? decided : skipped).add(at);
  ahead = ahead.filter((other) => other.dataset.position !== item.dataset.position);
  count(by);
  const failed = (error) => {
    decided.delete(at);
    skipped.delete(at);
    count(-by);
    if (current()) ahead.unshift(current());
    show(item);
    again();
    complain(`not saved: ${error.message}`);
  };
  outbox.put(path, { uuid: uuid(), queue, position: at, seconds: seconds(), ...what }, { written, failed });
  next();
}

/** What was said stands in the fields again. */
function restore(said) {
  byId("note").value = said.note ?? "";
  if (byId("tags")) byId("tags").value = (said.tags ?? []).join(", ");
  if (said.confidence && mode === "verdict") byId(`sure-${said.confidence}`).checked = true;
  if (byId("rewrite")) suggest(said.rewrite ?? "");
}

/** The field for a better text, which goes with the verdict. */
function suggest(text) {
  byId("rewrite").value = text;
  byId("rewriting").hidden = !text;
}

function edit() {
  const shown = place.querySelector(".explanation");
  if (!byId("rewrite") || !shown) return;
  if (!byId("rewrite").value) suggest(JSON.parse(shown.dataset.target).text);
  byId("rewriting").hidden = false;
  byId("rewrite").focus();
}

/** Score a better text at once; its score stands beside the old one's. */
function score() {
  const { neuron, text } = JSON.parse(place.querySelector(".explanation").dataset.target);
  const better = byId("rewrite").value;
  const dialog = byId("edit");
  openEdit({ neuron, text, onSaved: () => dialog.close() });
  byId("edit-text").value = better || text;
  dialog.addEventListener("close", () => suggest(byId("edit-text").value), { once: true });
}

function handIn() {
  const item = current();
  if (!item || waiting) return;
  put("/simulations", { spans: marks(item) }, item, true, () => {}, simulated);
}

/** How the reviewer's last marks did. */
function simulated(answer) {
  const known = ({ value, reason }) => (value === null ? `undefined, ${reason}` : value.toFixed(3));
  const others = answer.beside.map((each) => `${each.simulator} ${known(each)}`).join(", ");
  byId("last").textContent = `Item ${answer.event.position + 1}: ${answer.scorer} ${known(answer)}${others ? `; on the same spans ${others}` : ""}.`;
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
    skipped.delete(undone.position);
    if (undone.kind !== "skip" && undone.kind !== "own") count(-1);
    if (current()) ahead.unshift(current());
    byId("decide").hidden = false;
    byId("end").hidden = true;
    await look(undone.position);
    ahead = ahead.filter((item) => Number(item.dataset.position) !== undone.position);
    restore(undone.said);
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
  const inField = document.activeElement instanceof HTMLInputElement;
  if (event.key === "Escape" || (event.key === "Enter" && inField)) document.activeElement.blur();
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
  else if (key === "e") edit();
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
  else if (button.id === "improve") edit();
  else if (button.id === "score-rewrite") score();
  else if (button.id === "submit-marks") handIn();
  else if (button.classList.contains("save-own")) saveOwn();
});
byId("decide").addEventListener("submit", (event) => event.preventDefault());

marking(place, handIn, () => shortcuts.checked);
history.replaceState(null, "", `/queues/${queue}?at=${position()}`);
refill().catch((error) => complain(error.message));
