// The custodian of HSMs: private keys that a PKCS #11 token makes, and never gives out.

import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';

import type { Secret } from '../secret.ts';
import type { Custodian, CustodyKey, KeyRequest, KeyType, NewKey, SigningAlgorithm } from './custodian.ts';
import { CustodyProblem, fits } from './custodian.ts';
import { keyTypeOf } from './key-type.ts';
import { bindingOf } from './pkcs11-binding.ts';
import { TokenConnection } from './pkcs11-connection.ts';
import type { MadeKey, StoredKey, TokenSettings } from './pkcs11-messages.ts';

/** Which token, with what PIN, and how long a call may take (milliseconds). */
export interface Pkcs11Options extends TokenSettings {
  timeout: number;
  /** Environment variables with secrets that are not the HSM's: the process that its maker's library runs in has none. */
  withheldVariables: readonly string[];
}

/** The form of what is remembered; another one is another program's. */
const format = 1;

/**
 * The custodian named `pkcs11`. What it has remembered of a key is its ID on the token (CKA_ID), the token's serial
 * number and a digest that binds them to the public key: a small JSON text, nothing of it secret.
 *
 * The token is opened when it is first asked for, in a process of its own (pkcs11-process.ts), so that a token that is
 * away at the start is no reason not to start.
 */
export function createPkcs11Custodian({ timeout, withheldVariables, ...settings }: Pkcs11Options): Custodian {
  const connection = new TokenConnection(settings, timeout, withheldVariables);
  return {
    name: 'pkcs11',

    async create({ id, keyType, exportable }) {
      if (exportable) throw neverGivenOut(id);
      return remember(id, keyType, await connection.askOnce({ kind: 'create', id, keyType }));
    },

    async import(request, privateKey) {
      const publicKey = publicHalf(request, privateKey);
      const { id, keyType, exportable } = request;
      if (exportable) throw neverGivenOut(id);
      // A copy: the message is sent, and wiped, on its own.
      const copy = Buffer.from(privateKey.reveal());
      try {
        const made = await connection.askOnce({ kind: 'import', id, keyType, privateKey: copy });
        if ((made as MadeKey).publicKey.equals(publicKey)) return remember(id, keyType, made);
      } finally {
        copy.fill(0);
      }
      throw new CustodyProblem('corrupted', `The token took in another key ${id} than it was given.`);
    },

    async publicKey(key) {
      return (await connection.ask({ kind: 'publicKey', key: stored(key) })) as Buffer;
    },

    async sign(key, algorithm, data) {
      if (!fits(key.keyType, algorithm)) throw new TypeError(`a ${key.keyType} key makes no ${algorithm} signature`);
      const input = inputOf(algorithm, data);
      return (await connection.ask({ kind: 'sign', key: stored(key), algorithm, input })) as Buffer;
    },

    async export(key) {
      throw neverGivenOut(key.id);
    },

    async destroy(key) {
      await connection.ask({ kind: 'destroy', key: stored(key) });
    },

    async check() {
      await connection.ask({ kind: 'check' });
    },

    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  };
}

/** ECDSA signs a digest, which is made here: the HSM need not see the rest. Tokens make that of an RSA signature themselves. */
function inputOf(algorithm: SigningAlgorithm, data: Uint8Array): Buffer {
  const [scheme, digest] = algorithm.split('-') as ['ecdsa' | 'rsa', string];
  return scheme === 'ecdsa' ? createHash(digest).update(data).digest() : Buffer.from(data);
}

function neverGivenOut(id: string): CustodyProblem {
  return new CustodyProblem(
    'not_exportable',
    `Key ${id} is to be in an HSM, which gives no private key out.`,
    'Keep a key that is to be given out with another custodian.',
  );
}

/** The public key (SPKI, DER). Throws TypeError where this is no private key of the type named. */
function publicHalf({ keyType }: KeyRequest, pkcs8: Secret): Buffer {
  try {
    const key = createPrivateKey({ key: pkcs8.reveal(), format: 'der', type: 'pkcs8' });
    if (keyTypeOf(key) === keyType) return createPublicKey(key).export({ type: 'spki', format: 'der' });
  } catch {
    // Said below, in the same words.
  }
  throw new TypeError(`this is no ${keyType} private key in PKCS#8`);
}

function remember(id: string, keyType: KeyType, made: Buffer | MadeKey | null): NewKey {
  const { publicKey, token } = made as MadeKey;
  const binding = bindingOf({ id, keyType, token }, publicKey).toString('base64url');
  return { publicKey, remembered: Buffer.from(JSON.stringify({ format, token, id, binding })) };
}

/** What was remembered of the key; throws CustodyProblem `corrupted` where that is damaged or another key's. */
function stored({ id, keyType, remembered }: CustodyKey): StoredKey {
  try {
    const text = Buffer.from(remembered).toString('utf8');
    const { token, binding } = JSON.parse(text) as { token: string; binding: string };
    // Exactly as it was written, so that no two texts are of one key.
    if (text === JSON.stringify({ format, token, id, binding })) {
      return { id, keyType, token, binding: Buffer.from(binding, 'base64url') };
    }
  } catch {
    // Said below, in the same words.
  }
  throw new CustodyProblem(
    'corrupted',
    `What was remembered of key ${id} is damaged, or is another key's.`,
    'Start the server with the registry that belongs to this HSM.',
  );
}
