// What somebody is told before the line stops: each alarm when it begins and when it is over, once.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { actions } from '../../src/factory/actions.ts';
import { alarms, alarmsOfSpace, AlarmWatch } from '../../src/factory/alarms.ts';
import { openLog } from '../../src/log.ts';
import { startLine } from '../support/factory.ts';
import { addStation, ask, openWindow, outcome } from '../support/factory-enrolment.ts';

const minute = 60_000;
const day = 24 * 60 * minute;

test('alarms begin and end, and the log tells of both once', async () => {
  const start = Date.UTC(2026, 5, 15, 12);
  let now = start;
  await using line = await startLine({ quota: 5, until: new Date(start + 40 * day).toISOString(), clock: () => now });
  await using factory = await line.open();
  const lines: string[] = [];
  const log = openLog('info', { write: (text) => void lines.push(text) });
  const told = () => lines.splice(0).map((text) => JSON.parse(text) as { alarm: string; msg: string });
  const watched = { ...factory, log };
  // How full the machine's own disk is, is not the story.
  const ofLine = ({ id }: { id: string }) => !id.startsWith('disk');
  const kinds = async () =>
    (await alarms(watched))
      .filter(ofLine)
      .map(({ id }) => id.replace(/\/[0-9a-f-]{36}/, ''))
      .toSorted();
  await using watch = new AlarmWatch(watched, { every: day });
  await watch.look();
  assert.deepEqual([await kinds(), told()], [[], []]);

  const station = await addStation(factory, 'bench-1');
  const id = await openWindow(factory, { quota: 4, lasts: '1h' });
  for (const device of [1, 2, 3]) await ask({ factory, station }, { id: `dev-${device}` });
  assert.deepEqual(await kinds(), []);
  await ask({ factory, station }, { id: 'dev-4' });
  assert.deepEqual(await kinds(), ['mandate_quota', 'window_used_up']);
  await watch.look();
  await watch.look();
  const begun = told();
  assert.deepEqual(
    new Set(begun.map(({ alarm }) => alarm.split('/')[0])),
    new Set(['mandate_quota', 'window_used_up']),
  );
  assert.equal(begun.length, 2);
  assert.equal(watch.present.length, 2);
  now += 31 * minute;
  assert.deepEqual(await kinds(), ['mandate_quota', 'window_closes', 'window_used_up']);
  await actions.closeWindow(factory, { id });
  await watch.look();
  assert.deepEqual(
    told().map(({ alarm, msg }) => [alarm, msg]),
    [[`window_used_up/${id}`, 'the alarm is over']],
  );

  now -= day;
  assert.deepEqual(await kinds(), ['clock_went_back', 'mandate_quota']);
  now = start + 20 * day;
  assert.deepEqual(await kinds(), ['mandate_ends/30d', 'mandate_quota']);
  now = start + 39.5 * day;
  assert.deepEqual(await kinds(), ['mandate_ends/1d', 'mandate_quota']);
  now = start + 41 * day;
  assert.deepEqual(await kinds(), ['no_mandate']);
  const { ca } = await actions.showLine(factory, {});
  const ends = Date.parse(ca!.not_after);
  for (const [days, expected] of [
    [91, ['no_mandate']],
    [89, ['ca_ends/90d', 'no_mandate']],
    [6, ['ca_ends/7d', 'no_mandate']],
    [-1, ['ca_ended', 'no_mandate']],
  ] as const) {
    now = ends - days * day;
    assert.deepEqual(await kinds(), expected);
  }
});

test('a mandate that is used up is told of where no other covers the same, whatever else may be made', async () => {
  await using line = await startLine({ quota: 1, pattern: 'box-.*' });
  await line.at('acceptBundle', { bundle: await line.mandate({ quota: 9, pattern: 'vin-.*' }), root_sha256: null });
  await using factory = await line.open();
  const station = await addStation(factory, 'bench-1');
  await openWindow(factory);
  const stopped = async () => (await alarms(factory)).filter(({ level }) => level === 'stops').map(({ id }) => id);
  assert.deepEqual(await stopped(), []);
  await ask({ factory, station }, { id: 'box-1' });
  const [used] = (await actions.listMandates(factory, {})).filter(
    ({ device_id_pattern }) => device_id_pattern === 'box-.*',
  );
  assert.deepEqual(await stopped(), [`mandate_used_up/${used!.id}`]);
  await ask({ factory, station }, { id: 'vin-1' });
});

test('a mandate that is edited again and again is one alarm until it is as it was', async () => {
  await using line = await startLine({ quota: 5 });
  await using factory = await line.open();
  const changed = async () =>
    (await alarms(factory)).map(({ id }) => id).filter((id) => id.startsWith('mandate_changed'));
  const station = await addStation(factory, 'bench-1');
  await openWindow(factory);
  const edit = (statement: string) => {
    using database = new DatabaseSync(join(line.dir, 'factory.db'));
    database.exec(statement);
  };
  assert.deepEqual(await changed(), []);
  for (const device of [1, 2, 3]) await ask({ factory, station }, { id: `dev-${device}` });
  assert.deepEqual(await changed(), []);
  const id = (await actions.listMandates(factory, {}))[0]!.id;
  for (const used of [2, 1]) {
    edit(`UPDATE mandates SET used = ${used}`);
    assert.deepEqual(await changed(), [`mandate_changed/${id}`]);
  }
  edit('UPDATE mandates SET used = 3');
  assert.deepEqual(await changed(), []);
  assert.equal(await outcome(ask({ factory, station }, { id: 'dev-4' })), 'issued');
});

test('a disk is told of before it is full', () => {
  const kinds = (mebibytes: number) => alarmsOfSpace(mebibytes * 1024 * 1024).map(({ id, level }) => [id, level]);
  assert.deepEqual(kinds(10_000), []);
  assert.deepEqual(kinds(255), [['disk_nearly_full', 'warns']]);
  assert.deepEqual(kinds(15), [['disk_full', 'stops']]);
});
