// What a reviewer says besides the verdict: note, tags, confidence, and a better text, where the page has fields for them.

const byId = (id) => document.getElementById(id);
const sure = () => document.querySelector("input[name=confidence]:checked");

/** As the interface takes it. */
export function read() {
  const said = { note: byId("note").value };
  if (!byId("tags")) return said;
  return {
    ...said,
    tags: byId("tags").value.split(",").map((tag) => tag.trim()).filter(Boolean),
    rewrite: byId("rewriting").hidden ? "" : byId("rewrite").value.trim(),
    confidence: sure() ? Number(sure().value) : null,
  };
}

/** Whether anything stands there. */
export function any() {
  const { note, tags = [], rewrite = "", confidence = null } = read();
  return Boolean(note || tags.length || rewrite || confidence);
}

/** Have this stand there, and nothing else. */
export function write({ note = "", tags = [], rewrite = "", confidence = null } = {}) {
  byId("note").value = note;
  if (!byId("tags")) return;
  byId("tags").value = tags.join(", ");
  for (const input of document.querySelectorAll("input[name=confidence]")) input.checked = Number(input.value) === confidence;
  suggest(rewrite);
}

/** The field for a better text, which goes with the verdict. */
export function suggest(text) {
  byId("rewrite").value = text;
  byId("rewriting").hidden = !text;
}
