// The problem that whoever asks for something costly is told who has not said how much it may cost.

import { Problem } from '../problem.ts';

/**
 * `needed` is what is to be confirmed; of the `devices` that are touched `refused` would be refused from then on, where
 * that is known.
 */
export function confirmationRequired({
  needed,
  devices,
  refused,
}: {
  needed: number;
  devices: number;
  refused?: number;
}): Problem {
  const costs = refused === undefined ? '' : `, of which ${refused} would be refused from then on`;
  return new Problem(
    'confirmation_required',
    `This touches ${devices} device(s)${costs}: that is to be confirmed, and nothing was done.`,
    `Look at it with a dry run (?dry_run=true, or --dry-run), then confirm ${needed} or more (?confirm=${needed}, or --max ${needed}).`,
    { members: { devices, ...(refused !== undefined && { refused }) } },
  );
}
