// The number of an event as those who follow see it: where to go on from, and nothing about how much happens elsewhere.

import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { serverValue } from '../registry/server-values.ts';
import type { Registry } from '../registry/writer.ts';

const storedAs = 'event_cursor_key';
const keySize = 16;
/** One block of AES: the number, and what it is the number in. */
const half = 8;

/**
 * Numbers run through all accounts, so that a gap in them would show one account that there are others and how busy they
 * are. One block under one key is a permutation: equal for the same event, meaningless for anybody else.
 */
export class EventCursors {
  readonly #key: KeyObject;

  /** `key`: 16 octets. */
  constructor(key: Uint8Array) {
    this.#key = createSecretKey(key);
  }

  /** With the key of this registry, which is made where it is missing. */
  static async open(registry: Registry): Promise<EventCursors> {
    const known = await serverValue(registry.read, storedAs);
    if (known !== undefined) return new EventCursors(known);
    const key = randomBytes(keySize);
    await registry.write('rememberServerValue', { key: storedAs, value: key });
    return new EventCursors(key);
  }

  /**
   * The cursor of the event with this number among those of an account (its ID), or of the server where that is null. Other
   * lists whose numbers run through all accounts have scopes of their own.
   */
  write(scope: string | null, id: number): string {
    const block = Buffer.alloc(2 * half);
    block.writeBigUInt64BE(BigInt(id));
    scopeOf(scope).copy(block, half);
    const cipher = createCipheriv('aes-128-ecb', this.#key, null).setAutoPadding(false);
    return Buffer.concat([cipher.update(block), cipher.final()]).toString('base64url');
  }

  /** The number that a cursor stands for; null for what is none of this scope. */
  read(scope: string | null, cursor: string): number | null {
    const bytes = Buffer.from(cursor, 'base64url');
    if (bytes.length !== 2 * half) return null;
    const decipher = createDecipheriv('aes-128-ecb', this.#key, null).setAutoPadding(false);
    const block = Buffer.concat([decipher.update(bytes), decipher.final()]);
    return scopeOf(scope).equals(block.subarray(half)) ? Number(block.readBigUInt64BE()) : null;
  }
}

function scopeOf(scope: string | null): Buffer {
  return createHash('sha256')
    .update(scope ?? '')
    .digest()
    .subarray(0, half);
}
