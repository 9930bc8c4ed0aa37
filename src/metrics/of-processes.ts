// One page of metrics for the several processes of a server: what is counted adds up, what a process says of itself is told of each.

import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue, Registry } from 'prom-client';

type Values = MetricObjectWithValues<MetricValue<string>>;

/** The metrics of one process at one moment. */
export interface Snapshot {
  readonly ours: readonly Values[];
  readonly process: readonly Values[];
}

/** Those of a process beside the one that is scraped, by its number; null for what processes that are gone had counted. */
export interface OfProcess extends Snapshot {
  readonly worker: number | null;
}

/** All of them as text: `own` is the process that is scraped, whose series of the process have no label `worker`. */
export async function allTogether(own: Snapshot, others: readonly OfProcess[]): Promise<string> {
  const ours = AggregatorRegistry.aggregate([own.ours, ...others.map((each) => each.ours)] as never);
  const families = new Map(own.process.map((family) => [family.name, { ...family, values: [...family.values] }]));
  for (const { worker, process } of others) {
    for (const { name, values } of process) {
      const labelled = values.map((value) => ({ ...value, labels: { ...value.labels, worker: `${worker}` } }));
      families.get(name)?.values.push(...labelled);
    }
  }
  const processes = new Registry();
  for (const family of families.values()) processes.registerMetric({ ...family, get: async () => family } as never);
  return `${await ours.metrics()}\n${await processes.metrics()}`;
}

/** What a process had counted that is gone, added to what others had before it: no counter ever falls. */
export function countedBefore(gone: Snapshot | null, last: Snapshot): Snapshot {
  const counted = last.ours.filter(({ type }) => `${type}` === 'counter' || `${type}` === 'histogram');
  const both = AggregatorRegistry.aggregate([gone?.ours ?? [], counted] as never);
  return { ours: both.getMetricsAsArray() as unknown as Values[], process: [] };
}
