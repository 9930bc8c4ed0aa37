// What people ask of a factory, by name: each takes plain arguments and gives plain data, in this process or over its socket.

import { batchActions } from './batch.ts';
import type * as Export from './export.ts';
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

type Exporting = typeof Export;
const exporting = (): Promise<Exporting> => import('./export.ts');

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
  // Loaded when they are asked for, as verifyLog of log-actions.ts is.
  beginExport: async (...asked: Parameters<Exporting['beginExport']>) => (await exporting()).beginExport(...asked),
  makeManifest: async (...asked: Parameters<Exporting['makeManifest']>) => (await exporting()).makeManifest(...asked),
  endExport: async (...asked: Parameters<Exporting['endExport']>) => (await exporting()).endExport(...asked),
} as const satisfies Record<string, Action>;

export type Actions = typeof actions;
export type ActionName = keyof Actions;
export type ActionArguments<N extends ActionName> = Parameters<Actions[N]>[1];
export type ActionResult<N extends ActionName> = Awaited<ReturnType<Actions[N]>>;
