// What a node keeps outside the database of accounts whose owner signs whom they trust: the one thing a row cannot change.

import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { Problem } from '../problem.ts';
import { parseOwnerKey } from './owner-key.ts';
import { NarrowingSchema } from './trust-set.ts';

const closed = { additionalProperties: false } as const;
const text = Type.String({ minLength: 1, maxLength: 256 });
const PinSchema = Type.Object(
  {
    name: text,
    /** SubjectPublicKeyInfo, base64. */
    owner_key: Type.String({ minLength: 1, maxLength: 4096 }),
    /** Those by which devices reach it. */
    hosts: Type.Array(text),
    /** The highest set accepted. */
    set: Type.Union([
      Type.Object(
        {
          number: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
          sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
        },
        closed,
      ),
      Type.Null(),
    ]),
    /** Those in force. */
    narrowings: Type.Array(NarrowingSchema),
  },
  closed,
);
const FileSchema = Type.Object(
  {
    format: Type.Literal('fleetroot-owner-trust'),
    version: Type.Literal(1),
    accounts: Type.Record(Type.String(), PinSchema),
  },
  closed,
);

/** What a node knows of one account. */
export type Pin = Static<typeof PinSchema>;
type Pins = ReadonlyMap<string, Pin>;

/** Hears of what has been said of an account, which counts from then on; null is nothing. */
export type PinListener = (account_id: string, pin: Pin | null) => void;

/**
 * `owner-trust.json` of this node. Only one process writes it; what it says counts from memory, at once. The gateway
 * processes beside that one have its pins in memory alone (`follow`).
 */
export class TrustFile {
  readonly path: string;
  readonly #pins: Map<string, Pin>;
  readonly #listeners = new Set<PinListener>();
  /** Where this is not the process that writes: told of each account of which more was found than is written down. */
  readonly #found: ((account_id: string) => void) | null;
  #writing: Promise<void> = Promise.resolve();
  #failure: Error | null = null;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(path: string, pins: Map<string, Pin>, found: ((account_id: string) => void) | null = null) {
    this.path = path;
    this.#pins = pins;
    this.#found = found;
  }

  /**
   * The same in a process that does not write it: begins with `pins`, and `learn` tells it what is said from then on. What
   * it finds itself counts at once, and `found` is told of the account, so that the process that writes looks there too.
   */
  static follow(
    directory: string,
    pins: Iterable<readonly [string, Pin]>,
    found: (account_id: string) => void,
  ): TrustFile {
    return new TrustFile(join(directory, 'owner-trust.json'), new Map(pins), found);
  }

  /** Has `listener` told of every change of a pin, before anything else is done with it. */
  listen(listener: PinListener): void {
    this.#listeners.add(listener);
  }

  /** Takes over what the process that writes says of an account. */
  learn(account_id: string, pin: Pin | null): void {
    if (pin === null) this.#pins.delete(account_id);
    else this.#pins.set(account_id, pin);
  }

  /**
   * Opens the file in the data directory, which need not be there, and adds what `ownerFile`, a copy of another node's,
   * knows more. Throws `conflict` where one cannot be read, can be written by others, or contradicts the other, and
   * `invalid_request` for a key in it that is none.
   */
  static async open(directory: string, ownerFile: string | null): Promise<TrustFile> {
    const path = join(directory, 'owner-trust.json');
    const own = readPins(path, false);
    const file = new TrustFile(path, new Map(own));
    if (ownerFile === null) return file;
    for (const [account_id, given] of readPins(ownerFile, true)) {
      const known = own.get(account_id);
      file.#pins.set(account_id, known === undefined ? given : merge(account_id, known, given, ownerFile));
    }
    await file.#save();
    return file;
  }

  /** By account ID. */
  get pins(): Pins {
    return this.#pins;
  }

  /** Why the file could not be written the last time; null where it was. */
  get failure(): Error | null {
    return this.#failure;
  }

  /** The account to which a host is pinned. */
  ownerOfHost(host: string): string | null {
    return this.#find((pin) => pin.hosts.includes(host));
  }

  /** The account to which a name is pinned; its ID counts as one, since the configuration may name it by either. */
  ownerOfName(name: string): string | null {
    return this.#pins.has(name) ? name : this.#find((pin) => pin.name === name);
  }

  #find(fits: (pin: Pin) => boolean): string | null {
    for (const [account_id, pin] of this.#pins) if (fits(pin)) return account_id;
    return null;
  }

  /**
   * Changes what is known of an account; null is nothing. It counts at once; resolves when it is on the disk, and rejects
   * with `unavailable` where it cannot be written: then a restart knows what the disk does.
   */
  async change(account_id: string, change: (pin: Pin | null) => Pin | null): Promise<void> {
    const before = this.#pins.get(account_id) ?? null;
    const after = change(before);
    if (after === before) return this.written();
    this.learn(account_id, after);
    for (const listener of this.#listeners) listener(account_id, after);
    if (this.#found !== null) return this.#found(account_id);
    return this.#save();
  }

  /** Resolves when everything said so far is on the disk, which is tried again where it failed; rejects as `change` does. */
  written(): Promise<void> {
    return this.#failure === null ? this.#writing : this.#save();
  }

  /** Does one piece of work after the other, of those that read what is known, decide, and change it. */
  inTurn<Done>(work: () => Promise<Done>): Promise<Done> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** One write at a time, each of all that is known when its turn comes. */
  #save(): Promise<void> {
    this.#writing = this.#writing.catch(() => undefined).then(() => this.#write());
    // Who waits for it is told; who does not must not end the process.
    this.#writing.catch(() => undefined);
    return this.#writing;
  }

  /** Written beside its place and renamed into it, so that a power cut leaves the one or the other, whole. */
  async #write(): Promise<void> {
    const content: Static<typeof FileSchema> = {
      format: 'fleetroot-owner-trust',
      version: 1,
      accounts: Object.fromEntries(this.#pins),
    };
    try {
      const unfinished = `${this.path}.new`;
      await using written = await open(unfinished, 'w', 0o600);
      await written.chmod(0o600);
      await written.writeFile(`${JSON.stringify(content, null, 2)}\n`);
      await written.sync();
      await rename(unfinished, this.path);
      await using directory = await open(dirname(this.path));
      await directory.sync();
      this.#failure = null;
    } catch (error) {
      this.#failure = error as Error;
      throw new Problem(
        'unavailable',
        `${this.path} cannot be written: ${(error as Error).message}.`,
        'See to the disk that holds the data directory, then do it again.',
        { cause: error },
      );
    }
  }
}

function readPins(path: string, required: boolean): Pins {
  let content: string;
  try {
    content = readGuarded(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && !required) return new Map();
    throw new Problem(
      'conflict',
      `${path}, which says whose signature counts for which account, cannot be read: ${message}.`,
      'Restore it from a back-up, or set trust.owner_file to the same file of another node.',
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    value = null;
  }
  if (Check(FileSchema, value)) {
    for (const { owner_key } of Object.values(value.accounts)) parseOwnerKey(Buffer.from(owner_key, 'base64'));
    return new Map(Object.entries(value.accounts));
  }
  throw new Problem(
    'conflict',
    `${path} is no fleetroot-owner-trust of version 1.`,
    'Restore it from a back-up; without it every account with an owner key admits nobody.',
  );
}

/** Nothing in it is secret; but who can write it says whose signature counts. */
function readGuarded(path: string): string {
  const file = openSync(path, 'r');
  try {
    if ((fstatSync(file).mode & 0o022) !== 0) throw new Error('others than its owner may write it (chmod go-w)');
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

/** The higher number and all narrowings: those that a set has lifted since are found to be so when it is read. */
function merge(account_id: string, own: Pin, given: Pin, file: string): Pin {
  const [lower, higher] = (own.set?.number ?? 0) < (given.set?.number ?? 0) ? [own, given] : [given, own];
  const sameSet = lower.set?.number !== higher.set?.number || lower.set?.sha256 === higher.set?.sha256;
  if (own.owner_key !== given.owner_key || own.name !== given.name || !sameSet) {
    throw new Problem(
      'conflict',
      `${file} contradicts what this node knows of the account ${account_id}: another owner key, name, or set.`,
      'One of the two is not of this account: find out which before you start.',
    );
  }
  const known = new Set(own.narrowings.map(({ id }) => id));
  return {
    ...higher,
    hosts: own.hosts,
    narrowings: [...own.narrowings, ...given.narrowings.filter(({ id }) => !known.has(id))],
  };
}
