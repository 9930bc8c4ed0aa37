// The table of all commands, in the order in which the help lists them.

import { accountCommands } from './account-commands.ts';
import { allowListCommands } from './allow-list-commands.ts';
import { auditCommands } from './audit-commands.ts';
import { backup, restorationCommands, restore } from './backup-commands.ts';
import type { Command } from './command.ts';
import { credentialsCommands } from './credentials-commands.ts';
import { custodyCommands } from './custody-commands.ts';
import { nodeCommands } from './node-commands.ts';
import { completion } from './completion-command.ts';
import { demo } from './demo-command.ts';
import { deviceCommands } from './device-commands.ts';
import { eventCommands } from './event-commands.ts';
import { signBatch } from './factory-batch-command.ts';
import { factoryExport } from './factory-export-command.ts';
import { factoryLineCommands } from './factory-line-commands.ts';
import { factoryRootCommands } from './factory-root-commands.ts';
import { factoryLogCommands } from './factory-log-commands.ts';
import { factoryOrderCommands } from './factory-order-commands.ts';
import { factoryServe } from './factory-serve-command.ts';
import { factoryStationCommands } from './factory-station-commands.ts';
import { factoryTpmRootCommands } from './factory-tpm-commands.ts';
import { fleetCommands } from './fleet-commands.ts';
import { fleetRootCommands } from './fleet-root-commands.ts';
import { fleetRootKeyCommands, gatewayCaKeyCommands } from './key-file-commands.ts';
import { manifestCommands } from './manifest-commands.ts';
import { memberCommands } from './member-commands.ts';
import { operatorCommands } from './operator-commands.ts';
import { explain, refusalCommands } from './refusal-commands.ts';
import { loginCommands } from './login-commands.ts';
import { registryCommands } from './registry-commands.ts';
import { serve } from './serve-command.ts';
import { tokenCommands } from './token-commands.ts';
import { upstreamCommands } from './upstream-commands.ts';
import { webhookCommands } from './webhook-commands.ts';

export const commands: readonly Command[] = [
  serve,
  demo,
  ...accountCommands,
  ...gatewayCaKeyCommands,
  ...credentialsCommands,
  ...fleetRootCommands,
  ...fleetRootKeyCommands,
  ...fleetCommands,
  ...deviceCommands,
  ...allowListCommands,
  ...manifestCommands,
  ...refusalCommands,
  explain,
  ...upstreamCommands,
  ...eventCommands,
  ...webhookCommands,
  ...tokenCommands,
  ...custodyCommands,
  ...nodeCommands,
  ...auditCommands,
  backup,
  restore,
  ...restorationCommands,
  ...registryCommands,
  ...operatorCommands,
  ...memberCommands,
  ...loginCommands,
  factoryServe,
  ...factoryStationCommands,
  ...factoryRootCommands,
  ...factoryLineCommands,
  ...factoryOrderCommands,
  ...factoryLogCommands,
  signBatch,
  factoryExport,
  ...factoryTpmRootCommands,
  completion,
];
