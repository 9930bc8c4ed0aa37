// Attempts to sign in that failed, for the audit log: the first from anywhere at once, those after it counted together.

import type { Log } from '../log.ts';
import { actAs } from '../registry/acting.ts';
import type { Registry } from '../registry/writer.ts';
import { networkOf } from './throttle.ts';

/** Who was tried, from where; an operator whom there is not is null: what was typed may be a password. */
export interface FailedSignIn {
  readonly operator: { readonly id: string; readonly name: string } | null;
  readonly address: string | null;
  /** The code that was told. */
  readonly result: string;
}

interface Gathered extends FailedSignIn {
  since: number;
  count: number;
}

/** How often what was gathered is written, in milliseconds. */
const interval = 10_000;
/** Of how many operators and networks failures are told apart between two writes; the others are one. */
const most = 1_000;

/** What has failed since the last write. */
export class FailedSignIns implements AsyncDisposable {
  readonly #registry: Registry;
  readonly #clock: () => number;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  #gathered = new Map<string, Gathered>();

  /** `clock` in milliseconds since 1970. */
  constructor(registry: Registry, clock: () => number, log: Log) {
    this.#registry = registry;
    this.#clock = clock;
    this.#log = log;
    this.#timer = setInterval(() => void this.flush(), interval).unref();
  }

  /** Notes that an attempt failed. */
  note(failed: FailedSignIn): void {
    const key = `${failed.operator?.id ?? ''} ${networkOf(failed.address)} ${failed.result}`;
    const known = this.#gathered.get(key);
    if (known) known.count += 1;
    else if (this.#gathered.size < most) this.#gathered.set(key, { ...failed, since: this.#clock(), count: 1 });
    else this.#gatherWithTheRest(failed);
  }

  #gatherWithTheRest({ result }: FailedSignIn): void {
    const rest = this.#gathered.get('') ?? { operator: null, address: null, result, since: this.#clock(), count: 0 };
    rest.count += 1;
    this.#gathered.set('', rest);
  }

  /** Writes what has been gathered; done every ten seconds by itself. */
  async flush(): Promise<void> {
    const all = [...this.#gathered.values()];
    this.#gathered = new Map();
    try {
      await Promise.all(
        all.map(({ address, ...failed }) => {
          const nobody = { kind: 'operator', id: null, name: 'nobody', address, request: null } as const;
          return actAs(nobody, () => this.#registry.write('recordFailedSignIn', failed));
        }),
      );
    } catch (error) {
      this.#log.error({ err: error }, 'failed attempts to sign in could not be written');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }
}
