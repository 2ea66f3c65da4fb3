// Run a text of one's own through the subject, and draw what the neuron does on it.

import { announce, call, element } from "./review.js";

const byId = (id) => document.getElementById(id);
const section = byId("try");
const KEPT = 12; // texts that stay listed
const SHOWN = 80; // characters of them
const tried = new Map(); // by text, the newest last
let asked = 0; // what comes late is not shown

const TINY = 0.001; // what is smaller would be rounded to nothing
const number = (value, digits = 2) => value.toFixed(digits).replace("-", "−");
const activation = (value) => (value !== 0 && Math.abs(value) < TINY ? value.toExponential(1).replace(/-/g, "−") : number(value, 3));

async function run(text) {
  const own = (asked += 1);
  complain("");
  const slow = setTimeout(() => note("loading the subject…"), 700);
  note("running…");
  byId("try-run").disabled = true;
  try {
    const address = encodeURIComponent(section.dataset.neuron).replaceAll("%2F", "/");
    const found = await call("POST", `/neurons/${address}/activations`, { text });
    if (own !== asked) return;
    show(found);
    remember(text, found);
  } catch (error) {
    if (own === asked) complain(error.message);
  } finally {
    clearTimeout(slow);
    if (own === asked) {
      note("");
      byId("try-run").disabled = false;
    }
  }
}

function show(found) {
  byId("try-tokens").replaceChildren(...found.tokens.map((token, place) => drawn(token, place === found.peak)));
  byId("try-peak").textContent = peak(found);
  byId("try-values").replaceChildren(...found.tokens.map((token, place) => row(token, place === found.peak)));
  byId("try-result").hidden = false;
  announce(peak(found));
}

function drawn({ text, heat, counts }, isPeak) {
  const classes = [`h${heat}`, isPeak && heat ? "peak" : "", counts ? "" : "odd"].filter(Boolean).join(" ");
  return element("span", { class: classes, title: counts ? null : "does not count" }, text);
}

function row({ text, activation: value, level, counts }, isPeak) {
  const name = element(isPeak ? "b" : "span", { class: isPeak ? "peak" : null }, text);
  return element(
    "tr",
    {},
    element("td", { class: "mono" }, name, counts ? "" : " (does not count)"),
    element("td", { class: "number" }, activation(value)),
    element("td", { class: "number" }, level === null ? "–" : number(level, 1)),
  );
}

function peak({ tokens, peak: place, scale, weaker, weaker_bound: bound }) {
  if (place === null) return "No token of this text counts.";
  const { text, activation: value, level } = tokens[place];
  const strength = level === null ? "" : level > 0 ? `, level ${number(level, 1)}` : ", silent";
  const share = weaker === null ? "" : `; ${bound ? "at least " : ""}${number(100 * weaker, 1)} % of the corpus' tokens are weaker`;
  const whole = scale > 0 ? ` Level 10 is ${number(scale)}.` : " It never fires on this side in what was recorded.";
  return `Strongest on “${text.trim() || text}”: ${activation(value)}${strength}${share}.${whole}`;
}

function remember(text, found) {
  tried.delete(text);
  tried.set(text, found);
  if (tried.size > KEPT) tried.delete(tried.keys().next().value);
  byId("try-history").replaceChildren(...[...tried].reverse().map(([each, its]) => earlier(each, its)));
  byId("try-earlier").hidden = tried.size < 2;
}

function earlier(text, found) {
  const again = () => {
    byId("try-text").value = text;
    show(found);
  };
  const label = text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
  const value = found.peak === null ? "–" : activation(found.tokens[found.peak].activation);
  return element(
    "tr",
    {},
    element("td", { class: "text" }, element("button", { type: "button", onclick: again }, label)),
    element("td", { class: "number" }, value),
  );
}

function note(text) {
  byId("try-note").textContent = text;
}

function complain(text) {
  byId("try-trouble").textContent = text;
  byId("try-trouble").hidden = !text;
}

if (section) {
  byId("try-form").addEventListener("submit", (event) => {
    event.preventDefault();
    run(byId("try-text").value);
  });
  byId("try-text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("try-form").requestSubmit(byId("try-run"));
  });
}
