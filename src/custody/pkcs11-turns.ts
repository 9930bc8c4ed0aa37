// Who waits for whom at a token: calls that only use its keys run side by side, one that changes them runs alone.

/**
 * Real HSMs need none of this and queue for themselves; SoftHSM loses a key that is made while the objects of the token
 * are looked at (SoftHSMv2 issue 573: CKR_GENERAL_ERROR or CKR_TEMPLATE_INCONSISTENT). First come, first served.
 */
export class Turns {
  readonly #using = new Set<Promise<unknown>>();
  #changing: Promise<unknown> = Promise.resolve();

  /** Runs `work` beside others, after the changes that were asked for before it. */
  async toUse<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#changing.then(work);
    this.#using.add(turn);
    try {
      return await turn;
    } finally {
      this.#using.delete(turn);
    }
  }

  /** Runs `work` when all that was asked for before it has ended; what is asked for later waits. */
  toChange<T>(work: () => Promise<T>): Promise<T> {
    const turn = Promise.allSettled([...this.#using, this.#changing]).then(work);
    this.#changing = turn.catch(() => {});
    return turn;
  }
}
