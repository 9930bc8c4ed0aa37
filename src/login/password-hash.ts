// Passwords as they are kept: Argon2id in the PHC string format, a few at a time, beside the event loop.

import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { Secret } from '../secret.ts';
import { Turns } from './turns.ts';

/** What a hash costs: memory in KiB. */
export interface Costs {
  readonly memory: number;
  readonly passes: number;
  readonly lanes: number;
}

/** The first that OWASP's Password Storage Cheat Sheet names for one lane: 46 MiB and one pass, some 0.1 s. */
const chosenCosts: Costs = { memory: 47_104, passes: 1, lanes: 1 };
/** Who has something hashed. */
interface Asker {
  readonly known?: boolean;
  readonly whose?: string | null;
}

const saltSize = 16;
const hashSize = 32;
/** Of Node's pool of four threads: what else waits for it (files, names) still finds two. */
const atOnce = 2;
const waiting = 64;

const form = /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,4}),p=(\d{1,3})\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$/;
const derive = promisify(argon2);

/**
 * Makes and compares hashes. `known` in its methods: whoever asks is known to belong here, and need
 * not wait behind strangers; `whose`: of one name two are asked for at a time at the most, null where that does not matter.
 */
export class PasswordHashes {
  readonly #costs: Costs;
  readonly #turns = new Turns({ atOnce, waiting });
  readonly #nobodys: string;

  constructor(costs: Costs = chosenCosts) {
    this.#costs = costs;
    this.#nobodys = encode(costs, randomBytes(saltSize), randomBytes(hashSize));
  }

  /** A new hash, with a salt of its own. Throws Problem `too_many_requests`. */
  async hash(password: Secret, { known = false, whose = null }: Asker = {}): Promise<string> {
    const salt = randomBytes(saltSize);
    return encode(this.#costs, salt, await this.#derive(password, this.#costs, salt, { known, whose }));
  }

  /**
   * Whether the password is the one of this hash. With null for who has none, or is not there, it takes as long and is
   * false. Throws Problem `too_many_requests`.
   */
  async verify(password: Secret, hash: string | null, { known = false, whose = null }: Asker = {}): Promise<boolean> {
    const { costs, salt, expected } = decode(hash ?? this.#nobodys);
    const equal = timingSafeEqual(await this.#derive(password, costs, salt, { known, whose }), expected);
    return equal && hash !== null;
  }

  /** Whether a hash has other costs than new ones have. */
  isOutdated(hash: string): boolean {
    const { costs } = decode(hash);
    return (Object.keys(costs) as (keyof Costs)[]).some((cost) => costs[cost] !== this.#costs[cost]);
  }

  #derive(
    password: Secret,
    { memory, passes, lanes }: Costs,
    salt: Buffer,
    { known, whose }: Required<Asker>,
  ): Promise<Buffer> {
    const work = () =>
      derive('argon2id', {
        message: password.reveal(),
        nonce: salt,
        memory,
        passes,
        parallelism: lanes,
        tagLength: hashSize,
      });
    return this.#turns.take(known, work, whose);
  }
}

function encode({ memory, passes, lanes }: Costs, salt: Buffer, hash: Buffer): string {
  const base64 = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');
  return `$argon2id$v=19$m=${memory},t=${passes},p=${lanes}$${base64(salt)}$${base64(hash)}`;
}

/** Throws TypeError for what `encode` has not written. */
function decode(hash: string): { costs: Costs; salt: Buffer; expected: Buffer } {
  const [, memory, passes, lanes, salt, expected] = form.exec(hash) ?? [];
  if (salt === undefined || expected === undefined) throw new TypeError('This is no hash of a password.');
  return {
    costs: { memory: Number(memory), passes: Number(passes), lanes: Number(lanes) },
    salt: Buffer.from(salt, 'base64'),
    expected: Buffer.from(expected, 'base64'),
  };
}
