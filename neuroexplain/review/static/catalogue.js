// The catalogue page: keys, facets that take longer to count, and saved queries. It can be read without any of this.
import { fill } from "./counting.js";
import { announce, call, forPage } from "./review.js";

const box = document.getElementById("q");

/** Move the focus to the next row, or to the one before. */
function move(step) {
  const links = [...document.querySelectorAll("#results th[scope=row] a")];
  const at = links.indexOf(document.activeElement);
  links[Math.min(Math.max(at + step, 0), links.length - 1)]?.focus();
}

document.addEventListener("keydown", (event) => {
  if (!forPage(event) || localStorage.getItem("shortcuts") === "off") return;
  if (event.key === "/") {
    event.preventDefault();
    box.focus();
    box.select();
  } else if (event.key === "j" || event.key === "k") {
    event.preventDefault();
    move(event.key === "j" ? 1 : -1);
  }
});

const shortcuts = document.getElementById("shortcuts");
shortcuts.checked = localStorage.getItem("shortcuts") !== "off";
shortcuts.addEventListener("change", () => localStorage.setItem("shortcuts", shortcuts.checked ? "on" : "off"));

const loading = document.getElementById("loading");
document.getElementById("search").addEventListener("submit", () => {
  const model = { meaning: "the sentence model", activates: "the subject" }[/\b(meaning|activates):/.exec(box.value)?.[1]];
  if (!model) return;
  loading.textContent = `Searching. The first time ${model} is loaded, which may take a minute.`;
  loading.hidden = false;
  announce(loading.textContent);
});
// Whoever comes back to a page that the browser kept is not waiting any more.
addEventListener("pageshow", () => {
  loading.hidden = true;
});

fill("facets", "total");

/** Ask for a change of the saved queries, and show what came of it. */
async function change(method, name, body) {
  const said = document.getElementById("saved-error");
  try {
    await call(method, `/queries/${encodeURIComponent(name)}`, body);
    location.reload();
  } catch (error) {
    said.textContent = error.message;
    said.hidden = false;
  }
}

const save = document.getElementById("save");
if (save) {
  save.hidden = false;
  save.addEventListener("submit", (event) => {
    event.preventDefault();
    const shown = new URLSearchParams(location.search).get("q") ?? "";
    change("PUT", document.getElementById("save-name").value.trim(), { query: shown });
  });
}
for (const button of document.querySelectorAll("[data-forget]")) {
  button.hidden = false;
  button.addEventListener("click", () => change("DELETE", button.dataset.forget));
}
