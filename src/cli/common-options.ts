// The options that mean the same wherever they are taken.

import type { Parameters } from './command.ts';
import { flag, short, text, wholeNumber } from './parameters.ts';

/** `help` and `version` are taken everywhere, the others by the commands that name them. */
export const commonOptions = {
  data: text('DIR', 'the data directory (else that of FLEETROOT_DATA, else ./fleetroot-data)'),
  url: text('URL', 'a server elsewhere: https://HOST:PORT of its operators (else that of FLEETROOT_URL)'),
  context: text('NAME', 'a server that `login` was given (else that of FLEETROOT_CONTEXT)'),
  token: text('TOKEN', 'an API token; better in FLEETROOT_TOKEN, where no list of processes shows it'),
  ca: text('FILE', "the CA of that server's certificate, PEM (else that of FLEETROOT_CA)"),
  json: flag('print JSON, and nothing else, on stdout'),
  yes: flag('do not ask before something destructive'),
  'dry-run': flag('show what it would touch, and do nothing'),
  max: wholeNumber('N', 'go ahead without asking where it costs at most N devices', 0),
  help: short('h', flag('explain the command')),
  version: flag('print the version'),
} satisfies Parameters;
