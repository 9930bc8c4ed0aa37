// A line that is open in the test's own process, with a station, and devices' requests put to it without a service between.

import { actions } from '../../src/factory/actions.ts';
import { type Asked, enroll, type Enrolled } from '../../src/factory/enrolment.ts';
import type { Factory } from '../../src/factory/factory.ts';
import { stationByName } from '../../src/factory/records/stations.ts';
import type { Station } from '../../src/factory/records/tables.ts';
import { Problem, type ProblemCode } from '../../src/problem.ts';
import { readRequestFile } from '../../src/x509/certification-request.ts';
import { type KeyPair, newKey } from './certificate-maker.ts';
import { type Mandated, startLine, type TestLine } from './factory.ts';
import { requestFor } from './factory-batch.ts';

/** A line at work. */
export interface OpenLine extends AsyncDisposable {
  readonly line: TestLine;
  readonly factory: Factory;
  readonly station: Station;
}

/** Makes a line and opens it, with a station. */
export async function openLine(options: Mandated & { clock?: () => number } = {}): Promise<OpenLine> {
  await using held = new AsyncDisposableStack();
  const line = held.use(await startLine(options));
  const factory = held.use(await line.open());
  const station = await addStation(factory, 'bench-1');
  const all = held.move();
  return { line, factory, station, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** Adds a station with a password. */
export async function addStation(factory: Factory, name: string): Promise<Station> {
  await actions.addStation(factory, { name, networks: [], address: null, proof: { kind: 'password' } });
  return stationNamed(factory, name);
}

/** A station that is there. */
export async function stationNamed(factory: Factory, name: string): Promise<Station> {
  return (await stationByName(factory.records.read, name))!;
}

/** Opens a window; gives its ID. */
export async function openWindow(
  factory: Factory,
  { order = 'order-1', quota = 1_000, lasts = '8h', station = null as string | null } = {},
): Promise<string> {
  return (await actions.openWindow(factory, { order, quota, lasts, station, batch: null, proof: null })).id;
}

/** What a device asks for: by its ID and key, or a whole request (PEM). */
export interface Wanted extends Partial<Omit<Asked, 'request'>> {
  readonly id?: string;
  readonly key?: KeyPair;
  readonly request?: string;
}

/** Has a station ask for a certificate. Throws as `enroll` does. */
export function ask(
  { factory, station }: Pick<OpenLine, 'factory' | 'station'>,
  { id = 'dev-1', key = newKey(), request = requestFor(id, key), ...more }: Wanted = {},
): Promise<Enrolled> {
  return enroll(factory, {
    request: readRequestFile(Buffer.from(request)),
    station,
    order: null,
    evidence: { kind: 'station' },
    shown: null,
    ...more,
  });
}

/** The code that it is refused with; what came of it where it is not. */
export async function outcome(asked: Promise<Enrolled>): Promise<ProblemCode | Enrolled['outcome']> {
  try {
    return (await asked).outcome;
  } catch (error) {
    if (error instanceof Problem) return error.code;
    throw error;
  }
}
