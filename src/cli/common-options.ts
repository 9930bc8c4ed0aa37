// The options that mean the same wherever they are taken.

import type { Parameters } from './command.ts';
import { flag, short, text } from './parameters.ts';

/** `help` and `version` are taken everywhere, the others by the commands that name them. */
export const commonOptions = {
  data: text('DIR', 'the data directory (else that of FLEETROOT_DATA, else ./fleetroot-data)'),
  json: flag('print JSON, and nothing else, on stdout'),
  yes: flag('do not ask before something destructive'),
  help: short('h', flag('explain the command')),
  version: flag('print the version'),
} satisfies Parameters;
