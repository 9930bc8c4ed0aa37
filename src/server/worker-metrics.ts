// The metrics of gateway processes, with what those had counted that are gone.

import { countedBefore, type OfProcess, type Snapshot } from '../metrics/of-processes.ts';
import type { WorkerProcess } from './worker-process.ts';

export class WorkerMetrics {
  /** What processes had counted that are gone, and what each of the others told last. */
  #gone: Snapshot | null = null;
  readonly #lastTold = new Map<WorkerProcess, Snapshot>();

  /** What each of these tells now, or told last where it does not answer: a counter that fell would be taken for a new one. */
  async read(serving: readonly WorkerProcess[]): Promise<OfProcess[]> {
    const all = serving.map(async (process): Promise<OfProcess[]> => {
      const told = await process.ask('metrics').catch(() => this.#lastTold.get(process));
      if (!told) return [];
      this.#lastTold.set(process, told);
      return [{ worker: process.number, ...told }];
    });
    const told = (await Promise.all(all)).flat();
    return this.#gone === null ? told : [{ worker: null, ...this.#gone }, ...told];
  }

  /** Keeps what a process had counted that has ended. */
  keep(process: WorkerProcess): void {
    const last = this.#lastTold.get(process);
    this.#lastTold.delete(process);
    if (last) this.#gone = countedBefore(this.#gone, last);
  }
}
