// The factory's own composition root: its records, its seal, its custodians and what signs, opened from one directory.

import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import type { Custodian } from '../custody/custodian.ts';
import { MasterKey, type MasterKeyRecords } from '../custody/master-key.ts';
import type { MasterKeySource } from '../custody/master-key-source.ts';
import { createPkcs11Custodian } from '../custody/pkcs11.ts';
import { createSoftwareCustodian } from '../custody/software.ts';
import { CertificateMaker, type Recording } from '../issuing/issuer.ts';
import { OwnKeys } from '../issuing/own-keys.ts';
import type { SigningCa, SigningKey } from '../issuing/signing-ca.ts';
import type { Log } from '../log.ts';
import { Problem } from '../problem.ts';
import { type Actor, actAs, theServer } from '../registry/acting.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import { fact } from './records/facts.ts';
import { theLine } from './records/lines.ts';
import { faultsOfMandates } from './records/mandate-check.ts';
import { openRecords, type Records } from './records/records.ts';
import { keyFor } from './records/keys.ts';
import type { FactoryKey, Line } from './records/tables.ts';

/** A factory's directory while it is open. Disposing of it closes everything in order. */
export interface Factory extends AsyncDisposable {
  readonly config: Config;
  readonly records: Records;
  readonly keys: OwnKeys;
  /** Signs what has been recorded; what is no device's certificate is noted in the log by whoever asks for it. */
  readonly maker: CertificateMaker;
  readonly clock: () => number;
  readonly log: Log;
  /** Resolves with the error when the records can be written no more; never otherwise. */
  readonly failed: Promise<Error>;
}

/** What it does by itself. */
const theFactory: Actor = { ...theServer, name: 'factory' };

/** What stands where an account stands elsewhere: there is none here. */
export function ownerNamed(name: string): { id: string; name: string; kind: 'production'; validity_seconds: number } {
  return { id: '', name, kind: 'production', validity_seconds: 0 };
}

/** What is recorded by whoever asked, once it is whole: certificates of CAs and stations, which give nobody entry. */
const elsewhere: Recording = {
  intend: async () => {},
  complete: async () => {},
  abandon: async () => {},
};

/**
 * Opens a directory, making it where it is missing. `masterKey` is where its master key or passphrase is, where the
 * settings do not say. Throws Problem('conflict') while another program has it, CustodyProblem, and what the records throw.
 */
export async function openFactory(
  config: Config,
  {
    log,
    clock = Date.now,
    masterKey = null,
    env = process.env,
  }: { log: Log; clock?: () => number; masterKey?: MasterKeySource | null; env?: NodeJS.ProcessEnv },
): Promise<Factory> {
  if (config.custody.default === 'vault') {
    throw new Problem(
      'invalid_request',
      'A factory keeps no key in a vault: the line would stop with the network.',
      'Set custody.default to software or pkcs11.',
    );
  }
  await using opened = new AsyncDisposableStack();
  const failure = Promise.withResolvers<Error>();
  if (existsSync(join(config.dataDir, 'registry.db'))) {
    throw new Problem(
      'conflict',
      `${config.dataDir} is the directory of a server: who makes devices is apart from who lets them in.`,
      'Give the factory a directory of its own with --data DIR.',
    );
  }
  await mkdir(config.dataDir, { recursive: true, mode: 0o700 });
  const file = join(config.dataDir, 'factory.db');
  const records = opened.use(await openRecords({ file, clock, onFailure: failure.resolve }));
  await records.write('beginLog', {});
  const present: MasterKeySource = masterKey ??
    config.custody.masterKey ?? {
      holds: 'key',
      in: 'file',
      name: join(config.dataDir, 'master.key'),
      setting: null,
    };
  const { seal } = opened.use(await MasterKey.open({ present, next: null, env }, sealRecords(records)));
  const custodians: Custodian[] = [createSoftwareCustodian(seal)];
  const { pkcs11, custody } = config;
  if (pkcs11 !== null) {
    const withheldVariables = present.in === 'variable' ? [present.name] : [];
    custodians.push(createPkcs11Custodian({ ...pkcs11, timeout: custody.timeout, withheldVariables }));
  }
  for (const custodian of custodians) opened.use(custodian);
  const keys = new OwnKeys(new Map(custodians.map((custodian) => [custodian.name, custodian])));
  const abandoned = await actAs(theFactory, () => records.write('settleInterrupted', {}));
  if (abandoned > 0) log.info({ certificates: abandoned }, 'took back what a killed program had not signed');
  for (const { fault } of await faultsOfMandates(records.read)) log.error(fault);
  const maker = new CertificateMaker({ keys, recording: elsewhere, clock });
  const all = opened.move();
  return {
    config,
    records,
    keys,
    maker,
    clock,
    log,
    failed: failure.promise,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** The seal's proof lies among the facts. A factory's master key is not rotated: its key lies in an HSM, or on one machine. */
function sealRecords(records: Records): MasterKeyRecords {
  const notRotated = async () => {
    throw new Problem('conflict', "A factory's master key is not rotated.");
  };
  return {
    read: async (which) => {
      const proof = which === 'present' ? await fact(records.read, 'seal') : null;
      return proof && { proof, derivation: await fact(records.read, 'seal_derivation') };
    },
    record: async (_before, { proof, derivation }) => {
      await records.write('rememberFact', { key: 'seal', value: proof });
      if (derivation !== null) await records.write('rememberFact', { key: 'seal_derivation', value: derivation });
    },
    begin: notRotated,
    end: notRotated,
    replace: notRotated,
    async *values() {},
  };
}

/** The line with its CA and the Fleet Root above it. */
export interface ReadyLine {
  readonly line: Line;
  readonly ca: SigningCa<SigningKey>;
  readonly root: Certificate;
}

let last: readonly Certificate[] = [];

/** What was read of the same bytes a moment ago: a row is read anew for each request, and is the same for years. */
function read(bytes: Uint8Array): Certificate {
  const known = last.find(({ der }) => Buffer.compare(der, bytes) === 0);
  if (known) return known;
  const certificate = parseCertificate(bytes);
  last = [...last.slice(-3), certificate];
  return certificate;
}

/** The line, where its Fleet Root has signed its CA. Throws Problem('unavailable') where it has not yet. */
export async function readyLine({ records }: Pick<Factory, 'records'>): Promise<ReadyLine> {
  const line = await theLine(records.read);
  const key: FactoryKey | undefined = await keyFor(records.read, 'line');
  if (!line?.ca_certificate || !line.root_certificate || !key) {
    throw new Problem(
      'unavailable',
      'This line has no CA yet.',
      '`factory line request` makes its request, `factory root sign-line` signs it, `factory line accept` brings the answer.',
    );
  }
  return { line, ca: { certificate: read(line.ca_certificate), key }, root: read(line.root_certificate) };
}
