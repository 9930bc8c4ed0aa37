// Which accounts have series of their own: those with the most devices, so many at the most; the others are one.

/** Stands for all accounts that have no series of their own. No account can be called so: names have no underscore. */
const other = '_other';
/** Stands for no account: a connection that belonged to none. */
const none = '_none';

/** An account as it is labelled. */
export interface LabelledAccount {
  readonly id: string;
  readonly name: string;
}

/** The label `account` of each account. */
export class AccountLabels {
  readonly #most: number;
  readonly #lost: (label: string) => Promise<void>;
  /** Names by the accounts' IDs. */
  readonly #names = new Map<string, string>();
  readonly #listeners = new Set<(all: readonly LabelledAccount[]) => void>();

  /** `lost` is called with each label that is no longer used. */
  constructor(most: number, lost: (label: string) => Promise<void>) {
    this.#most = most;
    this.#lost = lost;
  }

  /** The label of an account, by its ID; null for no account. */
  of(account_id: string | null): string {
    return account_id === null ? none : (this.#names.get(account_id) ?? other);
  }

  /** Those that have a label of their own. */
  get all(): LabelledAccount[] {
    return [...this.#names].map(([id, name]) => ({ id, name }));
  }

  /** Has `listener` told of them whenever there are others: processes of one server are to say the same. */
  listen(listener: (all: readonly LabelledAccount[]) => void): void {
    this.#listeners.add(listener);
  }

  /** Gives an account that has just been made a label of its own, where there is room for one. */
  add({ id, name }: LabelledAccount): void {
    if (this.#names.size >= this.#most || this.#names.get(id) === name) return;
    this.#names.set(id, name);
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener(this.all);
  }

  /** Takes the label from an account that is gone. */
  async remove(account_id: string): Promise<void> {
    const name = this.#names.get(account_id);
    if (name === undefined) return;
    this.#names.delete(account_id);
    this.#tell();
    await this.#lost(name);
  }

  /** Takes the accounts in the order in which they deserve a label, those with the most devices first. */
  async rank(accounts: readonly LabelledAccount[]): Promise<void> {
    const first = accounts.slice(0, this.#most);
    const stay = new Set(first.map(({ id }) => id));
    for (const id of [...this.#names.keys()]) if (!stay.has(id)) await this.remove(id);
    for (const account of first) this.add(account);
  }
}
