// The log: whose each line is, and what never gets into it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { inRequest, type Log, openLog, presentRequest } from '../src/log.ts';
import { Secret } from '../src/secret.ts';

const needle = 'hunter2-correct-horse';

function listening(level = 'trace'): { log: Log; lines: string[]; entries(): any[] } {
  const lines: string[] = [];
  const log = openLog(level, { write: (line) => void lines.push(line) });
  return { log, lines, entries: () => lines.map((line) => JSON.parse(line)) };
}

test('a secret is not told, wherever in what is logged it is', () => {
  const { log, lines, entries } = listening();
  const secret = () => Secret.fromText(needle);
  class Failure extends Error {
    readonly password = secret();
    readonly headers = { authorization: `Bearer ${needle}` };
  }
  log.info({ secret: secret(), deep: { list: [{ secret: secret() }], map: new Map([['key', secret()]]) } }, 'nested');
  log.info({ set: new Set([secret()]), bytes: secret().reveal(), octets: new Uint8Array(secret().reveal()) }, 'bytes');
  log.info('said %s and %o and %j', secret(), secret(), { secret: secret() });
  log.error({ err: new Failure('failed') }, 'an error with members');
  log.error({ err: new Error('outer', { cause: new Failure('inner') }) }, 'an error with a cause');
  log.error({ error: new AggregateError([new Failure('one')], 'several') }, 'several errors');
  log.error(new Failure('bare'));
  log.error({ failure: new Failure('under another name'), several: [new Failure('in a list')] });
  log.child({ password: secret() }).warn('of a child');
  assert.equal(lines.length, 9);
  for (const line of lines) assert.ok(!line.includes(needle), line);
  for (const line of lines) assert.ok(!line.includes(Buffer.from(needle).toString('base64')), line);
  for (const line of lines) assert.ok(!line.includes('104,117,110'), line);
  assert.equal(entries()[0].deep.list[0].secret, '[secret]');
  assert.equal(entries()[1].bytes, `[${needle.length} bytes]`);
  assert.deepEqual([entries()[3].err.type, entries()[3].err.headers.authorization], ['Failure', '[secret]']);
});

test('the header fields that log somebody in are not told, however they are written', () => {
  const { log, lines, entries } = listening();
  const headers = {
    authorization: `Bearer ${needle}`,
    'Proxy-Authorization': `Basic ${needle}`,
    Cookie: `session=${needle}`,
    'set-cookie': [`session=${needle}; HttpOnly`],
    'user-agent': 'curl',
  };
  log.info({ headers, request: { raw: { headers } } }, 'a request');
  assert.ok(!lines.join('').includes(needle));
  assert.equal(entries()[0].headers['user-agent'], 'curl');
});

test('what comes from outside stays in its string: no line of its own, nothing that drives a terminal', () => {
  const { log, lines, entries } = listening();
  const hostile = [
    'x\r\n{"level":30,"msg":"account deleted"}',
    '\u001b[2J\u001b[31mred\u001b]0;title\u0007',
    '\u009b2J\u0085next\u007f',
    '\u2028separator\u2029',
    '\u202eabc\u2066def\u200f',
    '"},{"level":30',
    '\\u001b\\n\u0000',
    '\ud800 alone',
  ];
  for (const text of hostile) log.warn({ name: text, [text]: 1, err: new Error(text) }, text);
  assert.equal(lines.length, hostile.length);
  for (const line of lines) {
    assert.match(line, /^[^\n]*\n$/);
    assert.doesNotMatch(line, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/);
  }
  for (const [index, text] of hostile.slice(0, -1).entries()) {
    assert.equal(entries()[index].msg, text);
    assert.equal(entries()[index].name, text);
  }
});

test('every line of a request has its ID, also after it waited, and beside other requests', async () => {
  const { log, entries } = listening();
  const work = async () => {
    log.info('first');
    await nextTurn();
    log.child({ part: 'custody' }).info('second');
    assert.notEqual(presentRequest(), null);
  };
  await Promise.all([inRequest('one', work), inRequest('other', work)]);
  log.info('of none');
  assert.equal(presentRequest(), null);
  assert.deepEqual(
    entries().map(({ request = null, msg }) => [request, msg]),
    [
      ['one', 'first'],
      ['other', 'first'],
      ['one', 'second'],
      ['other', 'second'],
      [null, 'of none'],
    ],
  );
});

test('what is logged has bounds in depth, and a circle ends', () => {
  const { log, entries } = listening();
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  log.info({ circle }, 'a circle');
  assert.match(JSON.stringify(entries()[0]), /\[deeper\]/);
});

test('a level that is not asked for is not written', () => {
  const { log, lines } = listening('error');
  log.warn('quiet');
  assert.deepEqual(lines, []);
});
