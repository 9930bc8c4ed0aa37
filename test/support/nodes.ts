// Several nodes on one PostgreSQL, each with a data directory and ports of its own, under one master key.

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConfigOptions } from '../../src/config.ts';
import { Fleetroot } from './fleetroot.ts';
import { newDatabase } from './postgres.ts';

/** Nodes in the test's own process. */
export class Nodes implements AsyncDisposable {
  readonly all: readonly Fleetroot[];
  /** What a further node is started with. */
  readonly options: ConfigOptions;
  readonly #held: AsyncDisposableStack;

  private constructor(all: readonly Fleetroot[], options: ConfigOptions, held: AsyncDisposableStack) {
    this.all = all;
    this.options = options;
    this.#held = held;
  }

  /** Starts as many at once, on a new database; `via` says by which URL a node reaches it. */
  static async start(
    count: number,
    {
      options = {},
      via = (url) => url,
    }: { options?: ConfigOptions; via?: (url: string, node: number) => string | Promise<string> } = {},
  ): Promise<Nodes> {
    await using held = new AsyncDisposableStack();
    const { url } = held.use(await newDatabase());
    const { shared, directory } = sharedOptions(options);
    held.defer(() => rmSync(directory, { recursive: true, force: true }));
    const starting = Array.from({ length: count }, async (_, index) => {
      const own = { 'database.url': await via(url, index), 'node.name': `node-${index + 1}` };
      return held.use(await Fleetroot.start({ options: { ...shared, ...own } }));
    });
    const all = await Promise.all(starting);
    return new Nodes(all, { ...shared, 'database.url': url }, held.move());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#held.disposeAsync();
  }
}

/** What all nodes have in common: the master key above all. */
export function sharedOptions(options: ConfigOptions): { shared: ConfigOptions; directory: string } {
  const directory = mkdtempSync(join(tmpdir(), 'fleetroot-nodes-'));
  const file = join(directory, 'master.key');
  writeFileSync(file, randomBytes(32).toString('base64'), { mode: 0o600 });
  return { shared: { 'custody.master_key_file': file, ...options }, directory };
}
