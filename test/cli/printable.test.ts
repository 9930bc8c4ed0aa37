import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sentences, sheet, table } from '../../src/cli/page.ts';
import { printable, printableJson } from '../../src/cli/printable.ts';

/** What a terminal obeys, hides or reorders, written out apart from the code under test. */
const obeyed =
  /[\0-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0001}-\u{e007f}]|\p{Cs}/u;
const hostile = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      '\x1b',
      '\x9b',
      '\r',
      '\n',
      '\t',
      '\0',
      '\x7f',
      '\u202e',
      '\u2066',
      '\u200b',
      '\u2028',
      '\u{e0041}',
      '\ud800',
    ),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  ),
});

test('a device ID that would clear the screen or turn the text round is shown, not obeyed', () => {
  assert.equal(printable('vin-\x1b[2J\u202e1'), 'vin-\\u{1b}[2J\\u{202e}1');
  assert.equal(printable('vin-1\u3164\ufe0f'), 'vin-1\\u{3164}\\u{fe0f}');
  assert.equal(printable('ünïcode 車両 🚗'), 'ünïcode 車両 🚗');
});

test('nothing that strangers chose reaches a terminal as anything but text', () => {
  fc.assert(fc.property(hostile, (text) => !obeyed.test(printable(text))));
});

test('a row stays one line and a fact one line, whatever is in them', () => {
  fc.assert(
    fc.property(hostile, (text) => {
      const { out } = table([{ text }], 'none', { 'device id': (row) => row.text, state: () => 'active' });
      assert.equal(out.split('\n').length, 3);
      assert.equal(sheet({ rule: text }).out.split('\n').length, 2);
      assert.equal(sentences(`The device ${text} is gone.`).out.split('\n').length, 2);
    }),
  );
});

test('--json is the same value, and safe on a terminal too', () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), hostile, (value, text) => {
      const list = [value, { [text]: text }, []];
      const written = [...printableJson(list)].join('');
      assert.deepEqual(JSON.parse(written), JSON.parse(JSON.stringify(list)));
      assert.ok(!obeyed.test(written.replaceAll('\n', '')));
      assert.equal([...printableJson(value)].join('').endsWith('\n'), true);
    }),
  );
});

test('a list is written as JSON.stringify would write it', () => {
  const list = [
    { id: 1, hosts: ['a', 'b'] },
    { id: 2, hosts: [] },
  ];
  assert.equal([...printableJson(list)].join(''), `${JSON.stringify(list, null, 2)}\n`);
  assert.equal([...printableJson([])].join(''), '[]\n');
});

test('columns stand under their heads, and nothing is a dash', () => {
  const rows = [
    { name: 'acme', uses: 3, until: null },
    { name: 'a-longer-name', uses: 0, until: '2027' },
  ];
  assert.equal(
    table(rows, 'none', { name: (row) => row.name, uses: (row) => row.uses, until: (row) => row.until }).out,
    ['NAME           USES  UNTIL', 'acme           3     -', 'a-longer-name  0     2027', ''].join('\n'),
  );
});

test('an empty list prints nothing and says so beside it', () => {
  assert.deepEqual(table([], 'There are none.', { name: () => 'x' }), { out: '', note: 'There are none.' });
});
