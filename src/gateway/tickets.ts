// TLS tickets: under which key each account's are sealed at an instant, on every process of the server alike.

import { hkdfSync } from 'node:crypto';
import type { Log } from '../log.ts';

/** A key of the server's tickets. */
export interface TicketKey {
  /** From when on it counts, until the next one does; milliseconds since 1970. */
  readonly startsAt: number;
  /** 32 octets. */
  readonly secret: Buffer;
}

/** The keys that there are, in the order in which they begin. */
export type ReadTicketKeys = () => Promise<readonly TicketKey[]>;

/** How often the keys are read, in milliseconds: a new one is recorded long before it counts. */
const interval = 10_000;
/** Octets of the three keys that Node wants as one: name, HMAC, AES. */
const size = 48;

/**
 * The ticket keys of the gateway while it is open. Each account has its own, derived from the server's: a ticket that was
 * given under one account's host is nothing but noise under another's, so that no session goes from one to the other. Node
 * knows one key at a time, and that is what bounds a session: however often it is taken up again, it ends with the key,
 * and whoever comes next makes a whole handshake.
 */
export class Tickets implements Disposable {
  readonly #read: ReadTicketKeys;
  readonly #clock: () => number;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  #keys: readonly TicketKey[] = [];

  constructor(read: ReadTicketKeys, { clock, log }: { clock: () => number; log: Log }) {
    this.#read = read;
    this.#clock = clock;
    this.#log = log;
    this.#timer = setInterval(() => void this.refresh(), interval).unref();
  }

  /** The key that counts now; null where there is none. The same object as long as it is the same key. */
  get present(): TicketKey | null {
    const now = this.#clock();
    return this.#keys.findLast(({ startsAt }) => startsAt <= now) ?? null;
  }

  /** Reads the keys; those that are no longer there are wiped. */
  async refresh(): Promise<void> {
    try {
      const known = new Map(this.#keys.map((key) => [key.startsAt, key]));
      const read = await this.#read();
      this.#keys = read.map((key) => known.get(key.startsAt) ?? key);
      const kept = new Set(this.#keys);
      for (const key of [...known.values(), ...read]) if (!kept.has(key)) key.secret.fill(0);
    } catch (error) {
      this.#log.error({ err: error }, 'the keys of TLS tickets could not be read');
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    for (const { secret } of this.#keys) secret.fill(0);
    this.#keys = [];
  }
}

/** The key of an account's tickets, as Node takes it. */
export function ticketKeyOf({ secret }: TicketKey, account_id: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `fleetroot: TLS tickets of ${account_id}`, size));
}
