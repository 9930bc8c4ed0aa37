// Challenges for passkeys and single sign-on, which no server need remember: each proves by itself that one of its nodes made it, and when.

import { randomBytes } from 'node:crypto';
import type { AuthenticatingSeal } from '../custody/seal.ts';
import type { Registry } from '../registry/writer.ts';

/** How long there is to answer one, in milliseconds. */
export const challengeLifetime = 5 * 60_000;

const nonceSize = 16;
const instantSize = 8;
const headSize = nonceSize + instantSize;

/** What challenges are made with. */
interface Parts {
  readonly registry: Registry;
  readonly seal: AuthenticatingSeal;
  /** The present instant, in milliseconds since 1970. */
  readonly clock: () => number;
}

/**
 * Makes and takes challenges: a nonce, when it ends, and an HMAC of both and of what it is for, under a key that all nodes
 * have. Whoever asks for millions of them fills no memory; of those that were answered the registry knows.
 */
export class Challenges {
  readonly #parts: Parts;
  readonly #lifetime: number;

  /** `lifetime`: how long there is to answer, in milliseconds. */
  constructor({ registry, seal, clock }: Parts, lifetime: number = challengeLifetime) {
    this.#parts = { registry, seal, clock };
    this.#lifetime = lifetime;
  }

  /** A challenge for this purpose. */
  make(purpose: string): Uint8Array<ArrayBuffer> {
    const { seal, clock } = this.#parts;
    const end = Buffer.alloc(instantSize);
    end.writeBigUInt64BE(BigInt(clock() + this.#lifetime));
    const head = Buffer.concat([randomBytes(nonceSize), end]);
    return new Uint8Array(Buffer.concat([head, seal.authenticate(head, contextOf(purpose))]));
  }

  /** Whether a challenge (base64url) was made by a node of this server for this purpose, and has not ended. */
  isOpen(challenge: string, purpose: string): boolean {
    return this.#read(challenge, purpose) !== null;
  }

  /** Whether a challenge is open and has not been taken before, at any node. To be asked once all else of its answer is right. */
  async take(challenge: string, purpose: string): Promise<boolean> {
    const read = this.#read(challenge, purpose);
    return read !== null && (await this.#parts.registry.write('useChallenge', read)).first;
  }

  #read(challenge: string, purpose: string): { id: string; ends: number } | null {
    const { seal, clock } = this.#parts;
    const bytes = Buffer.from(challenge, 'base64url');
    if (bytes.length <= headSize) return null;
    const head = bytes.subarray(0, headSize);
    if (!seal.isAuthentic(head, contextOf(purpose), bytes.subarray(headSize))) return null;
    const ends = Number(head.readBigUInt64BE(nonceSize));
    return ends > clock() ? { id: head.toString('base64url', 0, nonceSize), ends } : null;
  }
}

const contextOf = (purpose: string): string => `challenge to ${purpose}`;
