// A key of a vault's transit engine in bytes: its name, what is remembered of it, and what the vault gives of it.

import { createPrivateKey, createPublicKey, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import { Secret } from '../secret.ts';
import { CustodyProblem } from './custodian.ts';
import type { CustodyKey, KeyType } from './custodian.ts';
import { keyTypeOf } from './key-type.ts';
import { member } from './vault-answer.ts';
import type { VaultAnswer } from './vault-transport.ts';

/**
 * The names of our keys: any prefix that can be configured, and a UUID. Transit would take others, which are other
 * people's keys: whoever writes the registry is not to name one of them.
 */
const ourName = /^(?:\w[\w.-]{0,62})?([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})$/;

/** What is remembered of a key. */
export interface Remembered {
  name: string;
  version: number;
}

/** The name of a new key. Throws a TypeError where the ID is no UUID, or the prefix none that can be configured. */
export function nameOf(prefix: string, id: string): string {
  const name = `${prefix}${id}`;
  if (ourName.exec(name)?.[1] === id) return name;
  throw new TypeError(`${name} cannot be the name of a key in a vault`);
}

export function remember({ name, version }: Remembered): Buffer {
  return Buffer.from(JSON.stringify({ format: 1, key: name, version }));
}

/** Only what `remember` writes, for this very key. The prefix is the one it was made with, whatever is configured now. */
export function recall(key: CustodyKey): Remembered {
  try {
    const { key: name, version } = JSON.parse(Buffer.from(key.remembered).toString('utf8')) as Record<string, unknown>;
    if (typeof name === 'string' && ourName.exec(name)?.[1] === key.id) {
      if (Number.isSafeInteger(version) && (version as number) >= 1) {
        const remembered = { name, version: version as number };
        if (remember(remembered).equals(key.remembered)) return remembered;
      }
    }
  } catch {
    // It is no JSON.
  }
  throw mixedUp(key);
}

export function mixedUp({ id }: CustodyKey): CustodyProblem {
  return new CustodyProblem('corrupted', `What is remembered of key ${id} in the vault is damaged, or of another key.`);
}

export function readPublicKey(pem: string): KeyObject | null {
  try {
    return createPublicKey(pem);
  } catch {
    return null;
  }
}

/** The public half of a private key of this type (PKCS#8, DER). Throws a TypeError where it is none. */
export function publicHalfOf(privateKey: Secret, keyType: KeyType): Buffer {
  let key: KeyObject | null;
  try {
    key = createPrivateKey({ key: privateKey.reveal(), format: 'der', type: 'pkcs8' });
  } catch {
    key = null;
  }
  if (key === null || keyTypeOf(key) !== keyType) throw new TypeError(`this is no ${keyType} private key in PKCS#8`);
  return createPublicKey(key).export({ type: 'spki', format: 'der' });
}

/** `vault:v1:` and base64, the number being the key's version; OpenBao writes the same. */
export function signatureIn(answer: VaultAnswer, version: number): Buffer | null {
  const text = member(answer, 'data', 'signature');
  const start = `vault:v${version}:`;
  if (typeof text !== 'string' || !text.startsWith(start)) return null;
  const signature = Buffer.from(text.slice(start.length), 'base64');
  return signature.toString('base64') === text.slice(start.length) ? signature : null;
}

export function isBy({ publicKey }: CustodyKey, hash: string, data: Uint8Array, signature: Buffer): boolean {
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
    return verify(hash, data, key, signature);
  } catch {
    return false;
  }
}

/** The PEM in an answer, taken out of its bytes: a string with the key in it could not be overwritten. */
export function privateKeyIn(body: Secret): KeyObject | null {
  const bytes = body.reveal();
  const start = bytes.indexOf('-----BEGIN ');
  const end = bytes.indexOf('"', start);
  if (start === -1 || end === -1) return null;
  using pem = new Secret(Buffer.alloc(end - start));
  let length = 0;
  for (let at = start; at < end; at += 1) {
    // JSON writes a line end as \n, two octets.
    const escaped = bytes[at] === 0x5c && bytes[at + 1] === 0x6e;
    pem.reveal()[length] = escaped ? 0x0a : bytes[at]!;
    length += 1;
    if (escaped) at += 1;
  }
  try {
    return createPrivateKey({ key: pem.reveal().subarray(0, length), format: 'pem' });
  } catch {
    return null;
  }
}
