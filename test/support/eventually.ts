// Waiting for what comes about by itself.

import { setTimeout as pause } from 'node:timers/promises';

/** Asks again and again until the answer is not null or false, and gives it; fails after half a minute: a busy machine takes its time. */
export async function eventually<T>(ask: () => Promise<T | null | false> | T | null | false): Promise<T> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const answer = await ask();
    if (answer !== null && answer !== false) return answer;
    if (Date.now() > deadline) throw new Error('It did not come about within half a minute.');
    await pause(20);
  }
}
