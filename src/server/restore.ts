// A server's directory out of a back-up: unpacked beside its place, verified whole, and put there by one rename.

import { existsSync } from 'node:fs';
import { copyFile, chmod, mkdir, mkdtemp, open, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { type Config, loadConfig } from '../config.ts';
import { MasterKey } from '../custody/master-key.ts';
import { type MasterKeySource, placeOf } from '../custody/master-key-source.ts';
import type { Seal } from '../custody/seal.ts';
import { HeldKeys } from '../issuing/held-keys.ts';
import { checkCustody } from '../issuing/key-check.ts';
import { openLog } from '../log.ts';
import { Metrics } from '../metrics.ts';
import { Problem } from '../problem.ts';
import { auditHead } from '../registry/audit.ts';
import { auditVerdict } from '../registry/audit-verdict.ts';
import { lockDirectory } from '../registry/database.ts';
import { listKeys } from '../registry/keys.ts';
import { masterKeyRow } from '../registry/sealed-values.ts';
import { checkDatabase, countLimitedKeys, knownSchema } from '../registry/snapshot.ts';
import { openRegistry, type Registry } from '../registry/writer.ts';
import { type Key, type Manifest, readBackup } from './backup-file.ts';
import { openCustodians } from './custodians.ts';
import { recordsIn } from './master-key.ts';

/** What is to be restored, and where. */
export interface Restoring {
  /** Absolute path of the back-up. */
  readonly file: string;
  readonly key: Key;
  /** Absolute path of the data directory that is to be: empty, or not there. Null to verify the back-up alone. */
  readonly dataDir: string | null;
  /** A file with the master key, or with the passphrase that it is derived from; null where it is to be had otherwise. */
  readonly masterKeyFile: string | null;
  /** A configuration file that says where custody is; that of the back-up is not believed before its registry is. */
  readonly configFile: string | null;
  readonly env: NodeJS.ProcessEnv;
}

/** Keys in a custodian whose keys are not in the back-up. */
export interface KeysElsewhere {
  readonly custodian: string;
  readonly keys: number;
  /** How many do not sign, and why the first of them does not; null where the custodian is not configured here. */
  readonly failing: { readonly count: number; readonly reason: string | null } | null;
}

/** What was found of a back-up, and done with it. */
export interface Restored {
  readonly manifest: Manifest;
  /** Values that were opened by the master key: every one there is. */
  readonly sealedValues: number;
  readonly masterKeyPlace: string;
  /** Whether the server will look for the master key elsewhere than where it was found now. */
  readonly masterKeyToPlace: boolean;
  readonly elsewhere: readonly KeysElsewhere[];
  /** How far checkpoints in the log itself confirm it. */
  readonly confirmedTo: number;
  /** Provisioning keys that may be used a number of times, and that may have been used since. */
  readonly limitedKeys: number;
}

/**
 * Restores a back-up, or only verifies it. Nothing lies at `dataDir` before all is verified: a restoration that fails, or
 * is killed, leaves nothing that serves. Throws Problem and CustodyProblem.
 */
export async function restore(restoring: Restoring): Promise<Restored> {
  const { dataDir } = restoring;
  await using held = new AsyncDisposableStack();
  const work = dataDir === null ? await scratch(held) : await beside(dataDir, held);
  const config = loadConfig({ dataDir: work, configFile: restoring.configFile, env: restoring.env });
  const data = join(work, 'data');
  await mkdir(data, { mode: 0o700 });
  const manifest = await readBackup(restoring.file, restoring.key, data);
  requireKnownSchema(restoring.file, manifest);
  const file = join(data, 'registry.db');
  checkDatabase(file);
  const restored = await verified({ restoring, manifest, config, work, data, file });
  if (dataDir !== null) await putInPlace(data, dataDir);
  return restored;
}

interface Verifying {
  readonly restoring: Restoring;
  readonly manifest: Manifest;
  readonly config: Config;
  readonly work: string;
  readonly data: string;
  readonly file: string;
}

/** Opens the registry as a server would, holds all of it against the rest, and marks it as restored. */
async function verified({ restoring, manifest, config, work, data, file }: Verifying): Promise<Restored> {
  await using opened = new AsyncDisposableStack();
  const onFailure = (error: Error) => {
    throw error;
  };
  const registry = opened.use(await openRegistry({ file, clock: Date.now, onFailure }));
  const confirmedTo = await requireWholeLog(registry, restoring.file, manifest);
  const source = await masterKeySource({ restoring, manifest, config, work, data }, registry);
  const sources = { present: source, next: config.custody.nextMasterKey, env: restoring.env };
  const masterKey = opened.use(await MasterKey.open(sources, recordsIn(registry)));
  const sealedValues = await openEverySealedValue(registry, masterKey.seal);
  const elsewhere = await keysElsewhere(config, registry, masterKey.seal);
  const restored = {
    manifest,
    sealedValues,
    masterKeyPlace: manifest.master_key.included ? 'the file master.key of the back-up' : placeOf(source),
    masterKeyToPlace:
      source.in === 'file' && config.custody.masterKey === null && !existsSync(join(data, 'master.key')),
    elsewhere,
    confirmedTo,
    limitedKeys: await countLimitedKeys(registry.read, Date.now()),
  };
  const { number: audit_number = null, hash: audit_hash = null } = manifest.audit ?? {};
  await registry.write('recordRestoration', { made_at: Date.parse(manifest.made_at), audit_number, audit_hash });
  return restored;
}

/** A directory of this user's alone that is gone when the verification is over. */
async function scratch(held: AsyncDisposableStack): Promise<string> {
  const work = await mkdtemp(join(tmpdir(), 'fleetroot-backup-'));
  held.defer(() => rm(work, { recursive: true, force: true }));
  return work;
}

/** The same beside the place that is to be, on the same disk; what a killed restoration has left there is taken away. */
async function beside(dataDir: string, held: AsyncDisposableStack): Promise<string> {
  await requireFree(dataDir);
  const work = `${dataDir}.restoring`;
  await mkdir(work, { recursive: true, mode: 0o700 });
  held.use(lockDirectory(work));
  held.defer(() => rm(work, { recursive: true, force: true }));
  await rm(join(work, 'data'), { recursive: true, force: true });
  await rm(join(work, 'given.key'), { force: true });
  return work;
}

async function requireFree(dataDir: string): Promise<void> {
  const there = await readdir(dataDir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new Problem('conflict', `${dataDir} cannot be restored into: ${error.message}.`);
  });
  if (there.length === 0) return;
  throw new Problem(
    'conflict',
    `${dataDir} is not empty, and nothing is overwritten.`,
    'Name a directory that is empty or not there, or move this one away.',
  );
}

function requireKnownSchema(file: string, { schema, program }: Manifest): void {
  if (schema <= knownSchema) return;
  throw new Problem(
    'conflict',
    `${file} was made by a newer Fleetroot (${program}): its registry has had ${schema} migrations, and this program knows ${knownSchema}.`,
    'Restore it with that program, or a newer one.',
  );
}

/** Follows the audit log from its first entry, and to the one that the manifest names. Gives how far it is confirmed. */
async function requireWholeLog(registry: Registry, file: string, { audit }: Manifest): Promise<number> {
  const { log, misfit, confirmed_to } = await auditVerdict(registry.read);
  const sentence = (what: string) =>
    new Problem('conflict', `${file} is not restored: its audit log is not whole. ${what}`);
  if (misfit !== null) throw sentence(misfit.sentence);
  const head = await auditHead(registry.read);
  if (log === (audit?.log ?? null) && head?.number === audit?.number && head?.hash === audit?.hash) return confirmed_to;
  throw sentence(
    `It ends with entry ${head?.number ?? 0}, and the manifest says ${audit?.number ?? 0}, or with another hash.`,
  );
}

/** Where the master key is: in the file given, in the back-up, or where this machine is configured to have it. */
async function masterKeySource(
  { restoring, manifest, config, work, data }: Omit<Verifying, 'file'>,
  registry: Registry,
): Promise<MasterKeySource> {
  const record = await masterKeyRow(registry.read, 'present');
  const holds = record?.derivation == null ? 'key' : 'passphrase';
  const inFile = (name: string): MasterKeySource => ({ holds, in: 'file', name, setting: null });
  const { masterKey } = config.custody;
  const own = join(data, 'master.key');
  if (restoring.masterKeyFile !== null) {
    const given = resolve(restoring.masterKeyFile);
    // Where a server makes its own, it goes on with this one.
    const copy = masterKey === null && holds === 'key' ? own : join(work, 'given.key');
    await rm(copy, { force: true });
    await copyFile(given, copy).catch((cause: Error) => {
      throw new Problem('invalid_request', `The master key cannot be read: ${cause.message}.`, null, { cause });
    });
    await chmod(copy, 0o600);
    return inFile(copy);
  }
  if (manifest.master_key.included) return inFile(own);
  if (masterKey !== null) return masterKey;
  throw new Problem(
    'invalid_request',
    `The master key is not in the back-up: it was ${manifest.master_key.place}, and its ID is ${manifest.master_key.ids.join(' and ')}.`,
    'Give it with --master-key FILE, or say where it is with --config FILE; without it no private key in the back-up opens.',
  );
}

/** Throws Problem `conflict` that says how many do not open, and which one first. */
async function openEverySealedValue(registry: Registry, seal: Seal): Promise<number> {
  let [values, first, failed]: [number, string | null, number] = [0, null, 0];
  for await (const batch of recordsIn(registry).values()) {
    for (const { sealed, context } of batch) {
      values += 1;
      try {
        seal.open(sealed, context).wipe();
      } catch (error) {
        first ??= (error as Error).message;
        failed += 1;
      }
    }
  }
  if (first === null) return values;
  throw new Problem(
    'conflict',
    `Of ${values} sealed values ${failed} do not open. ${first}`,
    'Take an earlier back-up.',
  );
}

/** Custodians may be away, or not configured here: that does not keep a registry from being restored. */
async function keysElsewhere(config: Config, registry: Registry, seal: Seal): Promise<KeysElsewhere[]> {
  const keys = (await listKeys(registry.read)).filter(
    ({ custodian, remembered, destroyed_at }) =>
      custodian !== 'software' && remembered !== null && destroyed_at === null,
  );
  if (keys.length === 0) return [];
  await using opened = new AsyncDisposableStack();
  const log = openLog('silent');
  const watching = { log, clock: Date.now, onWell: () => {}, metrics: new Metrics(), tell: () => {} };
  const custodians = openCustodians(config, seal, watching);
  for (const custodian of custodians.values()) opened.use(custodian);
  const held = new HeldKeys({ registry, custodians, newKeysIn: 'software' });
  const checked = (await checkCustody(held, keys)).keys;
  return [...Map.groupBy(checked, ({ key }) => key.custodian)].map(([custodian, its]) => {
    const problems = its.flatMap(({ problem }) => problem ?? []);
    const failing = { count: problems.length, reason: problems[0]?.message ?? null };
    return { custodian, keys: its.length, failing: custodians.has(custodian) ? failing : null };
  });
}

async function putInPlace(data: string, dataDir: string): Promise<void> {
  await syncDirectory(data);
  try {
    // Over an empty directory, or nothing: over anything else it fails.
    await rename(data, dataDir);
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (code === 'ENOTEMPTY' || code === 'EEXIST') await requireFree(dataDir);
    throw new Problem(
      'conflict',
      `What was restored cannot be put at ${dataDir}: ${message}.`,
      'A directory that is a mount point cannot be replaced: name one below it.',
      { cause: error },
    );
  }
  await syncDirectory(dirname(dataDir));
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path);
  await directory.sync();
}
