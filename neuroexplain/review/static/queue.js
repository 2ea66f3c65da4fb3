// One decision, one key: the next item is there already, and the decision is written behind it.

import { openEdit } from "./edit.js";
import * as fields from "./fields.js";
import { draw, marking, marks } from "./marking.js";
import { Outbox } from "./outbox.js";
import { announce, call, element, forPage, uuid } from "./review.js";

const root = document.getElementById("queue");
const place = document.getElementById("place");
const { queue, mode } = root.dataset;
const kind = { verdict: "verdict", pairwise: "preference", adjudication: "adjudication" }[mode];
const byId = (id) => document.getElementById(id);

const AHEAD = 3; // items to have ready
const LONGEST_TAG = 60;
const decided = new Set(); // places that were decided in this page, written or not yet
const skipped = new Set(); // places that were skipped, and wait until nothing else is left
let ahead = []; // items that are ready
let fetching = null;
const drafts = new Map(); // what stands in the fields of places that are not shown
const refused = new Map(); // decisions that the server did not take, by place
let waiting = false; // for an item: a second key must not decide the same one again
let undoing = 0; // decisions that are being taken back: the next key is meant for what comes back
let moving = Promise.resolve(); // the next item is shown, or the end
let looking = 0; // whatever was asked for before is out of date
let since = performance.now();
let pausedAt = null;
let paused = 0;

// --- what is saved ------------------------------------------------------------------------------------------------

let stuck = false;
const outbox = new Outbox((unsaved, error) => {
  const lost = unsaved + refused.size;
  byId("saved").textContent = error || (refused.size && !unsaved) ? `not saved: ${lost}` : unsaved ? `saving ${unsaved}…` : "saved";
  byId("saved").dataset.unsaved = lost;
  if (error) complain(`${unsaved} not saved: ${error.message}. Trying again.`);
  else if (stuck) complain("");
  stuck = Boolean(error);
  if (!unsaved && !waiting && left()) next(); // it stood there because nothing could be fetched
});
addEventListener("beforeunload", (event) => {
  if (refused.size) event.preventDefault();
});

function complain(text) {
  byId("trouble").textContent = text;
  byId("trouble").hidden = !text;
}

// --- items --------------------------------------------------------------------------------------------------------

/** Whether the item before the reviewer is decided, and only waits for the next one. */
const left = () => Boolean(current() && "left" in current().dataset);
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
  if (at !== position() && !known && !decided.has(at) && !skipped.has(at)) ahead.push(refused.get(at)?.item ?? item);
}

function show(item) {
  looking += 1;
  if (current() && fields.any()) drafts.set(position(), fields.read());
  delete item.dataset.left;
  place.replaceChildren(item);
  ahead = ahead.filter((other) => other.dataset.position !== item.dataset.position);
  root.dataset.ready = ahead.length;
  since = performance.now();
  paused = 0;
  pausedAt = document.hidden ? since : null;
  fields.write(drafts.get(position()));
  drafts.delete(position());
  byId("decide").hidden = false;
  byId("end").hidden = true;
  history.replaceState(null, "", `/queues/${queue}?at=${position()}`);
  scrollTo(0, 0);
  item.focus({ preventScroll: true });
  announce(`Item ${position() + 1}`);
}

async function next() {
  waiting = true;
  root.setAttribute("aria-busy", "true");
  try {
    if (!ahead.length) await catchUp();
    if (!ahead.length) return end();
    show(ahead.shift());
    refill().catch((error) => complain(error.message));
  } catch (error) {
    complain(error.message);
  } finally {
    waiting = false;
    root.removeAttribute("aria-busy");
  }
}

/** Ask for what is left once the server knows of every decision; skipped items come back when there is nothing else. */
async function catchUp() {
  await outbox.flush();
  await fetching;
  await refill();
  if (!ahead.length && skipped.size) {
    skipped.clear();
    await refill();
  }
  // The one before the reviewer may be the last that is left.
  if (!ahead.length && current() && !decided.has(position())) ahead.push(current());
}

async function fetched(at) {
  return refused.get(at)?.item ?? (await items(`/items/${at}`))[0];
}

/** Show another item, unless the reviewer goes on with this one before it is there. */
async function look(at) {
  if (undoing || waiting) return;
  const asked = ++looking;
  const item = await fetched(at);
  if (item && asked === looking) show(item);
}

/** Show an item out of turn; what stands there now and is not decided comes after it. */
function putBefore(item) {
  const was = current();
  show(item);
  if (was && was.dataset.position !== item.dataset.position && !decided.has(Number(was.dataset.position))) ahead.unshift(was);
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
  const { note, ...more } = fields.read();
  if (mode === "pairwise") return { kind, winner: value, note };
  const said = { kind, verdict: value, note };
  if (more.rewrite && more.rewrite === original()) more.rewrite = ""; // looked at, and left as it was
  return mode === "adjudication" ? said : { ...said, ...more };
}

const original = () => JSON.parse(place.querySelector(".explanation").dataset.target).text;

/** Why what stands in the fields cannot be sent; null where it can. */
function trouble() {
  const long = (fields.read().tags ?? []).find((tag) => tag.length > LONGEST_TAG);
  return long ? `a tag has at most ${LONGEST_TAG} letters, and "${long.slice(0, 20)}…" has ${long.length}` : null;
}

function decide(value) {
  const item = current();
  if (!item || left() || waiting || undoing || (mode === "simulation" && value !== null) || ("writesFirst" in item.dataset && value !== null)) return;
  if (value !== null && trouble()) return complain(trouble());
  const said = saying(value);
  put("/events", { said }, item, value !== null);
}

/** Send a decision on its way, and show the next item. */
function put(path, what, item, counts, written) {
  const at = position();
  const by = counts && !decided.has(at) && !("decided" in item.dataset) ? 1 : 0;
  const said = fields.read();
  (counts ? decided : skipped).add(at);
  item.dataset.left = "";
  ahead = ahead.filter((other) => other.dataset.position !== item.dataset.position);
  count(by);
  complain("");
  pardon(at);
  fields.write();
  if (!counts) drafts.set(at, said);
  const failed = (error) => {
    decided.delete(at);
    skipped.delete(at);
    count(-by);
    refuse(at, item, said, error);
  };
  outbox.put(path, { uuid: uuid(), queue, position: at, seconds: seconds(), ...what }, { written, failed });
  const turn = next();
  moving = moving.then(() => turn);
}

/** Keep what was refused, and say so; the item before the reviewer stays. */
function refuse(at, item, said, error) {
  delete item.dataset.left;
  if (current() && position() === at && !fields.any()) fields.write(said);
  else if (!drafts.has(at)) drafts.set(at, said);
  const line = element("li", {}, `Item ${at + 1} is not saved: ${error.message} `);
  line.append(element("button", { type: "button", onclick: () => goBack(at) }, `Go back to item ${at + 1}`));
  refused.set(at, { item, line });
  byId("refused").append(line);
}

/** It is decided anew, or taken back. */
function pardon(at) {
  refused.get(at)?.line.remove();
  refused.delete(at);
}

async function goBack(at) {
  await moving;
  const held = refused.get(at);
  if (held && !(current() && position() === at)) putBefore(held.item);
  else current()?.focus({ preventScroll: true });
}

function edit() {
  const shown = place.querySelector(".explanation");
  if (!byId("rewrite") || !shown) return;
  if (!byId("rewrite").value) fields.suggest(original());
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
  dialog.addEventListener("close", () => fields.suggest(byId("edit-text").value), { once: true });
}

function handIn() {
  const item = current();
  if (!item || left() || waiting || undoing) return;
  put("/simulations", { spans: marks(item) }, item, true, simulated);
}

const isMarked = () => Boolean(current()) && marks(current()).some(({ levels }) => levels.some(Boolean));

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

/** It waits its turn behind the decisions, and under its uuid it takes back one of them, however often it is sent. */
function undo() {
  undoing += 1;
  const done = () => (undoing -= 1);
  complain("");
  outbox.put("/undo", { uuid: uuid(), queue }, {
    written: (undone) => {
      decided.delete(undone.position);
      skipped.delete(undone.position);
      if (undone.kind !== "skip" && undone.kind !== "own") count(-1);
      moving = moving.then(() => takenBack(undone)).catch((error) => complain(error.message)).finally(done);
    },
    failed: (error) => {
      done();
      complain(`not taken back: ${error.message}`);
    },
  });
}

async function takenBack({ kind, position: at, said }) {
  const item = await fetched(at);
  if (kind !== "skip" && kind !== "own") drafts.set(at, said);
  if (said.spans) draw(item, said.spans);
  putBefore(item);
  announce(`taken back: ${said.verdict ?? said.winner ?? kind}`);
}

async function saveOwn() {
  const at = position();
  const text = place.querySelector(".own").value.trim();
  if (!text) return complain("write an explanation first");
  try {
    await call("POST", "/events", { uuid: uuid(), queue, position: at, seconds: seconds(), said: { kind: "own", text } });
    complain("");
    if (current() && position() === at) await look(at);
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
  else if (mode === "simulation" && key === "Enter") handIn();
  else if (mode === "simulation" && key === " " && isMarked()) complain("there are marks: enter hands them in, the button skips");
  else if (key === " ") decide(null);
  else if (key === "Backspace") undo();
  else if (key === "c") byId("note").focus();
  else if (key === "g" && byId("tags")) byId("tags").focus();
  else if (key === "e") edit();
  else if (key === "v") root.classList.toggle("hide-simulated");
  else if (key === "?") byId("help").showModal();
  else if (/^[123]$/.test(key) && mode === "verdict") byId(`sure-${key}`).checked = true;
  else if (key === "j" && current()) look(position() + 1).catch(() => complain("this is the last item"));
  else if (key === "k" && current()) look(position() - 1).catch(() => complain("this is the first item"));
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
for (const part of [byId("decide"), place]) part.addEventListener("input", () => (looking += 1));
byId("decide").addEventListener("submit", (event) => event.preventDefault());

marking(place, handIn, () => shortcuts.checked);
history.replaceState(null, "", `/queues/${queue}?at=${position()}`);
refill().catch((error) => complain(error.message));
