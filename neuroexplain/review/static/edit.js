// Edit an explanation and have it scored: the edit is saved first, and the scores come when they are there.

import { announce, call, element, uuid } from "./review.js";

const byId = (id) => document.getElementById(id);
const dialog = byId("edit");
const POLL = { first: 200, last: 2000, grows: 1.3 }; // milliseconds between two looks at a job
const REASONS = {
  before_undefined: "the old score is undefined",
  after_undefined: "the new score is undefined",
  not_calibrated: "there is nothing to calibrate on",
  too_few_tokens: "both predict too few tokens",
};

let edited = null; // what is being edited: neuron, text, onSaved
let sent = null; // what was sent last, so that sending it again is the same edit
let looking = 0; // counts openings and edits: what an earlier one finds out is not shown

/** Open the dialog on an explanation. `onSaved(result)` is called when the reader wants to see the new one. */
export async function openEdit({ neuron, text, onSaved = reload }) {
  edited = { neuron, text, onSaved };
  sent = null;
  looking += 1;
  byId("edit-text").value = text;
  byId("edit-result").hidden = true;
  note("");
  complain("");
  busy(false);
  dialog.showModal();
  byId("edit-text").focus();
  try {
    offer(await call("GET", "/simulators"));
  } catch (error) {
    complain(error.message);
  }
}

function offer({ default: chosen, llm, simulators }) {
  const select = byId("edit-simulator");
  const before = select.value || chosen;
  const options = simulators.map(({ name, does, why_not }) =>
    element("option", { value: name, disabled: Boolean(why_not), "data-does": does }, why_not ? `${name} (${why_not})` : name),
  );
  select.replaceChildren(...options);
  select.value = options.some((option) => option.value === before && !option.disabled) ? before : chosen;
  select.dataset.llm = llm ?? "";
  describe();
}

function describe() {
  const select = byId("edit-simulator");
  const { llm } = select.dataset;
  const does = select.selectedOptions[0]?.dataset.does ?? "";
  byId("edit-does").textContent = llm ? `${does} It asks ${llm}.` : does;
}

async function save(event) {
  event.preventDefault();
  const own = (looking += 1);
  const what = {
    neuron: edited.neuron,
    parent: edited.text,
    text: byId("edit-text").value,
    simulator: byId("edit-simulator").value || null,
    reveal: new URLSearchParams(location.search).get("reveal") === "1",
  };
  const same = sent && Object.keys(what).every((key) => sent[key] === what[key]);
  if (!same) sent = { uuid: uuid(), ...what };
  complain("");
  busy(true);
  note("saving…");
  byId("edit-result").hidden = true;
  try {
    const job = await finished(await call("POST", "/rescorings", sent), () => own === looking && dialog.open);
    if (job) done(job);
  } catch (error) {
    if (own !== looking) return;
    note("");
    complain(error.message);
    byId("edit-text").focus();
  } finally {
    if (own === looking) busy(false);
  }
}

/** Look at a job until it has ended; null when nobody waits for it any more. */
async function finished(job, isWanted) {
  let wait = POLL.first;
  while (job.state === "queued" || job.state === "running") {
    note(`saved; ${job.note || (job.state === "queued" ? "waiting for its turn" : "scoring")}…`);
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(wait * POLL.grows, POLL.last);
    if (!isWanted()) return null;
    job = await call("GET", `/jobs/${job.uuid}`);
  }
  if (job.state === "failed") {
    sent = null; // the same again would be the same failed job
    throw new Error(`The text is saved, and was not scored: ${job.reason}`);
  }
  return job;
}

function done({ result }) {
  note("");
  const by = result.llm ? `${result.simulator}, ${result.llm}` : result.simulator;
  byId("edit-how").textContent = `Scored by ${by} on ${result.n_spans} held-out spans; intervals hold 95 % of resamples.`;
  byId("edit-changes").replaceChildren(...result.changes.map(row));
  byId("edit-show").onclick = () => edited.onSaved(result);
  byId("edit-result").hidden = false;
  byId("edit-result").focus();
  announce("The edited explanation is scored.");
}

function row({ before, after, difference }) {
  const { value, reason, ci_low, ci_high } = difference;
  const clear = ci_low !== null && (ci_low > 0 || ci_high < 0);
  const words = !clear ? "" : value > 0 ? " higher" : " lower";
  const told = value === null ? `undefined: ${REASONS[reason] ?? reason}` : `${signed(value)}${interval(ci_low, ci_high, signed)}`;
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, ...after.scorer.split(/(?<=_)/).flatMap((part) => [part, element("wbr")])),
    element("td", {}, score(before)),
    element("td", {}, score(after)),
    element("td", {}, told, clear ? element("b", {}, words) : ""),
  );
}

function score({ value, reason, ci_low, ci_high, null_mean, p_value, null_reason, floor }) {
  const known = value === null ? `undefined: ${reason}` : `${number(value)}${interval(ci_low, ci_high, number)}`;
  const others = null_mean === null ? `no null: ${null_reason}` : `others ${number(null_mean)}${p_value === null ? "" : `, p ${number(p_value, 3)}`}`;
  const beside = floor === null ? others : `${others}; token table ${number(floor)}`;
  return element("div", {}, known, element("div", { class: "muted small" }, beside));
}

const number = (value, digits = 2) => value.toFixed(digits).replace("-", "−");
const signed = (value) => (value > 0 ? "+" : "") + number(value);
const interval = (low, high, form) => (low === null ? "" : ` (${form(low)} to ${form(high)})`);

function reload(result) {
  location.hash = `e${result.explanation}`;
  location.reload();
}

function note(text) {
  byId("edit-note").textContent = text;
}

function complain(text) {
  byId("edit-trouble").textContent = text;
  byId("edit-trouble").hidden = !text;
}

function busy(is) {
  byId("edit-save").disabled = is;
}

if (dialog) {
  byId("edit-form").addEventListener("submit", save);
  byId("edit-close").addEventListener("click", () => dialog.close());
  byId("edit-simulator").addEventListener("change", describe);
  byId("edit-text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("edit-form").requestSubmit(byId("edit-save"));
  });
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("[data-edit]") : null;
    const about = button?.closest("[data-target]");
    if (about) openEdit(JSON.parse(about.dataset.target)); // as JSON: an attribute cannot hold every character
  });
}
