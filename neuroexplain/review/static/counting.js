// Parts of a page that took too long to count come by a second request, whole, from the same address with `part`.

/** Put in what was not counted in time; nothing happens where all was. */
export async function fill(...ids) {
  const waiting = document.getElementById(ids[0])?.dataset.counting;
  if (!waiting) return;
  const answer = await fetch(waiting, { credentials: "same-origin" });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (page.getElementById(ids[0])?.dataset.counting) return;
  for (const id of ids) {
    const counted = page.getElementById(id);
    if (counted) document.getElementById(id).replaceWith(document.adoptNode(counted));
  }
}
