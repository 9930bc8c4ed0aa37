// An allow-list as it is imported: row by row while the file arrives, with a report of what was wrong.

import { Problem } from '../problem.ts';
import { type Imported, type ImportedRows, weighAllowList } from '../registry/allow-list.ts';
import { type ImportRef, unsettledAllowListImports } from '../registry/allow-list-imports.ts';
import { mostLabels } from '../registry/label-values.ts';
import type { Account } from '../registry/tables.ts';
import type { Registry } from '../registry/writer.ts';
import { readAllowList, type ReadRows, type RowFault } from './allow-list-file.ts';

/** The writer does nothing else while it imports; so many rows go to it at once. */
const rowsAtOnce = 10_000;
const mostRows = 2_000_000;
/** Rows that are told of at most, beside how many there are. */
const mostFaults = 100;

/** How an import is meant: `all_or_nothing` keeps nothing where a row is wrong, `dry_run` keeps nothing at all. */
export interface ImportOptions {
  readonly all_or_nothing?: boolean | undefined;
  readonly dry_run?: boolean | undefined;
}

/** What came of it. */
export interface ImportReport extends Imported {
  readonly rows: number;
  /** The first of them. */
  readonly faults: readonly RowFault[];
  readonly faults_total: number;
}

type Registered = Pick<Registry, 'read' | 'write'>;

/**
 * Adds the device IDs of a file to the allow-list of an account. Throws as `readAllowList` does, and `invalid_request` where
 * all or nothing was asked for and a row is wrong.
 */
export async function importAllowListFile(
  registry: Registered,
  { id: account_id }: Pick<Account, 'id'>,
  file: AsyncIterable<Buffer>,
  { all_or_nothing = false, dry_run = false }: ImportOptions = {},
): Promise<ImportReport> {
  const tally = new Tally();
  if (dry_run) {
    for await (const read of readAllowList(file, rowsAtOnce)) {
      const weighed = await weighAllowList(registry.read, account_id, read.entries);
      tally.add(weighed, faultsOf(read, weighed));
    }
    return tally.report();
  }
  if (all_or_nothing) return importWhole(registry, account_id, file, tally);
  for await (const read of readAllowList(file, rowsAtOnce)) {
    const imported = await registry.write('importAllowList', { account_id, entries: read.entries });
    tally.add(imported, faultsOf(read, imported));
  }
  return tally.report();
}

/** Stages what arrives; only when all of it is there and right, one short write makes it count. */
async function importWhole(
  registry: Registered,
  account_id: string,
  file: AsyncIterable<Buffer>,
  tally: Tally,
): Promise<ImportReport> {
  const staged = await registry.write('beginAllowListImport', { account_id });
  try {
    for await (const read of readAllowList(file, rowsAtOnce)) {
      const { entries } = read;
      const weighed = await weighAllowList(registry.read, account_id, entries);
      const rows = entries.length - weighed.overfull.length;
      tally.add({ added: 0, already: 0, updated: 0 }, faultsOf(read, weighed), rows);
      // What is wrong is to be told of all rows, what is right of no use any more.
      if (tally.faults_total === 0) await registry.write('stageAllowList', { ...staged, entries });
    }
    if (tally.faults_total > 0) throw tally.refusal();
    await registry.write('commitAllowListImport', staged);
  } catch (error) {
    await settle(registry, staged);
    throw error;
  }
  const imported = await settle(registry, staged);
  const { rows } = tally.report();
  return { ...tally.report(), ...imported, already: rows - imported.added };
}

/** Brings a staged import to its end: onto the list where it is committed, else away. */
async function settle(registry: Registered, staged: ImportRef): Promise<Imported> {
  const sum = { added: 0, already: 0, updated: 0 };
  for (;;) {
    const part = await registry.write('settleAllowListImport', { ...staged, limit: rowsAtOnce });
    sum.added += part.added;
    sum.already += part.already;
    sum.updated += part.updated;
    if (!part.left) return sum;
  }
}

/**
 * Of the imports that were begun before an instant, and are none of a server that is still there: finishes what was committed,
 * and takes away what was not.
 */
export async function settleAllowListImports(registry: Registered, before: number): Promise<void> {
  for (const staged of await unsettledAllowListImports(registry.read, { before })) await settle(registry, staged);
}

/** What was wrong with rows as they were read, or where they were to go, in their order. */
function faultsOf({ entries, lines, faults }: ReadRows, { overfull }: ImportedRows): RowFault[] {
  if (overfull.length === 0) return faults;
  const line = new Map(entries.map(({ device_id }, index) => [device_id, lines[index]!]));
  const fault = `It would have more than ${mostLabels} labels, with those that it has already.`;
  const others = overfull.map((device_id) => ({ line: line.get(device_id)!, device_id, fault }));
  return [...faults, ...others].toSorted((one, other) => one.line - other.line);
}

/** What has been read so far. */
class Tally {
  readonly #sum = { rows: 0, added: 0, already: 0, updated: 0 };
  readonly #faults: RowFault[] = [];
  faults_total = 0;

  /** Throws `body_too_large` for more rows than a list may have. */
  add(imported: Imported, faults: readonly RowFault[], entries = imported.added + imported.already): void {
    this.#sum.rows += entries + faults.length;
    this.#sum.added += imported.added;
    this.#sum.already += imported.already;
    this.#sum.updated += imported.updated;
    this.faults_total += faults.length;
    this.#faults.push(...faults.slice(0, mostFaults - this.#faults.length));
    if (this.#sum.rows > mostRows) throw new Problem('body_too_large', `The file has more than ${mostRows} rows.`);
  }

  report(): ImportReport {
    return { ...this.#sum, faults: this.#faults, faults_total: this.faults_total };
  }

  refusal(): Problem {
    const { line, fault } = this.#faults[0]!;
    const others = this.faults_total - 1;
    return new Problem(
      'invalid_request',
      `Line ${line}: ${fault}${others > 0 ? ` ${others} other row(s) are wrong too.` : ''} Nothing was imported.`,
      'With ?dry_run=true the answer lists what is wrong, row by row.',
      { members: { line, faults_total: this.faults_total } },
    );
  }
}
