// How many issuances a CPU-second holds in the crypto service alone: key, linted certificate, signature, PKCS#12.

import { createECDH, generateKeyPairSync, randomBytes, randomUUID, sign } from 'node:crypto';

import { createSeal } from '../src/custody/seal.ts';
import { createSoftwareCustodian } from '../src/custody/software.ts';
import { HeldKeys } from '../src/issuing/held-keys.ts';
import { Issuer, type Recording } from '../src/issuing/issuer.ts';
import { makeKeyPair } from '../src/issuing/keys.ts';
import type { SigningCa } from '../src/issuing/signing-ca.ts';
import { Changes } from '../src/registry/changes.ts';
import type { NewKeyRow } from '../src/registry/keys.ts';
import type { Account, KeyRow } from '../src/registry/tables.ts';
import type { Registry } from '../src/registry/writer.ts';
import { Secret } from '../src/secret.ts';
import { parseCertificate } from '../src/x509/certificate.ts';
import { encodePkcs12 } from '../src/x509/pkcs12.ts';

const rounds = 9;
const issuancesInRound = 2_000;
const warmUp = 4_000;

/** The disk is another figure: here nothing is recorded. */
const unrecorded: Recording = { intend: async () => {}, complete: async () => {}, abandon: async () => {} };

const account: Account = {
  id: randomUUID(),
  name: 'bench',
  kind: 'test',
  admission: 'automatic',
  rekey: 'accept',
  key_type: 'p256',
  validity_seconds: 10 * 365 * 24 * 60 * 60,
  device_id_pattern: null,
  owner_key: null,
  deleted_at: null,
  gateway_incomplete: null,
  namespace: 'bench',
  created_at: 0,
  ready_at: 0,
};

const custodian = createSoftwareCustodian(createSeal(new Secret(randomBytes(32))));
const written: KeyRow[] = [];
const registry = {
  changes: new Changes(),
  write: async (_name: string, { key }: { key: NewKeyRow }) => {
    written.push({ ...key, created_at: 0, destroyed_at: null, erased_at: null });
    return written.at(-1);
  },
} as unknown as Registry;
const keys = new HeldKeys({
  registry,
  custodians: new Map([[custodian.name, custodian]]),
  newKeysIn: custodian.name,
});
const issuer = new Issuer({ registry, keys, clock: Date.now });

async function newCa(profile: 'fleet_root_ca' | 'gateway_ca'): Promise<SigningCa> {
  const purpose = profile === 'fleet_root_ca' ? 'fleet-root-ca' : 'gateway-ca';
  const key = await keys.create({ account, purpose, keyType: 'p256' });
  const der = await issuer.issue(issuer.prepare({ profile, account, key, id: randomUUID() }), unrecorded);
  return { certificate: parseCertificate(der), key };
}

const fleetRoot = await newCa('fleet_root_ca');
const cas = [fleetRoot, await newCa('gateway_ca'), await newCa('gateway_ca')].map(({ certificate }) => certificate.der);

/** What `POST /devices` has the crypto service do, its records left out. */
async function issuance(): Promise<void> {
  using pair = await makeKeyPair('p256');
  const prepared = issuer.prepare({
    profile: 'device',
    account,
    ca: fleetRoot,
    publicKey: pair.publicKey,
    deviceId: 'amiable-hedgehog-042',
    fleetRootCaId: account.id,
    provisioningKeyId: null,
    validitySeconds: null,
  });
  const certificate = await issuer.issue(prepared, unrecorded);
  encodePkcs12({ privateKey: pair.privateKey.reveal(), certificate, cas }).fill(0);
}

const floorKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const floorData = randomBytes(380);

/** The least that OpenSSL must do: a key pair, and a signature by a key that lies open in memory. */
async function floor(): Promise<void> {
  const ecdh = createECDH('prime256v1');
  ecdh.generateKeys();
  sign('sha256', floorData, floorKey);
}

/** Runs `work` so often, so many at once, and gives the CPU time of one, all threads counted, in microseconds. */
async function cpuTime(work: () => Promise<void>, times: number, atOnce: number): Promise<number> {
  const before = process.cpuUsage();
  for (let done = 0; done < times; done += atOnce) await Promise.all(Array.from({ length: atOnce }, work));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / times;
}

const measured = [
  { what: 'floor: key and signature alone', work: floor, atOnce: 1, times: [] as number[] },
  { what: 'issuance, one at a time', work: issuance, atOnce: 1, times: [] as number[] },
  { what: 'issuance, 8 at once', work: issuance, atOnce: 8, times: [] as number[] },
  { what: 'issuance, 50 at once', work: issuance, atOnce: 50, times: [] as number[] },
];

for (const { work, atOnce } of measured) await cpuTime(work, warmUp, atOnce);
// The rounds take turns, so that a machine that slows down slows all of them.
for (let round = 0; round < rounds; round += 1) {
  for (const { work, atOnce, times } of measured) times.push(await cpuTime(work, issuancesInRound, atOnce));
}

const median = (times: readonly number[]): number => times.toSorted((a, b) => a - b)[times.length >> 1]!;
const floorTime = median(measured[0]!.times);
console.log(`Node ${process.version}, its OpenSSL ${process.versions.openssl}`);
console.log(`Medians of ${rounds} rounds of ${issuancesInRound}, and the least`);
console.log('per CPU-s  CPU time (least)  of the floor');
for (const { what, times } of measured) {
  const time = median(times);
  const cells = [
    (1e6 / time).toFixed(0).padStart(9),
    `${time.toFixed(0)} µs (${Math.min(...times).toFixed(0)})`.padStart(16),
    (floorTime / time).toFixed(2).padStart(12),
  ];
  console.log(`${cells.join('  ')}  ${what}`);
}
