// Messages between two processes: what is said within one turn of the event loop travels together, in its order.

import type { ChildProcess } from 'node:child_process';

/** One end: a process that was forked with `serialization: 'advanced'`, or the process that was. */
type End = Pick<ChildProcess, 'send'> | NodeJS.Process;

/** Sends `Out`. Where the other process is gone, what is sent is lost without a word: its exit says so. */
export class ProcessChannel<Out> {
  readonly #end: End;
  #waiting: Out[] = [];

  constructor(end: End) {
    this.#end = end;
  }

  send(message: Out): void {
    if (this.#waiting.length === 0) setImmediate(() => this.#flush());
    this.#waiting.push(message);
  }

  #flush(): void {
    const all = this.#waiting;
    this.#waiting = [];
    this.#end.send?.(all, undefined, undefined, () => {});
  }
}
