// API tokens: made for an account and a role or for the server, known again by their hash, and noted when they are used.

import { randomUUIDv7 } from 'node:crypto';
import type { Log } from '../log.ts';
import { Problem } from '../problem.ts';
import type { TokenRole, TokenRow } from '../registry/token-tables.ts';
import { requireToken, tokenBySha256 } from '../registry/tokens.ts';
import type { Registry } from '../registry/writer.ts';
import type { Secret } from '../secret.ts';
import { formatInstant } from '../time.ts';
import { sha256Of } from './login.ts';
import { isTokenText, newTokenText } from './token-text.ts';

const day = 24 * 60 * 60 * 1000;
const standardValidity = 90 * day;
/** A year, also one that leaps, or is counted by the clock of whoever asks. */
const longestValidity = 366 * day;
/** How often it is written when tokens were last used, in milliseconds. */
const interval = 60_000;

/** What a token is to be. */
export interface NewToken {
  /** Null for one of the whole server. */
  readonly account_id: string | null;
  readonly role: TokenRole;
  readonly description: string;
  /** Milliseconds since 1970; 90 days from now unless given. */
  readonly not_after?: number | undefined;
  /** The ID of the token that makes it; null for a person. */
  readonly made_with: string | null;
}

/** What is held of tokens: the uses that are not written yet. */
export class Tokens implements AsyncDisposable {
  readonly #registry: Registry;
  readonly #clock: () => number;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  #uses = new Map<string, { id: string; at: number; address: string | null }>();

  /** `clock` in milliseconds since 1970. */
  constructor(registry: Registry, clock: () => number, log: Log) {
    this.#registry = registry;
    this.#clock = clock;
    this.#log = log;
    this.#timer = setInterval(() => void this.flush(), interval).unref();
  }

  /**
   * Makes a token. It is told here and nowhere else: only its hash is kept. Throws `invalid_request` for an end that has
   * passed, is more than a year away, or is later than that of the token which makes it, and `conflict` for too many.
   */
  async make({ made_with, ...wanted }: NewToken): Promise<{ row: TokenRow; token: Secret }> {
    const now = this.#clock();
    const maker = made_with === null ? null : await requireToken(this.#registry.read, made_with);
    const not_after =
      wanted.not_after ?? Math.min(now + standardValidity, maker?.not_after ?? Number.POSITIVE_INFINITY);
    requireFitEnd(not_after, now, maker);
    const token = newTokenText();
    const id = randomUUIDv7();
    const sha256 = sha256Of(token.reveal());
    const row = await this.#registry.write('recordToken', { token: { ...wanted, id, not_after, sha256 } });
    return { row, token };
  }

  /** The token that a caller at `address` shows. Throws `unauthenticated` where it is none, has been revoked, or has ended. */
  async find(text: string, address: string | null): Promise<TokenRow> {
    const row = isTokenText(text) ? await tokenBySha256(this.#registry.read, sha256Of(text)) : undefined;
    if (!row) {
      throw new Problem(
        'unauthenticated',
        'This is no token of this server, or it has been revoked.',
        'Whoever owns the account makes a new one: `token create`.',
      );
    }
    const now = this.#clock();
    if (row.not_after <= now) {
      throw new Problem(
        'unauthenticated',
        `The token ended at ${formatInstant(row.not_after)}.`,
        'Whoever owns the account makes a new one: `token create`.',
      );
    }
    this.#uses.set(row.id, { id: row.id, at: now, address });
    return row;
  }

  /** Writes the uses that have been noted; done every minute by itself. */
  async flush(): Promise<void> {
    if (this.#uses.size === 0) return;
    const uses = [...this.#uses.values()];
    this.#uses = new Map();
    try {
      await this.#registry.write('recordTokenUse', { uses });
    } catch (error) {
      this.#log.error({ err: error }, 'it could not be written when tokens were used');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }
}

function requireFitEnd(not_after: number, now: number, maker: TokenRow | null): void {
  if (not_after <= now) throw new Problem('invalid_request', 'not_after in the body has passed.');
  if (not_after > now + longestValidity) {
    throw new Problem('invalid_request', 'not_after in the body is more than a year away.');
  }
  if (maker !== null && not_after > maker.not_after) {
    throw new Problem(
      'invalid_request',
      `not_after in the body is later than the end of the token that asks, ${formatInstant(maker.not_after)}.`,
      'A token makes none that outlasts it.',
    );
  }
}
