// A passkey authenticator in software (WebAuthn Level 3 §6): ES256, no attestation, made of node:crypto and a few CBOR maps.

import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** Octets of CBOR (RFC 8949 §3): integers, texts, byte strings and maps are all that passkeys need. */
function cbor(value: number | string | Uint8Array | Map<number | string, unknown>): Buffer {
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Map) {
    const members = [...value].flatMap(([key, member]) => [cbor(key), cbor(member as Parameters<typeof cbor>[0])]);
    return Buffer.concat([head(5, value.size), ...members]);
  }
  return Buffer.concat([head(2, value.length), value]);
}

function head(major: number, argument: number): Buffer {
  if (argument < 24) return Buffer.of((major << 5) | argument);
  if (argument < 256) return Buffer.of((major << 5) | 24, argument);
  return Buffer.of((major << 5) | 25, argument >> 8, argument & 0xff);
}

const sha256 = (data: string | Uint8Array): Buffer => createHash('sha256').update(data).digest();
const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

/** What a dishonest authenticator, browser or page does otherwise. */
export interface Twist {
  readonly origin?: string;
  readonly rpId?: string;
  readonly challenge?: string;
  /** Whether the person was verified: by a finger, a face, a PIN. */
  readonly verified?: boolean;
  readonly userHandle?: string;
  /** Signs with another key than the one that it has shown. */
  readonly forged?: boolean;
}

const userPresent = 0x01;
const userVerified = 0x04;
const attested = 0x40;

/** An authenticator with one passkey, behind a browser that shows a page of `origin`. */
export class Authenticator {
  readonly id = randomBytes(32);
  /** How often it has signed: what a copy of it does not know. */
  counter = 0;
  /** Passkeys that are kept in step on several devices do not count. */
  counts = true;
  readonly #origin: string;
  readonly #key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  #userHandle = '';

  constructor(origin: string) {
    this.#origin = origin;
  }

  /** `navigator.credentials.create()`: answers the options of a registration. */
  create(options: any, twist: Twist = {}): object {
    this.#userHandle = options.user.id;
    const length = Buffer.alloc(2);
    length.writeUInt16BE(this.id.length);
    const credential = Buffer.concat([Buffer.alloc(16), length, this.id, coseKey(this.#key.publicKey)]);
    const authData = Buffer.concat([this.#authData(options.rp.id, twist, attested), credential]);
    const attestation = new Map<string, unknown>([
      ['fmt', 'none'],
      ['attStmt', new Map()],
      ['authData', authData],
    ]);
    const response = {
      clientDataJSON: base64url(this.#clientData('webauthn.create', options.challenge, twist)),
      attestationObject: base64url(cbor(attestation)),
      transports: ['internal'],
    };
    return {
      id: base64url(this.id),
      rawId: base64url(this.id),
      type: 'public-key',
      clientExtensionResults: {},
      response,
    };
  }

  /** `navigator.credentials.get()`: answers the options of a sign-in. */
  get(options: any, twist: Twist = {}): object {
    if (this.counts) this.counter += 1;
    const clientData = this.#clientData('webauthn.get', options.challenge, twist);
    const authData = this.#authData(options.rpId, twist);
    const key = twist.forged ? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey : this.#key.privateKey;
    const response = {
      clientDataJSON: base64url(clientData),
      authenticatorData: base64url(authData),
      signature: base64url(sign('sha256', Buffer.concat([authData, sha256(clientData)]), key)),
      userHandle: twist.userHandle ?? this.#userHandle,
    };
    return {
      id: base64url(this.id),
      rawId: base64url(this.id),
      type: 'public-key',
      clientExtensionResults: {},
      response,
    };
  }

  #clientData(type: string, challenge: string, twist: Twist): Buffer {
    const data = {
      type,
      challenge: twist.challenge ?? challenge,
      origin: twist.origin ?? this.#origin,
      crossOrigin: false,
    };
    return Buffer.from(JSON.stringify(data));
  }

  #authData(rpId: string, { rpId: other, verified = true }: Twist, flags = 0): Buffer {
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(this.counter);
    return Buffer.concat([
      sha256(other ?? rpId),
      Buffer.of(flags | userPresent | (verified ? userVerified : 0)),
      counter,
    ]);
  }
}

/** RFC 9052 §7: an EC2 key, for ES256, on P-256. */
function coseKey(key: KeyObject): Buffer {
  const { x = '', y = '' } = key.export({ format: 'jwk' });
  return cbor(
    new Map<number, number | Buffer>([
      [1, 2],
      [3, -7],
      [-1, 1],
      [-2, Buffer.from(x, 'base64url')],
      [-3, Buffer.from(y, 'base64url')],
    ]),
  );
}
