// The custodian of the embedded default: private keys sealed in the registry, unwrapped only to sign.

import { createPrivateKey, createPublicKey, generateKeyPair, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { promisify } from 'node:util';

import { Secret } from '../secret.ts';
import type { Custodian, CustodyKey, KeyRequest, KeyType, NewKey, SigningAlgorithm } from './custodian.ts';
import { CustodyProblem, fits } from './custodian.ts';
import { keyContext } from './key-context.ts';
import { keyTypeOf } from './key-type.ts';
import type { Seal } from './seal.ts';

/** A signature that was asked for and not yet made. */
interface Waiting {
  key: CustodyKey;
  algorithm: SigningAlgorithm;
  data: Uint8Array;
  resolve: (signature: Buffer) => void;
  reject: (reason: unknown) => void;
}

/** EC signatures block the event loop, some 50 µs each: so many at most before other work has its turn. */
const mostInOneTurn = 64;

const signInThread = promisify(
  (digest: string, data: Uint8Array, key: KeyObject, done: (error: Error | null, signature: Buffer) => void) =>
    sign(digest, data, key, done),
);

/**
 * The custodian named `software`. What it has remembered of a key is its PKCS#8, sealed.
 *
 * Unwrapping costs more than signing, so signatures asked for in one turn of the event loop are made together: a key is
 * unwrapped once for all of them, nothing holds it afterwards, and no timer decides how long a key stays in the clear.
 * Under load that is also fewer copies in memory than one for each signature, since OpenSSL erases a key only when
 * the garbage collector lets go of it. The registry's commits arrive in groups, and so do the signatures behind them.
 */
export function createSoftwareCustodian(seal: Seal): Custodian {
  let waiting: Waiting[] = [];

  function signWaiting(): void {
    const now = waiting.slice(0, mostInOneTurn);
    waiting = waiting.slice(mostInOneTurn);
    if (waiting.length > 0) setImmediate(signWaiting);
    for (const ofOneKey of Map.groupBy(now, ({ key }) => key.id).values()) signTogether(seal, ofOneKey);
  }

  return {
    name: 'software',

    async create(request) {
      const { publicKey, privateKey } = await generate(request.keyType);
      using secret = new Secret(privateKey);
      return { publicKey, remembered: seal.seal(secret.reveal(), keyContext(request)) };
    },

    import: async (request, privateKey) => takeIn(seal, request, privateKey),

    publicKey: async (key) => publicKeyOf(unwrap(seal, key)),

    sign(key, algorithm, data) {
      return new Promise((resolve, reject) => {
        if (!fits(key.keyType, algorithm)) throw new TypeError(`a ${key.keyType} key makes no ${algorithm} signature`);
        if (waiting.length === 0) setImmediate(signWaiting);
        waiting.push({ key, algorithm, data, resolve, reject });
      });
    },

    async export(key) {
      if (!key.exportable) {
        throw new CustodyProblem('not_exportable', `Key ${key.id} was made never to be given out.`);
      }
      return seal.open(key.remembered, keyContext(key));
    },

    // Nothing of the key is held here: it ends with the sealed value, when the caller forgets that.
    async destroy() {},

    // The seal was proved at the start, and nothing can take it away.
    async check() {},

    async [Symbol.asyncDispose]() {},
  };
}

function takeIn(seal: Seal, request: KeyRequest, privateKey: Secret): NewKey {
  const key = readPrivateKey(privateKey);
  if (key === null || keyTypeOf(key) !== request.keyType) {
    throw new TypeError(`this is no ${request.keyType} private key in PKCS#8`);
  }
  return { publicKey: publicKeyOf(key), remembered: seal.seal(privateKey.reveal(), keyContext(request)) };
}

function publicKeyOf(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' });
}

function readPrivateKey(pkcs8: Secret): KeyObject | null {
  try {
    return createPrivateKey({ key: pkcs8.reveal(), format: 'der', type: 'pkcs8' });
  } catch {
    return null;
  }
}

/** Makes the signatures that wait for one key, unwrapping it once. */
function signTogether(seal: Seal, ofOneKey: readonly Waiting[]): void {
  let unwrapped: KeyObject;
  try {
    unwrapped = unwrap(seal, ofOneKey[0]!.key);
  } catch (error) {
    for (const { reject } of ofOneKey) reject(error);
    return;
  }
  for (const { algorithm, data, resolve, reject } of ofOneKey)
    signature(unwrapped, algorithm, data).then(resolve, reject);
}

/** RSA signatures take milliseconds and go to a thread; for EC ones the way there would cost as much as the signature. */
async function signature(key: KeyObject, algorithm: SigningAlgorithm, data: Uint8Array): Promise<Buffer> {
  const [scheme, digest] = algorithm.split('-') as ['ecdsa' | 'rsa', string];
  return scheme === 'rsa' ? signInThread(digest, data, key) : sign(digest, data, key);
}

function unwrap(seal: Seal, key: CustodyKey): KeyObject {
  using opened = seal.open(key.remembered, keyContext(key));
  const privateKey = readPrivateKey(opened);
  if (privateKey !== null) return privateKey;
  throw new CustodyProblem('corrupted', `The sealed key ${key.id} is no private key.`);
}

const encodings = {
  publicKeyEncoding: { type: 'spki', format: 'der' },
  privateKeyEncoding: { type: 'pkcs8', format: 'der' },
} as const;

/** A key pair as SPKI and PKCS#8 (both DER), made in a thread. */
async function generate(keyType: KeyType): Promise<{ publicKey: Buffer; privateKey: Buffer }> {
  const make = promisify(generateKeyPair);
  switch (keyType) {
    case 'p256':
      return make('ec', { namedCurve: 'P-256', ...encodings });
    case 'p384':
      return make('ec', { namedCurve: 'P-384', ...encodings });
    case 'rsa2048':
    case 'rsa3072':
    case 'rsa4096':
      return make('rsa', { modulusLength: Number(keyType.slice(3)), ...encodings });
  }
}
