// How a factory stands, for whoever looks in: its line, what it may still make, what is open, and what is to be seen to.

import { type Alarm, alarms } from './alarms.ts';
import type { Factory } from './factory.ts';
import { lineActions, type ShownLine, type ShownMandate } from './line.ts';
import { type WindowJson, windowsShown } from './order-actions.ts';
import { countMade } from './records/certificate-queries.ts';
import { theLine } from './records/lines.ts';
import { logHead, logId } from './records/log.ts';

export interface FactoryStatus {
  /** Null before there is one. */
  readonly line: ShownLine | null;
  readonly mandates: readonly ShownMandate[];
  /** Those that are open. */
  readonly windows: readonly WindowJson[];
  /** Certificates that count, and those of them made since midnight by this machine's time zone. */
  readonly made: number;
  readonly made_today: number;
  readonly log: { readonly id: string; readonly entries: number; readonly head_hash: string };
  readonly alarms: readonly Alarm[];
}

/** Looks. Throws CustodyProblem for what is no fault of a key's custodian. */
export async function factoryStatus(factory: Factory): Promise<FactoryStatus> {
  const { records, clock } = factory;
  const line = await theLine(records.read);
  const { made, madeSince } = await countMade(records.read, new Date(clock()).setHours(0, 0, 0, 0));
  const { number, hash } = await logHead(records.read);
  return {
    line: line ? await lineActions.showLine(factory, {}) : null,
    mandates: line ? await lineActions.listMandates(factory, {}) : [],
    windows: await windowsShown(factory, { all: false }),
    made,
    made_today: madeSince,
    log: { id: (await logId(records.read)) ?? '', entries: number, head_hash: hash },
    alarms: await alarms(factory),
  };
}
