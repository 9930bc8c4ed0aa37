// The table of all commands, in the order in which the help lists them.

import { accountCommands } from './account-commands.ts';
import { allowListCommands } from './allow-list-commands.ts';
import type { Command } from './command.ts';
import { credentialsCommands } from './credentials-commands.ts';
import { custodyCommands } from './custody-commands.ts';
import { demo } from './demo-command.ts';
import { deviceCommands } from './device-commands.ts';
import { fleetRootCommands } from './fleet-root-commands.ts';
import { fleetRootKeyCommands, gatewayCaKeyCommands } from './key-file-commands.ts';
import { explain, refusalCommands } from './refusal-commands.ts';
import { serve } from './serve-command.ts';
import { upstreamCommands } from './upstream-commands.ts';

export const commands: readonly Command[] = [
  serve,
  demo,
  ...accountCommands,
  ...gatewayCaKeyCommands,
  ...credentialsCommands,
  ...fleetRootCommands,
  ...fleetRootKeyCommands,
  ...deviceCommands,
  ...allowListCommands,
  ...refusalCommands,
  explain,
  ...upstreamCommands,
  ...custodyCommands,
];
