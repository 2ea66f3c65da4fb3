// The reviewer as simulator: a level from 0 to 10 on every token, by the keyboard or by drawing over the text.

const MOST = 10;
const token = (at) => (at instanceof Element ? at.closest(".token:enabled") : null);
const level = (button) => Number(button.dataset.level);

/** Marks in `place`, whatever item stands there. `submit()` is called by Enter. */
export function marking(place, submit, isOn) {
  let brush = null; // the level that a drag draws with

  place.addEventListener("pointerdown", (event) => {
    const button = token(event.target);
    if (!button || event.button !== 0) return;
    event.preventDefault();
    focus(button);
    brush = level(button) ? 0 : MOST;
    set(button, brush);
  });
  place.addEventListener("pointerover", (event) => {
    const button = token(event.target);
    if (button && brush !== null && event.buttons & 1) set(button, brush);
  });
  addEventListener("pointerup", () => (brush = null));

  place.addEventListener("keydown", (event) => {
    const button = token(event.target);
    if (!button || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!press(button, event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  });

  function press(button, key) {
    if (key === "ArrowRight") step(button, 1);
    else if (key === "ArrowLeft") step(button, -1);
    else if (key === "ArrowDown") leap(button, 1);
    else if (key === "ArrowUp") leap(button, -1);
    else if (key === " ") set(button, level(button) ? 0 : MOST);
    else if (key === "Enter") submit();
    else if (/^[0-9]$/.test(key) && isOn()) set(button, Number(key));
    else return false;
    return true;
  }
}

/** The marks of an item, as the interface takes them. */
export function marks(item) {
  return [...item.querySelectorAll(".marking")].map((span) => ({
    document: Number(span.dataset.document),
    start: Number(span.dataset.start),
    levels: [...span.querySelectorAll(".token")].map(level),
  }));
}

/** Have marks stand in an item, as `marks` gave them. */
export function draw(item, spans) {
  for (const { document: number, start, levels } of spans) {
    const span = item.querySelector(`.marking[data-document="${number}"][data-start="${start}"]`);
    span?.querySelectorAll(".token:enabled").forEach((button) => set(button, levels[[...span.children].indexOf(button)]));
  }
}

function set(button, to) {
  const heat = 2 * to;
  button.dataset.level = to;
  button.className = `token h${heat}`;
  button.setAttribute("aria-pressed", String(to > 0));
  button.querySelector("sup").textContent = to ? String(to) : "";
}

/** Only one token of an item is a tab stop; arrows lead to the others. */
function focus(button) {
  for (const other of button.closest(".item").querySelectorAll(".token[tabindex='0']")) other.tabIndex = -1;
  button.tabIndex = 0;
  button.focus();
}

function step(button, by) {
  const all = [...button.closest(".item").querySelectorAll(".token:enabled")];
  const to = all[all.indexOf(button) + by];
  if (to) focus(to);
}

function leap(button, by) {
  const spans = [...button.closest(".item").querySelectorAll(".marking")];
  const to = spans[spans.indexOf(button.closest(".marking")) + by];
  if (to) focus(to.querySelector(".token:enabled"));
}
