// A value that is secret: it does not print, log or serialise, and can be wiped.

import { inspect } from 'node:util';

const hidden = '[secret]';

/** Secret bytes. Only `reveal` gives them out; every way of printing them gives `[secret]`. */
export class Secret {
  readonly #bytes: Buffer;

  /** Takes the bytes over without copying, so that `wipe` erases the only copy. */
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  static fromText(text: string): Secret {
    // Buffer.from would put it into a pool that others' bytes share.
    return new Secret(Buffer.from(new TextEncoder().encode(text).buffer));
  }

  /** The bytes themselves, not a copy: they turn to zeros when the secret is wiped. */
  reveal(): Buffer {
    return this.#bytes;
  }

  /** Overwrites the bytes with zeros. */
  wipe(): void {
    this.#bytes.fill(0);
  }

  toString(): string {
    return hidden;
  }

  toJSON(): string {
    return hidden;
  }

  [inspect.custom](): string {
    return hidden;
  }

  [Symbol.dispose](): void {
    this.wipe();
  }
}
