import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readAllowList, type RowFault } from '../../src/operator/allow-list-file.ts';
import { faultOfDeviceId } from '../../src/provisioning/device-id.ts';
import { Problem } from '../../src/problem.ts';
import type { AllowListEntry } from '../../src/registry/allow-list.ts';

/** What is read of a file that comes in pieces of so many bytes. */
async function readAll(text: string | Buffer, bytes = 7): Promise<{ entries: AllowListEntry[]; faults: RowFault[] }> {
  const file = Buffer.from(text);
  async function* pieces() {
    for (let at = 0; at < file.length; at += bytes) yield file.subarray(at, at + bytes);
  }
  const parts = await Array.fromAsync(readAllowList(pieces(), 100));
  for (const { entries, faults } of parts) assert.ok(entries.length + faults.length <= 100);
  return { entries: parts.flatMap(({ entries }) => entries), faults: parts.flatMap(({ faults }) => faults) };
}

async function read(text: string | Buffer, bytes?: number): Promise<string[]> {
  const { entries, faults } = await readAll(text, bytes);
  assert.deepEqual(faults, []);
  return entries.map(({ device_id }) => device_id);
}

async function fault(text: string | Buffer): Promise<string> {
  const error = await read(text).then(
    () => null,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Problem, `${text} was not refused`);
  assert.equal(error.code, 'invalid_request');
  return error.message;
}

async function faults(text: string): Promise<string[]> {
  return (await readAll(text)).faults.map(({ line, fault: sentence }) => `${line}: ${sentence}`);
}

test('a text has one ID a line; empty lines, white space around it and a byte order mark are none of it', async () => {
  assert.deepEqual(await read('\ufeffvin-1\r\n\n  vin 2\t\nvin-3'), ['vin-1', 'vin 2', 'vin-3']);
});

test('of CSV the column device_id counts wherever it stands, else the first', async () => {
  assert.deepEqual(await read('VIN,Device_ID,batch\nW0L1,vin-1,a\nW0L2,vin-2\n'), ['vin-1', 'vin-2']);
  assert.deepEqual(await read('vin-1,W0L1\nvin-2,W0L2,more\n'), ['vin-1', 'vin-2']);
  assert.deepEqual(await read('batch;device-id\n7;vin-1\n'), ['vin-1']);
  assert.deepEqual(await read('vin-1\tW0L1\n'), ['vin-1']);
});

test('an ID that holds a delimiter or white space at an end is quoted', async () => {
  assert.deepEqual(await read('"a,b"\n" c"\n"say ""hi"""\n'), ['a,b', ' c', 'say "hi"']);
});

test('the other columns of a file with a head are labels', async () => {
  const { entries } = await readAll('VIN;Device-ID;Batch No\nW1;vin-1;7\nW2;vin-2;\n;vin-3\n');
  assert.deepEqual(entries, [
    { device_id: 'vin-1', labels: { vin: 'W1', batch_no: '7' } },
    { device_id: 'vin-2', labels: { vin: 'W2' } },
    { device_id: 'vin-3', labels: {} },
  ]);
  assert.deepEqual((await readAll('vin-1,W1\n')).entries, [{ device_id: 'vin-1', labels: null }]);
});

test('each row that is wrong is told with its line, and the others are read', async () => {
  const { entries, faults: wrong } = await readAll('vin-1\nuuid:2\n\nvin-3\n');
  assert.deepEqual(
    entries.map(({ device_id }) => device_id),
    ['vin-1', 'vin-3'],
  );
  assert.deepEqual([wrong.length, wrong[0]?.line, wrong[0]?.device_id], [1, 2, 'uuid:2']);
  assert.match((await faults('vin-1\nvin\u202e2\n'))[0]!, /^2: .*control, formatting/);
  assert.match((await faults(`vin-1\n\n${'x'.repeat(65)}\n`))[0]!, /^3: .*more than 64/);
  assert.match((await faults('VIN,device_id\nW0L1,vin-1\nW0L2\n'))[0]!, /^3: The device ID is empty/);
  assert.match((await faults(`device_id,vin\nvin-1,${'x'.repeat(257)}\n`))[0]!, /^2: The label vin has more than 256/);
});

test('what is no list at all is refused', async () => {
  assert.match(await fault('vin-1\n"open\n'), /no CSV/);
  assert.match(await fault(`vin-1\n"${'x'.repeat(100_000)}\n`), /no CSV/);
  assert.match(await fault(''), /no device ID/);
  assert.match(await fault('device_id\n'), /no device ID/);
  assert.match(await fault(Buffer.from('vin-1\n', 'utf16le').fill(0xff, 0, 1)), /not UTF-8/);
  assert.match(await fault('device_id,?\nvin-1,2\n'), /The column "\?" has no name/);
  assert.match(await fault('device_id,VIN,vin\nvin-1,2,3\n'), /Two columns are the same label/);
  assert.match(await fault(`device_id,${Array.from({ length: 17 }, (_, i) => `l${i}`).join()}\nvin-1\n`), /17 labels/);
});

test('whatever IDs are written as CSV are read as the same', async () => {
  const legal = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
    .filter((id) => faultOfDeviceId(id) === null);
  const quoted = (id: string): string => `"${id.replaceAll('"', '""')}"`;
  await fc.assert(
    fc.asyncProperty(fc.array(legal, { minLength: 1, maxLength: 50 }), async (ids) => {
      fc.pre(!/^device[ _-]?id$/i.test(ids[0]!));
      assert.deepEqual(await read(`${ids.map(quoted).join('\n')}\n`), ids);
    }),
    { numRuns: 50 },
  );
});

test('any bytes give IDs or a refusal, never anything else', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
      try {
        const { entries } = await readAll(Buffer.from(bytes));
        for (const { device_id } of entries) assert.equal(faultOfDeviceId(device_id), null);
      } catch (error) {
        assert.ok(error instanceof Problem, String(error));
      }
    }),
  );
});

test('100,000 IDs are read in turns: no other request waits for all of them', async () => {
  const ids = Array.from({ length: 100_000 }, (_, index) => `vin-${index}`);
  let turns = 0;
  const counting = setInterval(() => (turns += 1), 0);
  assert.deepEqual(await read(ids.join('\n'), 65_536), ids);
  clearInterval(counting);
  assert.ok(turns > 10, `${turns} turns`);
});
