// What a password may be: its length, and that it is none that others try first (NIST SP 800-63B §3.1.1.2).

import { readFileSync } from 'node:fs';
import { Problem } from '../problem.ts';
import { Secret } from '../secret.ts';

const leastCharacters = 12;
const mostCharacters = 1024;
/** A password that is a shorter one said again and again is no longer than that. */
const longestRepeated = 4;

/** Words and passwords that are tried first, in lower case (docs/decisions/0015-logins.md). */
const common = new Set(
  JSON.parse(readFileSync(new URL('./common-passwords.json', import.meta.url), 'utf8')) as string[],
);
/** What is written for letters by those who think that nobody knows. */
const disguises: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'i',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '7': 't',
  '@': 'a',
  $: 's',
  '!': 'i',
};
/** Runs of characters that lie beside each other. */
const runs = [
  '0123456789012345678901234567890',
  'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz',
  'qwertyuiopasdfghjklzxcvbnm',
  'qwertzuiopasdfghjklyxcvbnm',
  'azertyuiopqsdfghjklmwxcvbn',
  'qazwsxedcrfvtgbyhnujmikolp',
  '1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p',
  '1q2w3e4r5t6y7u8i9o0p',
].flatMap((run) => [run, run.split('').toReversed().join('')]);

/** The same characters for whoever types them where: NFC, as RFC 8265 §4.2 has it, every kind of space an ordinary one. */
export function normalPassword(text: string): Secret {
  return Secret.fromText(text.replaceAll(/\p{Zs}/gu, ' ').normalize('NFC'));
}

/**
 * Checks a password that is to be new. `words` are those that belong to whom it is for: their name, their accounts. There
 * are no rules on which characters stand in it. Throws Problem `password_unfit`, which does not repeat it.
 */
export function checkNewPassword(text: string, words: readonly string[]): void {
  const { length } = [...text];
  if (length < leastCharacters || length > mostCharacters) {
    throw unfit(`A password has ${leastCharacters} to ${mostCharacters} characters.`);
  }
  if (/\p{Cc}/u.test(text) || !text.isWellFormed()) throw unfit('The password has characters in it that nobody types.');
  if (isCommon(text, words)) throw unfit('The password is one of those that are tried first.');
}

function unfit(sentence: string): Problem {
  return new Problem('password_unfit', sentence, 'Take four random words, or what a password manager makes.');
}

/**
 * Whether it is one or two words of the list or of its owner's, a run of keys, or one of them again and again: but for case,
 * for digits and signs around or between, and for signs that stand for letters.
 */
function isCommon(text: string, words: readonly string[]): boolean {
  const whole = text.normalize('NFKC').toLowerCase();
  const known = new Set([...common, 'fleetroot', ...words.map((word) => unsigned(word.toLowerCase()))]);
  const bare = whole.replace(/^[^\p{L}]+|[^\p{L}]+$/gu, '');
  const cores = [whole, bare, ...[whole, bare].map(undisguised), whole.replaceAll(/[^\p{L}]/gu, '')];
  return cores
    .map(unsigned)
    .filter((core) => core !== '')
    .some((core) => {
      const unit = repeatedUnit(core);
      if (unit !== core && [...unit].length <= longestRepeated) return true;
      return [core, unit].some((each) => isRun(each) || isOneOrTwo(each, known));
    });
}

const unsigned = (text: string): string => text.replaceAll(/[^\p{L}\p{N}]/gu, '');

const undisguised = (text: string): string => text.replaceAll(/[013457@$!]/g, (sign) => disguises[sign] ?? sign);

function isOneOrTwo(text: string, words: ReadonlySet<string>): boolean {
  if (words.has(text)) return true;
  for (let at = 1; at < text.length; at += 1) {
    if (words.has(text.slice(0, at)) && words.has(text.slice(at))) return true;
  }
  return false;
}

/** What a text is a repetition of; itself where it is none. */
function repeatedUnit(text: string): string {
  return text.slice(0, (text + text).indexOf(text, 1));
}

const isRun = (text: string): boolean => text.length > longestRepeated && runs.some((run) => run.includes(text));
