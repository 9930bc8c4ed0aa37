// What factories are to hear of certificates that came, gathered and written about once a second, as refusals are.

import type { Log } from '../log.ts';
import type { Sighting } from '../provisioning/manifest-word.ts';
import type { SeenCertificate } from '../registry/manifest-sightings.ts';
import type { Registry } from '../registry/writer.ts';

const interval = 1000;
/**
 * Different certificates of an account within a second, of each of which there may be an event: who has a line's key makes as
 * many as he likes. Those beyond are refusals like any other, and are taken up when they come again.
 */
const mostOfAccount = 25;
const mostGathered = 1000;
/** How many strangers are kept for each account. */
const mostKept = 10_000;

/** Gathers sightings and writes them. */
export class Sightings implements AsyncDisposable {
  readonly #registry: Registry;
  readonly #clock: () => number;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  /** By account and TBSCertificate. */
  readonly #gathered = new Map<string, Map<string, SeenCertificate>>();
  #size = 0;

  constructor(registry: Registry, { clock, log }: { clock: () => number; log: Log }) {
    this.#registry = registry;
    this.#clock = clock;
    this.#log = log;
    this.#timer = setInterval(() => void this.flush(), interval).unref();
  }

  /** Notes a certificate that came; `admitted` where its chain alone let it in, `certain` where a manifest would have to. */
  note(
    { kind, line_id }: Sighting,
    certificate: Pick<SeenCertificate, 'account_id' | 'tbs_sha256' | 'device_id' | 'public_key_sha256'>,
    { admitted, certain }: { admitted: boolean; certain: boolean },
  ): void {
    const { account_id, tbs_sha256 } = certificate;
    const ofAccount = this.#gathered.get(account_id) ?? new Map<string, SeenCertificate>();
    this.#gathered.set(account_id, ofAccount);
    const known = ofAccount.get(tbs_sha256);
    if (!known && (ofAccount.size >= mostOfAccount || this.#size >= mostGathered)) return;
    if (!known) this.#size += 1;
    const last_seen = this.#clock();
    const first_seen = known?.first_seen ?? last_seen;
    const times = { first_seen, last_seen };
    ofAccount.set(tbs_sha256, { kind, line_id, ...certificate, ...times, admitted: admitted ? 1 : 0, certain });
  }

  /** Writes what has been gathered. */
  async flush(): Promise<void> {
    if (this.#size === 0) return;
    const seen = [...this.#gathered.values()].flatMap((ofAccount) => [...ofAccount.values()]);
    this.#gathered.clear();
    this.#size = 0;
    try {
      await this.#registry.write('recordSightings', { seen, limit: mostKept });
    } catch (error) {
      this.#log.error({ err: error }, 'sightings of certificates could not be written');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }
}
