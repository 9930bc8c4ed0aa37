// Quotas count distinct keys, exactly: whatever is asked at once, repeated, refused, taken back or made anew.

import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { loadConfig } from '../../src/config.ts';
import { CustodyProblem } from '../../src/custody/custodian.ts';
import { actions } from '../../src/factory/actions.ts';
import { type Factory, openFactory } from '../../src/factory/factory.ts';
import { CertificateMaker } from '../../src/issuing/issuer.ts';
import { openLog } from '../../src/log.ts';
import type { Problem } from '../../src/problem.ts';
import { newKey } from '../support/certificate-maker.ts';
import { startLine, type TestLine } from '../support/factory.ts';
import { addStation, ask, openWindow, outcome } from '../support/factory-enrolment.ts';

const hour = 60 * 60_000;
const start = Date.UTC(2026, 5, 15, 12);
let now = start;
/** As it was made, to be copied: nothing is done in it. */
let template: TestLine;
/** Further mandates, as the root has signed them. */
const bundles: string[] = [];

/** Those that the line gets: the first it has from the start. */
const mandates = [
  { quota: 3, until: start + 2 * hour, pattern: '.*', order: null },
  { quota: 2, until: start + 5 * hour, pattern: 'dev-[0-3]', order: null },
  { quota: 4, until: start + 9 * hour, pattern: '.*', order: 'b' },
] as const;

before(async () => {
  const asked = mandates.map((one) => ({ ...one, until: new Date(one.until).toISOString() }));
  template = await startLine({ ...asked[0]!, clock: () => now });
  for (const one of asked.slice(1)) bundles.push(await template.mandate(one));
});

after(() => template[Symbol.asyncDispose]());

/** A copy of the line, open, gone when disposed of. */
async function openCopy(): Promise<{ factory: Factory } & AsyncDisposable> {
  now = start;
  const dir = await mkdtemp(join(tmpdir(), 'fleetroot-quota-'));
  await cp(template.dir, dir, { recursive: true });
  const config = loadConfig({ dataDir: dir, env: {} });
  const factory = await openFactory(config, { log: openLog('silent'), clock: () => now });
  return {
    factory,
    async [Symbol.asyncDispose]() {
      await factory[Symbol.asyncDispose]();
      await rm(dir, { recursive: true });
    },
  };
}

/** What is used of every window and mandate, and how many records there are that are charged to it. */
async function counts({ records }: Factory): Promise<{ used: number; quota: number; charged: number }[]> {
  const rows = await records.read.selectFrom('certificates').select(['window_id', 'mandate_id']).execute();
  const windows = await records.read.selectFrom('windows').select(['id', 'used', 'quota']).execute();
  const held = await records.read.selectFrom('mandates').select(['id', 'used', 'quota']).execute();
  return [...windows, ...held].map(({ id, ...count }) => ({
    ...count,
    charged: rows.filter(({ window_id, mandate_id }) => window_id === id || mandate_id === id).length,
  }));
}

test('of 100 requests at once as many are made as there is quota, and not one more', async () => {
  await using open = await openCopy();
  const { factory } = open;
  await actions.acceptBundle(factory, { bundle: bundles[1]!, root_sha256: template.root.sha256 });
  const station = await addStation(factory, 'bench-1');
  await openWindow(factory, { order: 'b', quota: 2 });
  await openWindow(factory, { order: 'b', quota: 3, lasts: '1h' });
  const asked = Array.from({ length: 100 }, (_, index) => ({ id: `device-${index}`, key: newKey() }));
  const outcomes = await Promise.all(asked.map((each) => outcome(ask({ factory, station }, each))));
  const made = asked.filter((_, index) => outcomes[index] === 'issued');
  assert.equal(made.length, 5);
  assert.equal(outcomes.filter((each) => each === 'quota_exhausted').length, 95);
  for (const each of made) assert.equal(await outcome(ask({ factory, station }, each)), 'same');
  assert.deepEqual(
    (await counts(factory)).map(({ used, charged }) => `${used} of ${charged}`).toSorted(),
    ['2 of 2', '2 of 2', '3 of 3', '3 of 3'],
    'both windows and both mandates, the ones that end first used up first',
  );
});

test('what the custodian does not sign costs nothing, and is made when it does', async () => {
  await using open = await openCopy();
  const { factory } = open;
  const station = await addStation(factory, 'bench-1');
  await openWindow(factory, { order: 'a', quota: 1 });
  let away = true;
  const keys = {
    ready: () => {},
    sign: (...given: Parameters<typeof factory.keys.sign>) =>
      away ? Promise.reject(new CustodyProblem('unavailable', 'The token is not there.')) : factory.keys.sign(...given),
  };
  const recording = { intend: async () => {}, complete: async () => {}, abandon: async () => {} };
  const without = { ...factory, maker: new CertificateMaker({ keys, recording, clock: factory.clock }) };
  const asked = { id: 'dev-1', key: newKey() };
  for (let round = 0; round < 3; round += 1) {
    assert.equal(await outcome(ask({ factory: without, station }, asked)), 'custody_unavailable');
    assert.deepEqual(
      (await counts(factory)).map(({ used }) => used),
      [0, 0],
    );
  }
  away = false;
  assert.equal(await outcome(ask({ factory: without, station }, asked)), 'issued');
  assert.equal((await actions.listLog(factory, { action: 'certificate.abandon', object: null, limit: 9 })).length, 3);
  assert.equal((await actions.verifyLog(factory, { heads: '' })).fault, null);
});

test('a clock that went back makes nothing, until it is right again or a person says that it is', async () => {
  await using open = await openCopy();
  const { factory } = open;
  const station = await addStation(factory, 'bench-1');
  await openWindow(factory, { order: 'a' });
  now -= 9 * 60_000;
  assert.equal(await outcome(ask({ factory, station }, { id: 'dev-1' })), 'issued', 'a time server may do that');
  now -= 2 * 60_000;
  await assert.rejects(ask({ factory, station }, { id: 'dev-2' }), (error: Problem) => {
    assert.equal(error.code, 'unavailable');
    assert.match(
      error.message,
      /^The clock says 2026-06-15T11:49:00.000Z, and the log has an entry of 2026-06-15T12:00/,
    );
    return true;
  });
  now += 2 * 60_000;
  assert.equal(await outcome(ask({ factory, station }, { id: 'dev-2' })), 'issued');
  now -= hour;
  assert.equal(await outcome(ask({ factory, station }, { id: 'dev-3' })), 'unavailable');
  assert.deepEqual(await actions.acceptClock(factory, {}), { latest: new Date(start).toISOString() });
  assert.equal(await outcome(ask({ factory, station }, { id: 'dev-3' })), 'issued');
  assert.equal((await actions.verifyLog(factory, { heads: '' })).fault, null);
});

type Step =
  | { kind: 'enroll'; device: number; key: number; order: 'a' | 'b' | null }
  | { kind: 'open'; order: 'a' | 'b'; quota: number; hours: number }
  | { kind: 'close'; which: number }
  | { kind: 'rework'; device: number }
  | { kind: 'mandate'; which: number }
  | { kind: 'wait'; minutes: number };

const orders = ['a', 'b'] as const;
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('enroll' as const),
      device: fc.nat(5),
      key: fc.nat(9),
      order: fc.constantFrom(...orders, null),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('open' as const),
      order: fc.constantFrom(...orders),
      quota: fc.integer({ min: 1, max: 3 }),
      hours: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('close' as const), which: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('rework' as const), device: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('mandate' as const), which: fc.nat(1) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), minutes: fc.integer({ min: -5, max: 90 }) }),
  },
);

/** What a factory is to do, as simply as it can be said. */
class Model {
  /** The latest time that it was. */
  latest = start;
  readonly windows: { id: string; order: string; left: number; ends: number; closed: boolean }[] = [];
  readonly mandates: { left: number; until: number; pattern: RegExp; order: string | null }[] = [];
  readonly keys = new Map<number, { device: number; made: boolean }>();

  addMandate(which: number): void {
    const { quota, until, pattern, order } = mandates[which]!;
    this.mandates.push({ left: quota, until, pattern: new RegExp(`^${pattern}$`), order });
    this.mandates.sort((one, other) => one.until - other.until);
  }

  openWindows(): Model['windows'] {
    return this.windows.filter(({ ends, closed }) => !closed && ends > now).toSorted((a, b) => a.ends - b.ends);
  }

  keyOf(device: number): number | undefined {
    return [...this.keys].find(([, of]) => of.device === device && of.made)?.[0];
  }

  enroll({ device, key, order }: Extract<Step, { kind: 'enroll' }>): string {
    const known = this.keys.get(key);
    if (known) return known.made && known.device === device ? 'same' : 'key_in_use';
    const open = this.openWindows().filter((window) => order === null || window.order === order);
    if (new Set(open.map((window) => window.order)).size !== 1) return 'window_closed';
    if (this.keyOf(device) !== undefined) return 'device_already_registered';
    const window = open.find(({ left }) => left > 0);
    if (!window) return 'quota_exhausted';
    const covering = this.mandates.filter(
      (one) => one.until > now && one.pattern.test(`dev-${device}`) && (one.order ?? window.order) === window.order,
    );
    if (covering.length === 0) return 'mandate_missing';
    const mandate = covering.find(({ left }) => left > 0);
    if (!mandate) return 'quota_exhausted';
    window.left -= 1;
    mandate.left -= 1;
    this.keys.set(key, { device, made: true });
    return 'issued';
  }

  rework(device: number): boolean {
    const key = this.keyOf(device);
    if (key === undefined) return false;
    this.keys.set(key, { device, made: false });
    return true;
  }
}

/** Keys are made once: a key pair costs more than all else here. */
const pairs = Array.from({ length: 10 }, () => newKey());

async function take(model: Model, { factory, station }: Parameters<typeof ask>[0], each: Step): Promise<void> {
  switch (each.kind) {
    case 'enroll': {
      const { device, key, order } = each;
      const asked = ask({ factory, station }, { id: `dev-${device}`, key: pairs[key]!, order });
      assert.equal(await outcome(asked), model.enroll(each));
      return;
    }
    case 'open': {
      const { order, quota, hours } = each;
      const id = await openWindow(factory, { order, quota, lasts: `${hours}h` });
      // Two that end at one instant are as good as each other.
      model.windows.push({ id, order, left: quota, ends: now + hours * hour, closed: false });
      now += 1;
      return;
    }
    case 'close': {
      const window = model.openWindows()[each.which];
      if (!window) return;
      await actions.closeWindow(factory, { id: window.id });
      window.closed = true;
      return;
    }
    case 'rework': {
      const done = await actions.rework(factory, { device_id: `dev-${each.device}` }).then(
        () => true,
        (error: Problem) => error.code !== 'not_found',
      );
      assert.equal(done, model.rework(each.device));
      return;
    }
    case 'mandate': {
      const accepted = await actions.acceptBundle(factory, { bundle: bundles[each.which]!, root_sha256: null }).then(
        () => true,
        () => false,
      );
      if (accepted) model.addMandate(each.which + 1);
      return;
    }
    case 'wait':
      // Never so far back that nothing is made: that has a test of its own.
      model.latest = Math.max(model.latest, now);
      now = Math.max(now + each.minutes * 60_000, model.latest - 9 * 60_000);
  }
}

test('whatever is done in whatever order, a factory does what the rules say', async () => {
  const run = async (steps: Step[]): Promise<void> => {
    await using open = await openCopy();
    const { factory } = open;
    const model = new Model();
    model.addMandate(0);
    const station = await addStation(factory, 'bench-1');
    for (const each of steps) await take(model, { factory, station }, each);
    for (const { used, quota, charged } of await counts(factory)) {
      assert.equal(used, charged);
      assert.ok(used <= quota, 'never more than there is');
    }
    const rows = await factory.records.read.selectFrom('certificates').selectAll().execute();
    const made = rows.filter(({ state }) => state === 'made');
    assert.equal(new Set(made.map(({ device_id }) => device_id)).size, made.length, 'one for each device ID');
    assert.equal(new Set(rows.map(({ public_key_sha256 }) => public_key_sha256)).size, rows.length, 'no key twice');
    assert.equal((await actions.verifyLog(factory, { heads: '' })).fault, null);
  };
  const steps = fc.array(step, { minLength: 20, maxLength: 60 });
  await fc.assert(fc.asyncProperty(steps, run), {
    numRuns: process.env['FLEETROOT_TEST_REQUIRE'] === 'all' ? 25 : 8,
    // Each attempt opens a directory: the steps that failed are told as they are.
    endOnFailure: true,
  });
});
