// Passphrases of private keys, and new passwords of operators: typed by a person, never an argument, an option or a variable.

import { isUtf8 } from 'node:buffer';
import type { Secret } from '../secret.ts';
import { Failure } from './failure.ts';
import type { Terminal } from './terminal.ts';

const leastCharacters = 12;
/** Of what a directory's keys are sealed under, as custody/passphrase.ts has it. */
const leastOfSeal = 16;
const mostCharacters = 1024;

/**
 * Asks for a new passphrase, twice. Throws Failure where there is none, or one that is too short, or two that differ.
 * Wiping it is the caller's.
 */
export function newPassphrase(terminal: Terminal): Promise<Secret> {
  return askTwice(terminal, 'passphrase', `Passphrase for the private key (at least ${leastCharacters} characters): `);
}

/** Asks for the passphrase that a back-up is to be encrypted under, twice, as `newPassphrase` does. */
export function newBackupPassphrase(terminal: Terminal): Promise<Secret> {
  return askTwice(terminal, 'passphrase', `Passphrase for the back-up (at least ${leastCharacters} characters): `);
}

/** Asks for the new passphrase that a Fleet Root's key is sealed under, twice, as `newPassphrase` does. */
export function newRootPassphrase(terminal: Terminal): Promise<Secret> {
  const question = `Passphrase for the Fleet Root (at least ${leastOfSeal} characters): `;
  return askTwice(terminal, 'passphrase', question, leastOfSeal);
}

/** Asks for the new password of an operator, twice, as `newPassphrase` does. */
export function newPassword(terminal: Terminal, operator: string): Promise<Secret> {
  return askTwice(terminal, 'password', `Password for ${operator} (at least ${leastCharacters} characters): `);
}

async function askTwice(
  terminal: Terminal,
  what: 'passphrase' | 'password',
  question: string,
  least = leastCharacters,
): Promise<Secret> {
  const given = await ask(terminal, question);
  try {
    checkNew(given, what, least);
    using again = await ask(terminal, `The same ${what} again: `);
    if (again.reveal().equals(given.reveal())) return given;
    throw new Failure(`the two ${what}s differ: nothing was done`);
  } catch (error) {
    given.wipe();
    throw error;
  }
}

/** Asks for the passphrase of a file that is there. Wiping it is the caller's. */
export function passphraseOf(terminal: Terminal, file: string): Promise<Secret> {
  return ask(terminal, `Passphrase of ${file}: `);
}

async function ask(terminal: Terminal, question: string): Promise<Secret> {
  const answer = await terminal.askSecret(question);
  if (answer !== null) return answer;
  throw new Failure(
    'a passphrase was asked for, and none came: nothing was done',
    'type it at the terminal, or send it to stdin, a line each time it is asked for (a new one twice); it is taken from nowhere else',
  );
}

/** Node, openssl and a person's keyboard must mean the same octets by it. */
function checkNew(given: Secret, what: 'passphrase' | 'password', least: number): void {
  const octets = given.reveal();
  if (!isUtf8(octets)) throw new Failure(`the ${what} is not UTF-8: nothing was done`);
  const text = octets.toString('utf8');
  if (/\p{Cc}/u.test(text)) throw new Failure(`the ${what} has control characters in it: nothing was done`);
  const { length } = [...text];
  if (length < least || length > mostCharacters) {
    throw new Failure(`a ${what} has ${least} to ${mostCharacters} characters: nothing was done`);
  }
}
