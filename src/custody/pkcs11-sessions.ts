// The sessions in which a token does its work, one thing at a time in each.

import type { Handle, PKCS11 } from 'pkcs11js';

import { returnValueOf } from './pkcs11-errors.ts';

/**
 * Sessions are opened as they are needed, `most` of them, fewer where the token has no more. One in which something
 * failed may be left in the middle of an operation, and is closed. One whose call never comes back stays occupied, and
 * nothing takes its place: an HSM that hangs is not flooded.
 */
export class Sessions {
  readonly #cryptoki: PKCS11;
  readonly #open: () => Handle;
  readonly #idle: Handle[] = [];
  readonly #waiting: ((session: Handle | null) => void)[] = [];
  #most: number;
  #opened = 0;

  constructor(cryptoki: PKCS11, open: () => Handle, most: number) {
    this.#cryptoki = cryptoki;
    this.#open = open;
    this.#most = most;
  }

  /** Runs `work` in a session of its own; waits for one where all are occupied. */
  async use<T>(work: (session: Handle) => Promise<T>): Promise<T> {
    const session = await this.#take();
    try {
      const result = await work(session);
      this.#idle.push(session);
      return result;
    } catch (error) {
      this.#close(session);
      throw error;
    } finally {
      this.#waiting.shift()?.(this.#idle.pop() ?? null);
    }
  }

  async #take(): Promise<Handle> {
    for (;;) {
      const session = this.#idle.pop() ?? this.#another();
      if (session) return session;
      const { promise, resolve } = Promise.withResolvers<Handle | null>();
      this.#waiting.push(resolve);
      const given = await promise;
      if (given) return given;
    }
  }

  #another(): Handle | null {
    if (this.#opened >= this.#most) return null;
    try {
      const session = this.#open();
      this.#opened += 1;
      return session;
    } catch (error) {
      if (returnValueOf(error)?.startsWith('CKR_SESSION_COUNT') && this.#opened > 0) {
        this.#most = this.#opened;
        return null;
      }
      // Whoever waits for the session that this was to replace is to hear of it too.
      this.#waiting.shift()?.(null);
      throw error;
    }
  }

  #close(session: Handle): void {
    this.#opened -= 1;
    try {
      this.#cryptoki.C_CloseSession(session);
    } catch {
      // A session that does not close has gone already.
    }
  }
}
