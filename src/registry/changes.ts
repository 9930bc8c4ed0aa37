// What has changed in the registry, told after the commit to whoever keeps something of it in memory or on a wire.

/** One change, as coarse as its listeners need: what they hold of it is thrown away and read again. */
export type Change =
  /** Policy, hosts, gateway certificate, back ends, files, or the account's end. */
  | { kind: 'account'; account_id: string }
  /** Fleet Root CAs, intermediates, distrusted keys, the provisioning CA. */
  | { kind: 'trust'; account_id: string }
  /** A device's state, its end, or one of its certificates. */
  | { kind: 'device'; account_id: string; device_uuid: string }
  | { kind: 'provisioning_key'; account_id: string; provisioning_key_id: string }
  /** A rotation of the master key has begun, is agreed on, or has ended. */
  | { kind: 'master_key' }
  /** Nothing that is held is sure any more: this process was cut off from the others' changes for too long. */
  | { kind: 'everything' };

/** Is told of a change; where it gives a promise, that resolves when it has acted on it, and never rejects. */
type Listener = (change: Change) => unknown;

/** Who is told. Listeners run one after the other, on the main thread, before the write's promise resolves. */
export class Changes {
  readonly #listeners = new Set<Listener>();
  readonly #followers = new Set<() => void>();

  /** Has `listener` told of every change from now on. Returns the function that ends this. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Tells every listener, also those after one that throws: a cache that cannot forget must not keep a connection open
   * elsewhere. Throws an AggregateError of what they threw. What it gives resolves when all of them have acted on it.
   */
  tell(change: Change): Promise<unknown> {
    const errors: unknown[] = [];
    const acting: unknown[] = [];
    for (const listener of this.#listeners) {
      try {
        acting.push(listener(change));
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, `A listener failed at a change of kind ${change.kind}.`);
    return Promise.all(acting);
  }

  /** Has `follower` called, after the commit, whenever there are new events to read. Returns the function that ends this. */
  follow(follower: () => void): () => void {
    this.#followers.add(follower);
    return () => void this.#followers.delete(follower);
  }

  /** Calls every follower; none of them may throw. */
  tellOfEvents(): void {
    for (const follower of this.#followers) follower();
  }
}
