// The power fails in the middle of a batch, again and again: nothing is charged twice, made twice or made unrecorded.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { signBatchFile } from '../../src/factory/batch-signing.ts';
import { atFactory } from '../../src/factory/control.ts';
import { stationActions } from '../../src/factory/stations.ts';
import { startLine } from '../support/factory.ts';
import { writeRequests } from '../support/factory-batch.ts';
import { deaths } from '../support/require.ts';

/** Each kill costs the start of a program: fewer where nobody asked for everything. */
const kills = deaths(20);
const requests = 100;
/** Kills are spread over the time that a batch takes once it has begun, in milliseconds. */
const longestWait = 60;
const main = join(import.meta.dirname, '../../src/main.ts');

test(`a batch killed ${kills} times, and repeated each time`, { timeout: 20 * 60_000 }, async () => {
  await using line = await startLine({ quota: kills * requests });
  {
    await using factory = await line.open();
    await stationActions.addStation(factory, {
      name: 'bench-1',
      networks: [],
      address: null,
      proof: { kind: 'password' },
    });
    const window = { order_name: 'order-1', quota: kills * requests, closes_at: factory.clock() + 7 * 86_400_000 };
    await factory.records.write('openWindow', { ...window, station_id: null, batch: null, proof: 'station' });
  }
  let interrupted = 0;
  for (let round = 0; round < kills; round += 1) {
    const [lot, out] = [line.file(`lot-${round}`), line.file(`out-${round}`)];
    await writeRequests(lot, `device-${round}`, requests);
    const before = countOf(line.dir);
    const words = ['factory', 'sign-batch', lot, '-o', out, '--data', line.dir];
    const child = spawn(process.execPath, [main, ...words], { stdio: 'ignore' });
    const ended = once(child, 'exit');
    while (child.exitCode === null && child.signalCode === null && countOf(line.dir) === before) await pause(2);
    await pause((round / kills) * longestWait);
    child.kill('SIGKILL');
    await ended;

    const found = madeIn(line.dir);
    if (found.size < (round + 1) * requests) interrupted += 1;
    await rm(out, { recursive: true, force: true });
    const asked = { path: lot, output: out, order: null, station: null, signature: null };
    const answer = await atFactory(line.config, (at) => signBatchFile(at, asked));
    // What was on the disk when it was killed is given again; the rest is made, and there is none beside.
    assert.deepEqual([answer.same, answer.refused], [found.size - round * requests, 0]);
    const made = madeIn(line.dir);
    for (const [tbs, der] of found) assert.deepEqual(made.get(tbs), der);
    assert.equal(made.size, (round + 1) * requests);
    const report = JSON.parse(await readFile(join(out, 'report.json'), 'utf8')) as { tbs_sha256: string }[];
    assert.ok(report.every(({ tbs_sha256 }) => made.has(tbs_sha256)));
  }
  assert.ok(interrupted > 0, 'no kill met a batch');
  assert.ok(!(await readdir(line.file('.'))).some((name) => name.includes('partial')));
  await using factory = await line.open();
  const { read } = factory.records;
  for (const table of ['windows', 'mandates'] as const) {
    const rows = await read.selectFrom(table).select('used').execute();
    assert.deepEqual(rows, [{ used: kills * requests }]);
  }
  const told = await read.selectFrom('log').select('object_id').where('action', '=', 'certificate.make').execute();
  assert.equal(told.length, kills * requests);
  assert.equal(new Set(told.map(({ object_id }) => object_id)).size, kills * requests);
});

/** Certificates that are made or about to be, as the disk has them. */
function countOf(dir: string): number {
  using database = new DatabaseSync(join(dir, 'factory.db'), { readOnly: true, timeout: 10_000 });
  return (database.prepare('SELECT count(*) AS count FROM certificates').get() as { count: number }).count;
}

function madeIn(dir: string): Map<string, Uint8Array> {
  using database = new DatabaseSync(join(dir, 'factory.db'), { readOnly: true, timeout: 10_000 });
  const rows = database.prepare("SELECT tbs_sha256, der FROM certificates WHERE state = 'made'").all();
  return new Map((rows as { tbs_sha256: string; der: Uint8Array }[]).map(({ tbs_sha256, der }) => [tbs_sha256, der]));
}
