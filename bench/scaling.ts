// `npm run scaling`: what larger fleets need by the costs that were measured; the tables of docs/scaling.md.

/** What docs/performance.md has, on its machine, of which one core is meant; times are CPU-seconds. */
const measured = {
  node: { newConnection: 0.00167, resumed: 0.00098, kept: 0.00006, provisioning: 0.00462 },
  /** Of PostgreSQL, for each. */
  database: { connection: 0.00004, provisioning: 0.00531 },
  memory: { node: 290, connection: 105 },
  /** Not measured but reckoned, from the sizes of certificates and requests. On the wire, of a new and a resumed connection with its one call, and of a call on a kept one; both ways. */
  wire: { newConnection: 6_000, resumed: 2_000, kept: 700 },
  /** On the disk, of a device with its certificate, audit entries and events. */
  device: 10_168,
} as const;

/** No core is planned to be busier: what is left takes up peaks, and a node that fails. */
const load = 0.7;
const year = 365 * 24 * 3_600;

/** How a fleet behaves. */
interface Fleet {
  readonly devices: number;
  /** Seconds from one connection of a device to its next, and how many of them are resumed. */
  readonly every: number;
  readonly resumed: number;
  /** Share of the devices that stay connected, and seconds between their calls. */
  readonly connected: number;
  readonly calls: number;
  /** New or renewed devices a year, of all. */
  readonly replaced: number;
}

/** What it needs. */
interface Need {
  readonly connections: number;
  readonly keptCalls: number;
  readonly provisionings: number;
  readonly nodeCores: number;
  readonly databaseCores: number;
  /** GiB. */
  readonly memory: number;
  readonly disk: number;
  /** Mbit/s. */
  readonly network: number;
  /** Seconds until all are back after an outage, with those cores and all of each. */
  readonly massReturn: number;
}

/** Rates are per second. */
function needOf({ devices, every, resumed, connected, calls, replaced }: Fleet): Need {
  const { node, database, wire } = measured;
  const connections = (devices * (1 - connected)) / every;
  const keptCalls = (devices * connected) / calls;
  const provisionings = (devices * replaced) / year;
  const busy = cpuOf({
    newConnection: connections * (1 - resumed),
    resumed: connections * resumed,
    kept: keptCalls,
    provisioning: provisionings,
  });
  const nodeCores = Math.max(2, busy / load);
  const bytes = connections * ((1 - resumed) * wire.newConnection + resumed * wire.resumed) + keptCalls * wire.kept;
  return {
    connections,
    keptCalls,
    provisionings,
    nodeCores,
    databaseCores: Math.max(1, (connections * database.connection + provisionings * database.provisioning) / load),
    memory: (nodeCores * measured.memory.node) / 1_024 + (devices * connected * measured.memory.connection) / 2 ** 20,
    disk: (devices * measured.device) / 2 ** 30,
    network: (bytes * 8) / 1e6,
    massReturn: (devices * node.newConnection) / nodeCores,
  };
}

/** Of the nodes, for so much of each a second. */
function cpuOf(rates: Readonly<Record<keyof typeof measured.node, number>>): number {
  const kinds = Object.keys(measured.node) as (keyof typeof measured.node)[];
  return kinds.reduce((sum, kind) => sum + rates[kind] * measured.node[kind], 0);
}

const behaviours: Record<string, Omit<Fleet, 'devices'>> = {
  'a connection an hour, half of them resumed': { every: 3_600, resumed: 0.5, connected: 0, calls: 60, replaced: 0.2 },
  'a connection every minute, nine of ten resumed': { every: 60, resumed: 0.9, connected: 0, calls: 60, replaced: 0.2 },
  'always connected, a call a minute': { every: year, resumed: 0, connected: 1, calls: 60, replaced: 0.2 },
};

for (const [name, behaviour] of Object.entries(behaviours)) {
  console.log(`\n### ${name[0]!.toUpperCase()}${name.slice(1)}\n`);
  console.log(
    '| devices | connections/s | kept calls/s | new devices/h | cores of nodes | cores of PostgreSQL | memory | disk | network | all back after |',
  );
  console.log('|---|---|---|---|---|---|---|---|---|---|');
  for (const devices of [1e6, 1e7, 1e8]) {
    const need = needOf({ devices, ...behaviour });
    const of = (value: number) => (value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString('en'));
    const cells = [
      devices.toLocaleString('en'),
      of(need.connections),
      of(need.keptCalls),
      of(need.provisionings * 3_600),
      of(need.nodeCores),
      of(need.databaseCores),
      `${of(need.memory)} GiB`,
      `${of(need.disk)} GiB`,
      `${of(need.network)} Mbit/s`,
      `${of(need.massReturn / 60)} min`,
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
}

/** The soak's second of work, whose share of a core was measured by itself: the model has to come to it. */
const soak = { newConnection: 240, resumed: 240, kept: 480, provisioning: 40, measured: 0.83 };
console.log(`\nsoak: ${(cpuOf(soak) * 100).toFixed(0)} % of a core by the model, ${soak.measured * 100} % measured`);
