// Decisions on their way to the disk: one after the other, each until the server has said that it is written.

import { call } from "./review.js";

export class Outbox {
  #waiting = [];
  #sending = false;

  /** `onState(n, trouble)` hears how many are not written yet, and why where one could not be. */
  constructor(onState) {
    this.onState = onState;
    addEventListener("beforeunload", (event) => {
      if (this.#waiting.length) event.preventDefault();
    });
  }

  get size() {
    return this.#waiting.length;
  }

  /** Add what is to be posted; `written(answer)` or, where the server refuses it for good, `failed(error)` is called. */
  put(path, body, { written = () => {}, failed }) {
    this.#waiting.push({ path, body, written, failed });
    this.#send();
  }

  /** Resolves once everything is written, or is stuck. */
  async flush() {
    while (this.#sending) await this.#sending;
    if (this.#waiting.length) throw new Error("some decisions are not saved yet");
  }

  /** Try again what is stuck. */
  retry() {
    this.#send();
  }

  #send() {
    if (!this.#sending) this.#sending = this.#run().finally(() => (this.#sending = false));
  }

  async #run() {
    this.onState(this.#waiting.length, null);
    while (this.#waiting.length) {
      const { path, body, written, failed } = this.#waiting[0];
      let answer;
      try {
        answer = await call("POST", path, body);
      } catch (error) {
        // What did not get through is sent again under its uuid, so that it is written once.
        if (!error.status) return this.onState(this.#waiting.length, error);
        this.#waiting.shift();
        failed(error);
        continue;
      }
      this.#waiting.shift();
      written(answer);
      this.onState(this.#waiting.length, null);
    }
  }
}
