// Sets by a key: what belongs to an account or to a device, with nothing left behind of a key that has no members.

/** Sets of members, each set under its key. */
export class Sets<Member> {
  readonly #sets = new Map<string, Set<Member>>();

  /** The members under a key, as they are at this moment: they may be added and deleted while these are walked. */
  of(key: string): Member[] {
    return [...(this.#sets.get(key) ?? [])];
  }

  /** The member that has been under a key for longest. */
  first(key: string): Member | undefined {
    return this.#sets.get(key)?.values().next().value;
  }

  /** How many members there are under each key that has any. */
  get sizes(): ReadonlyMap<string, number> {
    return new Map([...this.#sets].map(([key, { size }]) => [key, size]));
  }

  /** Adds a member under a key; again is fine. */
  add(key: string, member: Member): void {
    const members = this.#sets.get(key);
    if (members) members.add(member);
    else this.#sets.set(key, new Set([member]));
  }

  /** Takes a member from under a key, where it is there. */
  delete(key: string, member: Member): void {
    const members = this.#sets.get(key);
    members?.delete(member);
    if (members?.size === 0) this.#sets.delete(key);
  }
}
