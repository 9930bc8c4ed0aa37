// What is taken for a new password, and what is refused since others try it first.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkNewPassword, normalPassword } from '../../src/login/password-rules.ts';

const refused = (text: string, ...words: string[]) =>
  assert.throws(
    () => checkNewPassword(text, words),
    (error: { code: string; message: string }) =>
      error.code === 'password_unfit' && (text.length < 4 || !error.message.includes(text)),
    text,
  );

test('a password is as long as it is to be, in characters, and of whatever characters', () => {
  refused('elf letters');
  refused('🚗'.repeat(11));
  const long = 'mill otter '.repeat(93);
  refused(`${long}xy`);
  for (const fit of ['zwölf Zeichen', 'mill otter vivid', '8301 4477 9026', '🚕🚙🚌🚎🏎🚓🚑🚒🚐🛻🚚🚛', `${long}x`]) {
    checkNewPassword(fit, []);
  }
});

test('what is tried first is refused, however it is dressed', () => {
  for (const common of [
    'password1234',
    'PassWord!!!!2026',
    'P@ssw0rd2026!',
    'passwordpassword',
    'administrator1',
    'adminpassword',
    'welcome-password',
    '123456789012',
    'qwertyuiop12',
    'qwertzuiopasdf',
    '1qaz2wsx3edc4rfv',
    'abcabcabcabc',
    'aaaaaaaaaaaa',
    'correct horse battery staple',
    'iloveyou iloveyou',
  ]) {
    refused(common);
  }
});

test('the server’s name, the operator’s and their accounts’ are no passwords', () => {
  refused('fleetroot2026');
  refused('FleetrootFleetroot');
  refused('alice.anderson', 'alice.anderson');
  refused('alice123456789', 'alice');
  refused('acme-production!', 'acme-production');
  checkNewPassword('alice anders moon', ['alice']);
});

test('control characters and halves of characters are refused', () => {
  refused('twelve\u0000letters');
  refused('twelve letters\ud800');
});

test('a password is the same however a keyboard writes it', () => {
  const octets = (text: string) => normalPassword(text).reveal().toString('hex');
  assert.equal(octets('zwo\u0308lf Zeichen'), octets('zwölf Zeichen'));
  assert.equal(octets('zwölf\u00a0Zeichen'), octets('zwölf Zeichen'));
  assert.notEqual(octets('Zwölf Zeichen'), octets('zwölf Zeichen'));
});
