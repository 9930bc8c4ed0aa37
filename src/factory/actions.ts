// What people ask of a factory, by name: each takes plain arguments and gives plain data, in this process or over its socket.

import { batchActions } from './batch.ts';
import { beginExport, endExport, makeManifest } from './export.ts';
import type { Factory } from './factory.ts';
import { fleetRootActions } from './fleet-root.ts';
import { lineActions } from './line.ts';
import { logActions } from './log-actions.ts';
import { orderActions } from './order-actions.ts';
import { stationActions } from './stations.ts';
import { factoryStatus } from './status.ts';
import { tpmRootActions } from './tpm/roots.ts';

/** One of them. Throws Problem. */
export type Action = (factory: Factory, args: never) => Promise<unknown>;

/** By name. */
export const actions = {
  ...fleetRootActions,
  ...lineActions,
  ...orderActions,
  ...logActions,
  ...batchActions,
  ...stationActions,
  ...tpmRootActions,
  status: (factory: Factory, _: object) => factoryStatus(factory),
  beginExport,
  makeManifest,
  endExport,
} as const satisfies Record<string, Action>;

export type Actions = typeof actions;
export type ActionName = keyof Actions;
export type ActionArguments<N extends ActionName> = Parameters<Actions[N]>[1];
export type ActionResult<N extends ActionName> = Awaited<ReturnType<Actions[N]>>;
