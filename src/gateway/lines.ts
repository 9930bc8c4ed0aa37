// Who waits for a turn: a line for each account, the lines served in turns, so that a long one does not hold up the others.

import { Tally } from './tally.ts';

interface Line<Member> {
  /** In the order in which they came; those that have left since are skipped. */
  members: Member[];
  /** How many at its head have been taken. */
  taken: number;
}

/** Lines by a key, bounded all together; every member is in one of them once. */
export class Lines<Member> {
  readonly #most: number;
  /** In the order of their turns. */
  readonly #lines = new Map<string, Line<Member>>();
  readonly #keys = new Map<Member, string>();
  readonly #lengths = new Tally();

  constructor(most: number) {
    this.#most = most;
  }

  /** How many wait. */
  get size(): number {
    return this.#keys.size;
  }

  get full(): boolean {
    return this.size >= this.#most;
  }

  /** Has a member wait; gives whoever has to leave for it, the newest of the longest line, which may be itself; or null. */
  add(key: string, member: Member): Member | null {
    const line = this.#lines.get(key);
    if (line) line.members.push(member);
    else this.#lines.set(key, { members: [member], taken: 0 });
    this.#keys.set(member, key);
    this.#lengths.add(key);
    return this.size > this.#most ? this.#dropNewest(this.#lengths.largest as string) : null;
  }

  /** Takes a member out that waits no longer; another is left alone. */
  leave(member: Member): void {
    const key = this.#keys.get(member);
    if (key === undefined) return;
    this.#forget(member, key);
    if (this.#lengths.of(key) === 0) this.#lines.delete(key);
    else this.#shorten(this.#lines.get(key) as Line<Member>, key);
  }

  /** The one whose turn it is: the oldest of the line that was served longest ago. Null where nobody waits. */
  next(): Member | null {
    for (const [key, line] of this.#lines) {
      this.#lines.delete(key);
      const member = this.#takeOldest(line);
      if (member === null) continue;
      this.#forget(member, key);
      if (this.#lengths.of(key) > 0) this.#lines.set(key, line);
      this.#shorten(line, key);
      return member;
    }
    return null;
  }

  /** Lets go of whoever has been served or has left: what is kept of a line is no longer than twice the line. */
  #shorten(line: Line<Member>, key: string): void {
    if (line.members.length <= 2 * this.#lengths.of(key) + 16) return;
    line.members = line.members.slice(line.taken).filter((each) => this.#keys.has(each));
    line.taken = 0;
  }

  #takeOldest(line: Line<Member>): Member | null {
    while (line.taken < line.members.length) {
      const member = line.members[line.taken] as Member;
      line.taken += 1;
      if (this.#keys.has(member)) return member;
    }
    return null;
  }

  #dropNewest(key: string): Member {
    const { members } = this.#lines.get(key) as Line<Member>;
    for (;;) {
      const member = members.pop() as Member;
      if (!this.#keys.has(member)) continue;
      this.#forget(member, key);
      return member;
    }
  }

  #forget(member: Member, key: string): void {
    this.#keys.delete(member);
    this.#lengths.remove(key);
  }
}
