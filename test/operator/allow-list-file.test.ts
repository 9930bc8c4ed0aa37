import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readAllowListFile } from '../../src/operator/allow-list-file.ts';
import { faultOfDeviceId } from '../../src/provisioning/device-id.ts';
import { Problem } from '../../src/problem.ts';

const read = (text: string | Buffer) => readAllowListFile(Buffer.from(text));

async function fault(text: string | Buffer): Promise<string> {
  const error = await read(text).then(
    () => null,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Problem, `${text} was not refused`);
  assert.equal(error.code, 'invalid_request');
  return error.message;
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

test('the first fault is told with its line, and nothing is read', async () => {
  assert.match(await fault('vin-1\nuuid:2\n'), /^Line 2: .*uuid:/);
  assert.match(await fault('vin-1\nvin\u202e2\n'), /^Line 2: .*control, formatting/);
  assert.match(await fault(`vin-1\n\n${'x'.repeat(65)}\n`), /^Line 3: .*more than 64/);
  assert.match(await fault('VIN,device_id\nW0L1,vin-1\nW0L2\n'), /^Line 3: The device ID is empty/);
  assert.match(await fault('vin-1\n"open\n'), /no CSV/);
  assert.match(await fault(''), /no device ID/);
  assert.match(await fault('device_id\n'), /no device ID/);
  assert.match(await fault(Buffer.from('vin-1\n', 'utf16le').fill(0xff, 0, 1)), /not UTF-8/);
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
        for (const id of await read(Buffer.from(bytes))) assert.equal(faultOfDeviceId(id), null);
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
  assert.deepEqual(await read(ids.join('\n')), ids);
  clearInterval(counting);
  assert.ok(turns > 10, `${turns} turns`);
});
