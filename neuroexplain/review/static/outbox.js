// Decisions on their way to the disk: one after the other, each until the server has said that it is written.

import { call } from "./review.js";

const PAUSE = 1500; // ms until what is stuck is tried again
/** Whether it may be taken another time: no answer, a file or a server that is busy, a defect. */
const passes = ({ status }) => !status || status === 429 || status >= 500;

export class Outbox {
  #waiting = [];
  #sending = false;
  #timer = null;
  #emptied = [];

  /** `onState(n, trouble)` hears how many are not written yet, and why where they are stuck, to be tried again. */
  constructor(onState) {
    this.onState = onState;
    addEventListener("beforeunload", (event) => {
      if (this.#waiting.length) event.preventDefault();
    });
  }

  /** Add what is to be posted; `written(answer)` or, where the server refuses it for good, `failed(error)` is called. */
  put(path, body, { written = () => {}, failed }) {
    this.#waiting.push({ path, body, written, failed });
    this.#send();
  }

  /** Resolves once everything is written or refused, however long that takes. */
  async flush() {
    if (this.#waiting.length) await new Promise((resolve) => this.#emptied.push(resolve));
  }

  async #send() {
    if (this.#sending) return;
    clearTimeout(this.#timer);
    this.#sending = true;
    this.onState(this.#waiting.length, null);
    while (this.#waiting.length && (await this.#sent(this.#waiting[0])));
    this.#sending = false;
    if (this.#waiting.length) this.#timer = setTimeout(() => this.#send(), PAUSE);
    else this.#emptied.splice(0).forEach((resolve) => resolve());
  }

  /** Whether the first one is dealt with. */
  async #sent({ path, body, written, failed }) {
    let answer;
    try {
      answer = await call("POST", path, body);
    } catch (error) {
      // What did not get through is sent again under its uuid, so that it is written once.
      if (passes(error)) {
        this.onState(this.#waiting.length, error);
        return false;
      }
      this.#waiting.shift();
      failed(error);
      this.onState(this.#waiting.length, null);
      return true;
    }
    this.#waiting.shift();
    written(answer);
    this.onState(this.#waiting.length, null);
    return true;
  }
}
