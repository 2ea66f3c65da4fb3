// Asks for a queue. One that was asked for, and whose answer was lost, is asked for under the same uuid, and made once.
import { call, uuid } from "./review.js";

let sent = null;

/** The queue that a plan makes. Throws as `call` does. */
export async function makeQueue(plan) {
  const asked = JSON.stringify(plan);
  if (sent?.asked !== asked) sent = { asked, uuid: uuid() };
  const made = await call("POST", "/queues", { uuid: sent.uuid, ...plan });
  sent = null;
  return made;
}
