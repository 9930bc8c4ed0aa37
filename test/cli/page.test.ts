// What people see at a terminal: tables no wider than it is, and colours only where they are wanted.

import assert from 'node:assert/strict';
import { stripVTControlCharacters } from 'node:util';
import { test } from 'node:test';
import fc from 'fast-check';
import { pages, sheet, table } from '../../src/cli/page.ts';

const devices = [
  { id: 'vin-1', state: 'active', text: 'a rather long sentence that says what is to be done about it' },
  { id: 'vin-22', state: 'revoked', text: 'ñ' },
];
const columns = { 'device id': (row: (typeof devices)[0]) => row.id, state: (row: (typeof devices)[0]) => row.state };
const withText = { ...columns, text: (row: (typeof devices)[0]) => row.text };
const plain = { columns: null, colours: false };

test('a table is cut to the width of the terminal where it can be, the widest column first and the first never', () => {
  const { out, fit } = table(devices, '', withText);
  assert.equal(fit!(plain), out);
  assert.equal(
    fit!({ columns: 40, colours: false }),
    'DEVICE ID  STATE    TEXT\nvin-1      active   a rather long sente…\nvin-22     revoked  ñ\n',
  );
  // What cannot be made narrower is left out, the last column first.
  assert.equal(fit!({ columns: 22, colours: false }), 'DEVICE ID  STATE\nvin-1      active\nvin-22     revoked\n');
});

test('a time is told by the minute at a terminal, and whole wherever else', () => {
  const { out, fit } = table([{ at: '2026-11-22T23:15:42.123Z' }], '', { at: (row) => row.at });
  assert.equal(out, 'AT\n2026-11-22T23:15:42.123Z\n');
  assert.equal(fit!({ columns: 80, colours: false }), 'AT\n2026-11-22 23:15\n');
});

test('no line is wider than the terminal as long as every column has its least width', () => {
  const cells = fc.array(fc.array(fc.string(), { minLength: 3, maxLength: 3 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(cells, fc.integer({ min: 60, max: 200 }), (rows, width) => {
      const shown = table(rows, '', { a: (row) => row[0]!.slice(0, 20), b: (row) => row[1], c: (row) => row[2] });
      for (const line of shown.fit!({ columns: width, colours: false }).split('\n')) {
        assert.ok([...line].length <= width, line);
      }
    }),
  );
});

test('states are coloured by what they mean, and only that is added', () => {
  const page = pages(table(devices, '', columns), sheet({ state: 'pending', name: 'active-ish' }));
  const shown = page.fit!({ columns: 80, colours: true });
  assert.ok(shown.includes('\u001b[32mactive\u001b[39m') && shown.includes('\u001b[31mrevoked\u001b[39m'));
  assert.ok(shown.includes('\u001b[33mpending\u001b[39m') && !shown.includes('\u001b[32mactive-ish'));
  assert.equal(stripVTControlCharacters(shown), page.out);
  assert.doesNotMatch(page.fit!(plain), /\u001b/);
});
