// What is counted and measured at every request: told to prom-client when it is scraped, since it hashes labels each time.

/** Counts by account and by one label more. */
export class RequestCounts {
  readonly #counts = new Map<string, Map<string, number>>();

  /** Counts one. */
  inc(account: string, label: string): void {
    const ofAccount = this.#counts.get(account);
    if (ofAccount) ofAccount.set(label, (ofAccount.get(label) ?? 0) + 1);
    else this.#counts.set(account, new Map([[label, 1]]));
  }

  /** Gives what has been counted since it was asked for last. */
  take(): (readonly [account: string, label: string, count: number])[] {
    const taken = [...this.#counts].flatMap(([account, ofAccount]) =>
      [...ofAccount].map(([label, count]) => [account, label, count] as const),
    );
    this.#counts.clear();
    return taken;
  }
}

/** A histogram without labels, as a registry of prom-client takes one. */
export class PlainHistogram {
  readonly name: string;
  readonly help: string;
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly #bounds: readonly number[];
  /** How many were within each bound and above the one before, and last those above all. */
  readonly #counts: number[];
  #sum = 0;

  constructor({ name, help, buckets }: { name: string; help: string; buckets: readonly number[] }) {
    this.name = name;
    this.help = help;
    this.#bounds = buckets;
    this.#counts = [...buckets.map(() => 0), 0];
  }

  /** Takes up one value. */
  observe(value: number): void {
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && value > bounds[at]!) at += 1;
    this.#counts[at]! += 1;
    this.#sum += value;
  }

  /** As prom-client's own gives it: buckets that add up, the sum and the count. */
  async get() {
    const { name, help, type, aggregator } = this;
    const bucket = `${name}_bucket`;
    let count = 0;
    const values = [...this.#bounds, '+Inf'].map((le, at) => {
      count += this.#counts[at]!;
      return { metricName: bucket, labels: { le }, value: count };
    });
    const total = [
      { metricName: `${name}_sum`, labels: {}, value: this.#sum },
      { metricName: `${name}_count`, labels: {}, value: count },
    ];
    return { name, help, type, aggregator, values: [...values, ...total] };
  }
}
