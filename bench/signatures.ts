// Signatures per second by custodian, asked one after the other up to 256 at once: bench/custodians.ts runs it with their settings.

import { randomBytes } from 'node:crypto';
import type { Custodian, CustodyKey } from '../src/custody/custodian.ts';
import { createPkcs11Custodian, type Pkcs11Options } from '../src/custody/pkcs11.ts';
import { createSeal } from '../src/custody/seal.ts';
import { createSoftwareCustodian } from '../src/custody/software.ts';
import { createVaultCustodian, type VaultOptions } from '../src/custody/vault.ts';
import { Secret } from '../src/secret.ts';
import { cpuSecondsOf } from './pinned.ts';

/** Where the custodians are that are not software. */
export interface Places {
  readonly pkcs11: Pkcs11Options;
  /** Each with the ID of the vault's process. */
  readonly vault: Readonly<Record<string, VaultOptions & { readonly pid: number }>>;
}

const rounds = 5;
const secondsOfRound = 0.6;
const concurrencies = [1, 4, 16, 64, 256];
/** The length of a device's TBSCertificate. */
const data = randomBytes(380);

const places = JSON.parse(process.argv[2]!) as Places;
const custodians: (readonly [string, Custodian, number | null])[] = [
  ['software', createSoftwareCustodian(createSeal(new Secret(randomBytes(32)))), null],
  ['pkcs11, SoftHSM', createPkcs11Custodian(places.pkcs11), null],
  ...Object.entries(places.vault).map(
    ([name, { pid, ...options }]) => [name, createVaultCustodian(options), pid] as const,
  ),
];

/** Signs for so long, so many asked for at once; gives how many there were, and how many in a second of the clock. */
async function sign(
  custodian: Custodian,
  key: CustodyKey,
  atOnce: number,
  seconds: number,
): Promise<{ signatures: number; rate: number }> {
  const begin = performance.now();
  const end = begin + seconds * 1000;
  let made = 0;
  const ask = async (): Promise<void> => {
    while (performance.now() < end) {
      await custodian.sign(key, 'ecdsa-sha256', data);
      made += 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, ask));
  return { signatures: made, rate: (made * 1000) / (performance.now() - begin) };
}

/** What was made at 64 at once, and the CPU-seconds that it took here, SoftHSM's process included, and in the vault. */
interface Work {
  signatures: number;
  here: number;
  there: number;
}
const workAt = 64;

interface Contender {
  readonly name: string;
  readonly custodian: Custodian;
  readonly pid: number | null;
  readonly key: CustodyKey;
  readonly rates: number[][];
  readonly work: Work;
}

const contenders: Contender[] = [];
for (const [name, custodian, pid] of custodians) {
  const request = { id: crypto.randomUUID(), keyType: 'p256', exportable: false } as const;
  const key = { ...request, ...(await custodian.create(request)) };
  const work = { signatures: 0, here: 0, there: 0 };
  contenders.push({ name, custodian, pid, key, rates: concurrencies.map(() => []), work });
  await sign(custodian, key, workAt, 2);
}
for (let round = 0; round < rounds; round += 1) {
  for (const [column, atOnce] of concurrencies.entries()) {
    for (const { custodian, pid, key, rates, work } of contenders) {
      const cpu = () => [cpuSecondsOf(process.pid), pid === null ? 0 : cpuSecondsOf(pid)] as const;
      const before = cpu();
      const { signatures, rate } = await sign(custodian, key, atOnce, secondsOfRound);
      rates[column]!.push(rate);
      if (atOnce !== workAt) continue;
      const after = cpu();
      work.signatures += signatures;
      work.here += after[0] - before[0];
      work.there += after[1] - before[1];
    }
  }
}

const median = (values: readonly number[]): number => values.toSorted((one, other) => one - other)[values.length >> 1]!;
console.log(`P-256 signatures a second, medians of ${rounds} rounds by turns, and of software's in the same round`);
console.log(concurrencies.map((atOnce) => `${atOnce} at once`.padStart(18)).join(''));
for (const { name, custodian, rates } of contenders) {
  const cells = rates.map((column, at) => {
    const ratios = column.map((each, round) => each / contenders[0]!.rates[at]![round]!);
    return `${median(column).toFixed(0)} (${median(ratios).toFixed(2)})`.padStart(18);
  });
  console.log(`${cells.join('')}  ${name}`);
  await custodian[Symbol.asyncDispose]();
}

const [reference] = contenders;
const perCpuSecond = ({ signatures, here }: Work): number => signatures / here;
console.log(`\nCPU time of a signature, ${workAt} at once`);
console.log('per CPU-s here  of software  µs here  µs in the vault');
for (const { name, work } of contenders) {
  const cells = [
    perCpuSecond(work).toFixed(0).padStart(14),
    (perCpuSecond(work) / perCpuSecond(reference!.work)).toFixed(2).padStart(11),
    ((work.here / work.signatures) * 1e6).toFixed(0).padStart(7),
    work.there === 0 ? '-'.padStart(15) : ((work.there / work.signatures) * 1e6).toFixed(0).padStart(15),
  ];
  console.log(`${cells.join('  ')}  ${name}`);
}
