// A factory for tests: a Fleet Root of its own, a line with a mandate, and the real command line against either.

import { mkdir, writeFile } from 'node:fs/promises';
import { type Config, type ConfigOptions, loadConfig } from '../../src/config.ts';
import { type AtFactory, atFactory } from '../../src/factory/control.ts';
import { type Factory, openFactory } from '../../src/factory/factory.ts';
import { fleetRootActions, type ShownRoot } from '../../src/factory/fleet-root.ts';
import { lineActions } from '../../src/factory/line.ts';
import { openLog } from '../../src/log.ts';
import { type Outcome, temporaryDirectory } from './process.ts';
import { fleetroot } from './transcript.ts';

const day = 24 * 60 * 60 * 1000;

/** What a line may make; anything of any order for a year, where a test does not say. */
export interface Mandated {
  readonly quota?: number;
  /** RE2. */
  readonly pattern?: string;
  readonly order?: string | null;
  /** RFC 3339. */
  readonly until?: string;
}

/** A line with its CA and a mandate, and the Fleet Root above it, each in a directory of its own. */
export interface TestLine extends AsyncDisposable {
  /** The line's data directory: `openLine` opens it, `factoryCli` works on it. */
  readonly dir: string;
  readonly config: Config;
  /** The Fleet Root's, under a master key in a file, so that nobody is asked for a passphrase. */
  readonly rootDir: string;
  readonly root: ShownRoot;
  /** The Fleet Root's certificate (PEM), for `fleet-root register`. */
  readonly rootFile: string;
  /** A file of the test's own. */
  file(name: string): string;
  /** Opens the line's directory in this process; only one program may have it at a time. */
  open(options?: { clock?: () => number }): Promise<Factory>;
  /** Does one thing as the command line does it: through the service where it runs, else by opening the directory. */
  readonly at: AtFactory;
  /** Has the root sign another mandate; gives its bundle, which nobody has accepted yet. */
  mandate(more?: Mandated): Promise<string>;
}

/** Makes a line in process; `options` are settings of its directory. */
export async function startLine({
  name = 'line-1',
  site = null,
  options = {},
  clock = Date.now,
  ...mandated
}: Mandated & {
  name?: string;
  site?: string | null;
  options?: ConfigOptions;
  clock?: () => number;
} = {}): Promise<TestLine> {
  await using held = new AsyncDisposableStack();
  const directory = held.use(await temporaryDirectory());
  const [dir, rootDir, rootFile] = ['line', 'root', 'root.crt'].map(directory.file) as [string, string, string];
  await mkdir(dir);
  const config = loadConfig({ dataDir: dir, options: { 'factory.port': 0, ...options }, env: {} });
  const open = () => openFactory(config, { log: openLog('silent'), clock });
  const openRoot = () => openFactory(loadConfig({ dataDir: rootDir, env: {} }), { log: openLog('silent'), clock });
  const sign = async (factory: Factory, request: string, more: Mandated) => {
    const { quota = 1_000, pattern = '.*', order = null, until = new Date(clock() + 365 * day).toISOString() } = more;
    const asked = { quota, until, device_id_pattern: pattern, order, ca_until: null };
    return fleetRootActions.signLine(factory, { request: Buffer.from(request).toString('base64'), ...asked });
  };
  const made = await (async () => {
    await using rootFactory = await openRoot();
    await using line = await open();
    const root = await fleetRootActions.createRoot(rootFactory, { name: 'Acme', key_type: 'p384', custodian: null });
    const { request } = await lineActions.requestLine(line, { name, site, custodian: null });
    const { bundle } = await sign(rootFactory, request, mandated);
    await lineActions.acceptBundle(line, { bundle, root_sha256: root.sha256 });
    return { root, request };
  })();
  await writeFile(rootFile, made.root.certificate);
  const all = held.move();
  return {
    dir,
    config,
    rootDir,
    root: made.root,
    rootFile,
    file: directory.file,
    open: (more = {}) => openFactory(config, { log: openLog('silent'), clock, ...more }),
    at: (action, args) => atFactory(config, (at) => at(action, args)),
    async mandate(more = {}) {
      await using rootFactory = await openRoot();
      return (await sign(rootFactory, made.request, more)).bundle;
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** Runs `fleetroot factory …` on a directory in a process of its own, `input` typed where it asks. */
export function factoryCli(
  dir: string,
  words: readonly string[],
  options: Parameters<typeof fleetroot>[1] = {},
): Promise<Outcome> {
  return fleetroot(['factory', ...words, '--data', dir], options);
}
