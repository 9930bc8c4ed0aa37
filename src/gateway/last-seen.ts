// When devices were last seen: gathered here, written about once a second.

import type { Log } from '../log.ts';
import type { Registry } from '../registry/writer.ts';

const interval = 1000;

/** Gathers sightings of devices and writes them. */
export class LastSeen implements AsyncDisposable {
  readonly #registry: Registry;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  #seen = new Map<string, { account_id: string; device_uuid: string; at: number }>();

  constructor(registry: Registry, log: Log) {
    this.#registry = registry;
    this.#log = log;
    this.#timer = setInterval(() => void this.flush(), interval).unref();
  }

  /** Notes that a device was here at an instant. */
  note(account_id: string, device_uuid: string, at: number): void {
    this.#seen.set(device_uuid, { account_id, device_uuid, at });
  }

  /** Writes what has been gathered. */
  async flush(): Promise<void> {
    if (this.#seen.size === 0) return;
    const seen = [...this.#seen.values()];
    this.#seen = new Map();
    try {
      await this.#registry.write('recordLastSeen', { seen });
    } catch (error) {
      this.#log.error({ err: error }, 'sightings could not be written');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }
}
