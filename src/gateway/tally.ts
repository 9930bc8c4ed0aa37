// How many there are of each, and of which there are the most: known at once, however many there are.

/** Counts by a key. */
export class Tally {
  readonly #counts = new Map<string, number>();
  /** The keys that have so many. */
  readonly #byCount = new Map<number, Set<string>>();
  #most = 0;

  /** How many there are of a key. */
  of(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  /** The key that there are the most of, that which came to it first; null where there is nothing. */
  get largest(): string | null {
    return this.#byCount.get(this.#most)?.values().next().value ?? null;
  }

  /** Counts one more. */
  add(key: string): void {
    const count = this.of(key);
    this.#move(key, count, count + 1);
    this.#most = Math.max(this.#most, count + 1);
  }

  /** Counts one less. */
  remove(key: string): void {
    const count = this.of(key);
    if (count === 0) return;
    this.#move(key, count, count - 1);
    // The one that was alone with the most has one less now, so nobody has more.
    if (!this.#byCount.has(this.#most)) this.#most -= 1;
  }

  #move(key: string, from: number, to: number): void {
    const left = this.#byCount.get(from);
    left?.delete(key);
    if (left?.size === 0) this.#byCount.delete(from);
    if (to === 0) {
      this.#counts.delete(key);
      return;
    }
    this.#counts.set(key, to);
    const joined = this.#byCount.get(to);
    if (joined) joined.add(key);
    else this.#byCount.set(to, new Set([key]));
  }
}
