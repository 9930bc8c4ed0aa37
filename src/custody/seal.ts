// Secrets wrapped by the master key, so that they can lie in the registry whatever custodian holds the CAs' keys.

import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import { Secret } from '../secret.ts';
import { CustodyProblem } from './custodian.ts';

/**
 * Seals and opens secrets. The context says what the secret is (`custody key <id>`) and is authenticated with it:
 * a sealed value that is copied into another row does not open there.
 */
export interface Seal {
  /** Gives an opaque value that only the same master key opens. `plain` is left as it is; wiping it is the caller's. */
  seal(plain: Uint8Array, context: string): Buffer;
  /** Throws CustodyProblem `corrupted` where the value is damaged, was sealed for another context or by another key. */
  open(sealed: Uint8Array, context: string): Secret;
}

/** A seal by which processes that have the same master key know what one of them has made. */
export interface AuthenticatingSeal extends Seal {
  /** An HMAC-SHA-256 of it under a key that comes from the master key. */
  authenticate(data: Uint8Array, context: string): Buffer;
  /** Whether `mac` is what `authenticate` gives for this, under the master key in use or another one of a rotation. */
  isAuthentic(data: Uint8Array, context: string, mac: Uint8Array): boolean;
}

/** Octets of a master key. */
export const masterKeySize = 32;

const keySize = 32;
const nonceSize = 12;
const tagSize = 16;
const keyIdSize = 8;

// A sealed value: head ‖ nonce ‖ wrapped data key ‖ its tag ‖ ciphertext ‖ its tag. The head is the version and, since
// version 2, the ID of the master key: which key opens a value is read from it and not tried out.
const firstVersion = Buffer.of(1);
const version = Buffer.of(2);
const wrapSize = nonceSize + keySize + tagSize;

// A data key encrypts one value only, so a constant nonce never meets the same key twice (NIST SP 800-38D §8.2).
const onlyNonce = Buffer.alloc(nonceSize);

/** A master key in use, and the head of every value that is sealed under it. */
interface WrappingKey {
  readonly key: KeyObject;
  readonly head: Buffer;
  /** For HMACs, derived from the master key, which itself wraps alone. */
  readonly authenticating: KeyObject;
}

/** The parts of a sealed value. */
interface Parts {
  readonly head: Uint8Array;
  readonly wrap: Uint8Array;
  readonly body: Uint8Array;
}

/**
 * A seal under this master key (32 octets): AES-256-GCM with a random data key for each value, itself wrapped by the
 * master key under a random nonce. Good for 2^32 values (NIST SP 800-38D §8.3).
 */
export function createSeal(masterKey: Secret): AuthenticatingSeal {
  return new ChangeableSeal(masterKey);
}

/**
 * A seal whose master key can be replaced while it is in use. Keys that were replaced go on opening what somebody read
 * before it was wrapped anew; nothing is sealed under them.
 */
export class ChangeableSeal implements AuthenticatingSeal {
  #newest: WrappingKey;
  #others: WrappingKey[] = [];

  /** `masterKey` may be wiped afterwards. */
  constructor(masterKey: Secret) {
    this.#newest = wrappingKey(masterKey);
  }

  /** Opens what lies under `masterKey` too from now on, and seals nothing under it; it may be wiped afterwards. */
  prepare(masterKey: Secret): void {
    const key = wrappingKey(masterKey);
    if (![this.#newest, ...this.#others].some(({ head }) => head.equals(key.head))) this.#others.push(key);
  }

  /** Seals under `masterKey` from now on, and opens under it too; it may be wiped afterwards. */
  change(masterKey: Secret): void {
    const key = wrappingKey(masterKey);
    this.#others = [...this.#others, this.#newest].filter(({ head }) => !head.equals(key.head));
    this.#newest = key;
  }

  /** Whether it opens what lies under the same master key as a sealed value. */
  knows(sealed: Uint8Array): boolean {
    return this.#known(sealed) !== undefined;
  }

  /** Seals, from now on, under the same master key as a sealed value, which it knows. */
  turnTo(sealed: Uint8Array): void {
    const key = this.#known(sealed)!;
    if (key === this.#newest) return;
    this.#others = [...this.#others.filter((other) => other !== key), this.#newest];
    this.#newest = key;
  }

  #known(sealed: Uint8Array): WrappingKey | undefined {
    const { head } = partsOf(sealed);
    return [this.#newest, ...this.#others].find((key) => key.head.equals(head));
  }

  /** Whether `masterKey` is the one that it seals under. */
  isUnder(masterKey: Secret): boolean {
    return this.#newest.head.equals(wrappingKey(masterKey).head);
  }

  seal(plain: Uint8Array, context: string): Buffer {
    const dataKey = randomBytes(keySize);
    const body = encrypt(dataKey, onlyNonce, Buffer.from(context), plain);
    const sealed = Buffer.concat([wrap(this.#newest, dataKey, context), body]);
    dataKey.fill(0);
    return sealed;
  }

  open(sealed: Uint8Array, context: string): Secret {
    return this.#unwrap(sealed, context, (dataKey, { body }) => {
      return new Secret(decrypt(dataKey, onlyNonce, Buffer.from(context), body));
    });
  }

  authenticate(data: Uint8Array, context: string): Buffer {
    return authenticated(this.#newest, data, context);
  }

  isAuthentic(data: Uint8Array, context: string, mac: Uint8Array): boolean {
    return [this.#newest, ...this.#others].some((key) => {
      const right = authenticated(key, data, context);
      return right.length === mac.length && timingSafeEqual(right, mac);
    });
  }

  /**
   * The same secret under the newest master key, without opening it: only its data key is wrapped anew. Null where it
   * lies under the newest already, which has been proved then. Throws as `open` does, but for a damaged ciphertext.
   */
  rewrap(sealed: Uint8Array, context: string): Buffer | null {
    return this.#unwrap(sealed, context, (dataKey, { head, body }) => {
      return this.#newest.head.equals(head) ? null : Buffer.concat([wrap(this.#newest, dataKey, context), body]);
    });
  }

  #unwrap<Result>(sealed: Uint8Array, context: string, use: (dataKey: Buffer, parts: Parts) => Result): Result {
    let dataKey: Buffer | undefined;
    try {
      const parts = partsOf(sealed);
      dataKey = unwrap([this.#newest, ...this.#others], parts, context);
      return use(dataKey, parts);
    } catch (cause) {
      throw new CustodyProblem(
        'corrupted',
        `The sealed ${context} does not open: it is damaged, or was sealed under another master key.`,
        'Start the server with the master key and the registry that belong together.',
        { cause },
      );
    } finally {
      dataKey?.fill(0);
    }
  }
}

function wrappingKey(masterKey: Secret): WrappingKey {
  if (masterKey.reveal().length !== masterKeySize) throw new TypeError(`a master key has ${masterKeySize} octets`);
  const id = createHmac('sha256', masterKey.reveal()).update('fleetroot: ID of a master key').digest();
  const derived = hkdfSync('sha256', masterKey.reveal(), '', 'fleetroot: authentication under a master key', keySize);
  return {
    key: createSecretKey(masterKey.reveal()),
    head: Buffer.concat([version, id.subarray(0, keyIdSize)]),
    authenticating: createSecretKey(new Uint8Array(derived)),
  };
}

/** The ID of the master key under which a value is sealed, hex; null for one of version 1, which does not tell it. */
export function masterKeyIdOf(sealed: Uint8Array): string | null {
  if (sealed[0] !== version[0]) return null;
  return Buffer.from(sealed.subarray(version.length, version.length + keyIdSize)).toString('hex');
}

function authenticated({ authenticating }: WrappingKey, data: Uint8Array, context: string): Buffer {
  return createHmac('sha256', authenticating).update(context).update('\0').update(data).digest();
}

function partsOf(sealed: Uint8Array): Parts {
  const headSize = sealed[0] === firstVersion[0] ? firstVersion.length : version.length + keyIdSize;
  const bodyAt = headSize + wrapSize;
  if (sealed.length < bodyAt + tagSize) throw new RangeError('no sealed value');
  return { head: sealed.subarray(0, headSize), wrap: sealed.subarray(headSize, bodyAt), body: sealed.subarray(bodyAt) };
}

function wrap({ key, head }: WrappingKey, dataKey: Buffer, context: string): Buffer {
  const nonce = randomBytes(nonceSize);
  return Buffer.concat([head, nonce, encrypt(key, nonce, Buffer.concat([head, Buffer.from(context)]), dataKey)]);
}

/** The data key of a value, which the caller wipes. Those of version 1 do not tell their master key. */
function unwrap(keys: readonly WrappingKey[], { head, wrap: wrapped }: Parts, context: string): Buffer {
  const old = firstVersion.equals(head);
  const associated = old ? Buffer.from(context) : Buffer.concat([head, Buffer.from(context)]);
  let failure: unknown = new RangeError('no sealed value, or none of these master keys');
  for (const { key } of keys.filter((each) => old || each.head.equals(head))) {
    try {
      return decrypt(key, wrapped.subarray(0, nonceSize), associated, wrapped.subarray(nonceSize));
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function encrypt(key: KeyObject | Buffer, nonce: Uint8Array, associated: Buffer, plain: Uint8Array): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagSize });
  cipher.setAAD(associated);
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** GCM is a stream mode: `update` gives the whole text, which counts only once `final` has checked the tag. */
function decrypt(key: KeyObject | Buffer, nonce: Uint8Array, associated: Buffer, sealed: Uint8Array): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagSize });
  decipher.setAAD(associated);
  decipher.setAuthTag(sealed.subarray(sealed.length - tagSize));
  const plain = decipher.update(sealed.subarray(0, sealed.length - tagSize));
  try {
    decipher.final();
  } catch (cause) {
    plain.fill(0);
    throw cause;
  }
  return plain;
}
