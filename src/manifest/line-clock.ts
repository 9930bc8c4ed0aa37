// The clock of a line, as its log shows it: how far it may go back, and after which entry its time begins anew.

/** How far it may go back, in milliseconds, before nothing is certified by it: time servers move clocks by less. */
export const clockTolerance = 10 * 60_000;

/** The action after which the log's time begins anew, on a person's word. */
export const acceptAction = 'clock.accept';
