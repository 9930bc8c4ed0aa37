// Recovery codes: ten that stand in for a second factor that was lost, each once.

import { randomInt } from 'node:crypto';
import { sha256Of } from './login.ts';

const count = 10;
/** Without those that are read as another: 16 of these 31 are 79 bits, for which a plain hash is enough. */
const alphabet = '23456789abcdefghjkmnpqrstuvwxyz';
const length = 16;

/** New codes, such as `ab3d-ef5h-jk7m-np9q`, and what is kept of them. */
export function newRecoveryCodes(): { codes: string[]; hashes: string[] } {
  const codes = Array.from({ length: count }, () => {
    const characters = Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');
    return characters.replaceAll(/(.{4})(?=.)/g, '$1-');
  });
  return { codes, hashes: codes.map(hashOfRecoveryCode) };
}

/** What is kept of a code, however it was typed. */
export function hashOfRecoveryCode(typed: string): string {
  return sha256Of(typed.toLowerCase().replaceAll(/[^a-z0-9]/g, ''));
}
