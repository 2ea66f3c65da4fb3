// What the scripts of all pages share: calls of the interface, announcements, and making elements from text alone.

/** Call the JSON interface. Throws an Error with the server's one line where it refuses. */
export async function call(method, path, body) {
  const options = { method, headers: { Accept: "application/json" }, credentials: "same-origin" };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(`/api/v1${path}`, options);
  const said = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) {
    const error = new Error(said?.detail ?? `the server answered ${answer.status}`);
    throw Object.assign(error, { status: answer.status });
  }
  return said;
}

/** A name for an event, so that one that is sent twice is written once. */
export function uuid() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
}

/** An element; children are elements or texts, and texts stay texts. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** Tell screen readers, and whoever looks at the status line. */
export function announce(text) {
  const status = document.getElementById("status");
  if (status) status.textContent = text;
}

/** Whether a key is meant for the page, and not for a field that has the focus. */
export function forPage(event) {
  const at = event.target;
  const typing = at instanceof HTMLElement && (at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName));
  return !typing && !event.ctrlKey && !event.metaKey && !event.altKey && !document.querySelector("dialog[open]");
}
