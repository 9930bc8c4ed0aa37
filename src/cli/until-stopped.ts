// How a program that serves is told to end.

import type { Session } from './command.ts';

/** How long an orderly end may take, in milliseconds; promised are 10 s. */
const patience = 9_500;
const endedByForce = 1;

/**
 * Resolves at the first SIGTERM or SIGINT. From then on, the second ends the process at once, as does impatience, which
 * does not count the time that `meanwhile` says (in milliseconds): for so long it is to go on by intention.
 */
export function untilStopped(terminal: Session['terminal'], meanwhile: () => number = () => 0): Promise<void> {
  const { promise, resolve: stop } = Promise.withResolvers<void>();
  let stopping = false;
  const told = () => {
    if (stopping) process.exit(endedByForce);
    stopping = true;
    terminal.err('Ending in order; once more ends it at once.\n');
    setTimeout(() => process.exit(endedByForce), meanwhile() + patience).unref();
    stop();
  };
  process.on('SIGTERM', told).on('SIGINT', told);
  return promise;
}
