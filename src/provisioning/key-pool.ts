// Key pairs for devices: P-256 at once, RSA from a small store made ahead, since one RSA key takes tens of milliseconds.

import { type KeyPair, makeKeyPair } from '../issuing/keys.ts';

export type KeyType = Parameters<typeof makeKeyPair>[0];

/** How many RSA key pairs of a size are kept ready once the first one has been asked for. */
const kept = 8;

/** Holds key pairs made ahead; each is given out once. */
export class KeyPool implements Disposable {
  readonly #ready = new Map<KeyType, Promise<KeyPair>[]>();

  /** A key pair of the type; the caller wipes it. */
  async take(keyType: KeyType): Promise<KeyPair> {
    if (!keyType.startsWith('rsa')) return makeKeyPair(keyType);
    const ready = this.#ready.get(keyType) ?? [];
    this.#ready.set(keyType, ready);
    const next = ready.shift() ?? makeKeyPair(keyType);
    while (ready.length < kept) ready.push(makeKeyPair(keyType));
    return next;
  }

  /** Wipes what is left. */
  [Symbol.dispose](): void {
    for (const pairs of this.#ready.values()) {
      for (const pair of pairs) pair.then((made) => made.privateKey.wipe()).catch(() => undefined);
    }
    this.#ready.clear();
  }
}
