// Orders and windows as people give them: on the command line, with lists of device IDs, and by rules that hold for all.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { actions } from '../../src/factory/actions.ts';
import { readDeviceIdList } from '../../src/factory/device-id-list.ts';
import type { Problem } from '../../src/problem.ts';
import { factoryCli, startLine, type TestLine } from '../support/factory.ts';
import { addStation, ask, outcome } from '../support/factory-enrolment.ts';

let line: TestLine;

before(async () => {
  line = await startLine();
});

after(() => line[Symbol.asyncDispose]());

const read = (text: string): string[] => readDeviceIdList(Buffer.from(text));

test('a list of device IDs is read as people have it', () => {
  assert.deepEqual(read('dev-1\r\n\r\n# a remark\r\ndev-2'), ['dev-1', 'dev-2']);
  assert.deepEqual(read('\u{feff}batch;Device ID\nb1;dev-1\nb1;"dev;2"\n'), ['dev-1', 'dev;2']);
  assert.deepEqual(read('dev-1,first\ndev-2,second\n'), ['dev-1', 'dev-2']);
  const many = Array.from({ length: 100_000 }, (_, index) => `serial-${index}`);
  assert.deepEqual(read(many.join('\n')), many);
});

test('a list with a wrong line is refused whole, each line by its number', () => {
  assert.throws(
    () => read('dev-1\ndev\u{202e}2\n\nuuid:3\ndev-1\n'),
    (error: Problem) => {
      assert.equal(error.message, 'Nothing was imported: 3 line(s) of the file are wrong.');
      assert.match(
        error.hint ?? '',
        /^line 2: .*invisible.*\nline 4: .*kept for device UUIDs\.\nline 5: .* stands on line 1 already\.$/,
      );
      return true;
    },
  );
  assert.throws(() => read(''), /There is no device ID in the file\./);
  assert.throws(() => readDeviceIdList(Buffer.from([0x64, 0xff, 0x0a])), /not UTF-8/);
  assert.throws(
    () => read(Array.from({ length: 30 }, () => 'uuid:1').join('\n')),
    (error: Problem) => {
      assert.match(error.hint ?? '', /\n10 line\(s\) more are wrong\.$/);
      return true;
    },
  );
});

test('on the command line: an order with a list, a window, what is made and what is left', async () => {
  const list = line.file('list.csv');
  await writeFile(list, 'device_id,carton\ndev-1,7\ndev-2,7\ndev-2,8\n');
  const wrong = await factoryCli(line.dir, ['order', 'add', 'acme-1', '--batch', 'b-1', '--device-ids', list]);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /hint: line 4: The device ID "dev-2" stands on line 3 already\./);
  await writeFile(list, 'device_id,carton\ndev-1,7\ndev-2,7\n');
  const added = await factoryCli(line.dir, ['order', 'add', 'acme-1', '--batch', 'b-1', '--device-ids', list]);
  assert.equal(added.stdout, 'The order acme-1 is there, for 2 device ID(s).\n', added.stderr);
  const opened = await factoryCli(line.dir, ['window', 'open', '--order', 'acme-1', '--quota', '5', '--for', '8h']);
  assert.match(opened.stdout, /^The window \S+ is open for 5 device\(s\) of the order acme-1, until \S+\.\n$/);
  const other = await factoryCli(line.dir, ['window', 'open', '--order', 'acme-2', '--quota', '5', '--for', '8h']);
  assert.match(other.stdout, /^There was no order acme-2: it is there now\.\nThe window /);
  {
    await using factory = await line.open();
    const station = await addStation(factory, 'bench-1');
    assert.equal(await outcome(ask({ factory, station }, { id: 'dev-1', order: 'acme-1' })), 'issued');
  }
  const left = await factoryCli(line.dir, ['order', 'show', 'acme-1', '--not-made']);
  assert.equal(left.stdout, 'dev-2\n');
  const unsure = await factoryCli(line.dir, ['rework', 'dev-1']);
  assert.equal(unsure.code, 1);
  assert.match(unsure.stderr, /--yes/);
  const reworked = await factoryCli(line.dir, ['rework', 'dev-1', '--yes']);
  assert.match(reworked.stdout, /of dev-1 is withdrawn: a new key may be certified\.$/m);
  const listed = await factoryCli(line.dir, ['order', 'list', '--json']);
  const counts = (JSON.parse(listed.stdout) as { name: string; made: number; withdrawn: number; left: number }[]).map(
    ({ name, made, withdrawn, left: still }) => [name, made, withdrawn, still],
  );
  assert.deepEqual(counts, [
    ['acme-1', 0, 1, 2],
    ['acme-2', 0, 0, null],
  ]);
});

test('windows end by themselves, are closed once, and ask nothing that cannot be', async () => {
  await using factory = await line.open();
  const window = { order: 'rules', quota: 1, lasts: '8h', station: null, batch: 'b-2', proof: 'tpm' } as const;
  const opened = await actions.openWindow(factory, window);
  assert.equal(opened.order_made, true);
  assert.equal((await actions.showOrder(factory, { name: 'rules' })).proof, 'tpm');
  const refused = (more: Partial<Parameters<typeof actions.openWindow>[1]>, said: RegExp) =>
    assert.rejects(actions.openWindow(factory, { ...window, ...more }), said);
  await refused({ proof: 'station' }, /The order "rules" is there already, and has the proof "tpm"\./);
  await refused({ batch: 'b-3' }, /and has the batch "b-2"\./);
  await refused({ lasts: '8x' }, /"8x" is no time/);
  await refused({ lasts: '32d' }, /31 days at the most/);
  await refused({ station: 'nobody' }, /There is no station "nobody"\./);
  await refused({ order: 'a/b' }, /"a\/b" is no name of an order\./);
  assert.equal((await actions.closeWindow(factory, { id: opened.id })).state, 'closed');
  await assert.rejects(actions.closeWindow(factory, { id: opened.id }), /There is no open window/);
  const all = await actions.listWindows(factory, { all: true });
  assert.equal(all.find(({ id }) => id === opened.id)?.state, 'closed');
  await assert.rejects(
    actions.addOrder(factory, { name: 'rules', batch: null, proof: 'station', devices: null }),
    /There is an order "rules" already\./,
  );
  const many = Array.from({ length: 100_000 }, (_, index) => `serial-${index}`);
  const { left } = await actions.addOrder(factory, { name: 'many', batch: null, proof: 'station', devices: many });
  assert.equal(left, many.length);
});
