// What a change of trust would cost a fleet: each kind of device is judged before and after by admission's own rules.

import { setImmediate } from 'node:timers/promises';
import { sentenceOf } from '../problem.ts';
import {
  certificatesOfChain,
  chainsKnownSince,
  type DeviceStanding,
  deviceStandings,
  presentCertificateOf,
  standingsOfProvisioningKey,
} from '../registry/device-standings.ts';
import type { Db } from '../registry/database.ts';
import { presentMadeCertificate } from '../registry/manifest-sightings.ts';
import { type Certificate, CertificateError, parseCertificate } from '../x509/certificate.ts';
import type { Path } from '../x509/path.ts';
import type { AccountTrust } from './account-trust.ts';
import { pathsByRoot, rootOfDevice } from './admission.ts';
import { clockTolerance } from './device-identity.ts';
import { type Impact, noDevices, type RefusedByRule, sampleSize } from './impact.ts';
import { asksManifests, refusalByManifest, refusalOfWithdrawn, wordOf } from './manifest-word.ts';
import { refuse, type Refusal } from './refusal.ts';

/** Devices read at once: a few milliseconds, after which whoever else waits has a turn. */
const pageSize = 200;
/** How many devices of a kind that does not get in at present are judged before all of them are taken to be so. */
const kindsTried = 10;
const day = 24 * 60 * 60 * 1000;

/** What is asked. */
export interface Supposed {
  readonly before: AccountTrust;
  /** The trust after the change; null where nobody is admitted any more, for this reason. */
  readonly after: AccountTrust | Refusal;
  /** Whether the change touches a device that it does not shut out. `keys` stand on its paths (SHA-256). */
  readonly touches: (device: DeviceStanding, keys: ReadonlySet<string>) => boolean;
}

/** What the gateway says to the certificates of a device, before and after. */
interface Verdicts {
  /** Null where it gets in. */
  readonly before: Refusal | null;
  readonly after: Refusal | null;
  /** The public keys on its paths before. */
  readonly keys: ReadonlySet<string>;
  /** The paths by which it gets in; null where it does not. */
  readonly ways: { readonly before: Path | null; readonly after: Path | null };
}

/**
 * Counts what a change of trust touches, and whom it would shut out: a device counts as refused where it gets in at
 * present with its current certificate, sent as it was when it was recorded, and would not after. Devices that came by the
 * same certificates are judged once; what a manifest says is of one certificate, and is asked for each. Reads the whole
 * fleet, page by page.
 */
export async function impactOfTrust(db: Db, supposed: Supposed, now: number): Promise<Impact> {
  const { account } = supposed.before;
  const known = new Map<string, Verdicts>();
  /** How many of a kind were refused at present already: by what is wrong with one certificate alone, perhaps. */
  const refusedOf = new Map<string, number>();
  const tally = new Tally(now);
  const chainsSince = await chainsKnownSince(db);
  let after = '';
  for (;;) {
    const page = await deviceStandings(db, account.id, { after, limit: pageSize });
    for (const device of page) {
      // What it sent beside its certificate was not kept then: it is judged by itself.
      const early = device.chain_id === null && device.method === 'device' && device.first_seen < chainsSince;
      const { fleet_root_ca_id, allowed_root_id, method, chain_id, uuid } = device;
      const same = `${fleet_root_ca_id} ${allowed_root_id} ${method} ${chain_id} ${early ? uuid : ''}`;
      // Whatever its kind meets: one without a certificate that is valid is out already.
      const may = hasCertificate(device, now);
      let verdicts = may ? known.get(same) : undefined;
      if (!verdicts && may) {
        verdicts = await verdictsOf(db, supposed, device, now);
        const refused = (refusedOf.get(same) ?? 0) + (verdicts?.before ? 1 : 0);
        refusedOf.set(same, refused);
        if (early) await setImmediate();
        else if (verdicts && (!verdicts.before || refused >= kindsTried)) known.set(same, verdicts);
      }
      if (early && verdicts?.before) tally.early += 1;
      tally.count(device, verdicts ? await withManifests(db, supposed, device, verdicts) : null, supposed);
    }
    if (page.length < pageSize) return tally.impact();
    after = page.at(-1)!.uuid;
    // Reads do not leave this thread.
    await setImmediate();
  }
}

/** Counts the devices of an account that something touches which shuts none of them out. */
export async function tallyDevices(
  db: Db,
  account_id: string,
  touched: (device: DeviceStanding) => Promise<boolean>,
  now: number,
): Promise<Impact> {
  const tally = new Tally(now);
  for (let after = ''; ;) {
    const page = await deviceStandings(db, account_id, { after, limit: pageSize });
    for (const device of page) if (await touched(device)) tally.touch(device);
    if (page.length < pageSize) return tally.impact();
    after = page.at(-1)!.uuid;
    await setImmediate();
  }
}

/** The devices that a provisioning key has made, which its end does not touch but is about. */
export async function devicesOfKey(db: Db, account_id: string, id: string, now: number): Promise<Impact> {
  const tally = new Tally(now);
  for (let after: DeviceStanding | null = null; ;) {
    const page: DeviceStanding[] = await standingsOfProvisioningKey(db, account_id, id, { after, limit: pageSize });
    for (const device of page) tally.touch(device);
    if (page.length < pageSize) return tally.impact();
    after = page.at(-1)!;
    await setImmediate();
  }
}

/** What becomes of one device, by the refusal that it would meet; null for none. */
export async function impactOfDevice(
  db: Db,
  trust: AccountTrust,
  device: DeviceStanding,
  refusal: Refusal | null,
  now: number,
): Promise<Impact> {
  const tally = new Tally(now);
  const same = { before: trust, after: trust, touches: () => true };
  const verdicts = hasCertificate(device, now) ? await verdictsOf(db, same, device, now) : undefined;
  const before = verdicts ? await withManifests(db, same, device, verdicts) : null;
  tally.count(device, before ? { ...before, after: refusal } : null, same);
  return tally.impact();
}

/** Whether a device has a certificate that has not ended: without one it is refused already. */
function hasCertificate({ certificate_not_after }: DeviceStanding, now: number): boolean {
  return certificate_not_after !== null && certificate_not_after + clockTolerance >= now;
}

async function verdictsOf(
  db: Db,
  { before, after }: Supposed,
  device: DeviceStanding,
  now: number,
): Promise<Verdicts | undefined> {
  const { account } = before;
  const certificate = await presentCertificateOf(db, account.id, device.uuid);
  if (!certificate) return undefined;
  const chain = device.chain_id === null ? [] : await certificatesOfChain(db, account.id, device.chain_id);
  const shown = readAll([certificate.der, ...chain]);
  if (!shown) return undefined;
  const first = await judgeAgain(db, before, device, shown, now);
  const then = 'code' in after ? { refusal: after, way: null } : await judgeAgain(db, after, device, shown, now);
  return { before: first.refusal, after: then.refusal, keys: first.keys, ways: { before: first.way, after: then.way } };
}

/** The same verdicts with what manifests say of the certificate that this device has. */
async function withManifests(
  db: Db,
  { before, after }: Supposed,
  device: DeviceStanding,
  verdicts: Verdicts,
): Promise<Verdicts> {
  const trusts = { before, after: 'code' in after ? null : after };
  const asked = (['before', 'after'] as const).filter((when) => {
    const trust = trusts[when];
    return trust !== null && verdicts.ways[when] !== null && asksManifests(trust);
  });
  if (asked.length === 0) return verdicts;
  // Of one leaf all paths begin with the same issuer.
  const issuer_key = verdicts.ways[asked[0]!]!.publicKeys[1]!;
  const present = await presentMadeCertificate(db, before.account.id, { issuer_key, device_uuid: device.uuid });
  if (!present) return verdicts;
  const shown = { device_id: device.device_id, public_key_sha256: present.public_key_sha256 };
  const refusals = asked.map((when) => {
    const [trust, way] = [trusts[when] as AccountTrust, verdicts.ways[when] as Path];
    const word = wordOf(trust, way, present.made, shown);
    const refusal = refusalOfWithdrawn(device.device_id, word) ?? refusalByManifest(trust, device.device_id, way, word);
    return [when, refusal && ofAll(refusal, device)] as const;
  });
  return { ...verdicts, ...Object.fromEntries(refusals) };
}

/** Null where one of them is none any more: somebody has changed the registry, and such a device does not get in. */
function readAll(ders: readonly Uint8Array[]): Certificate[] | null {
  try {
    return ders.map((der) => parseCertificate(Buffer.from(der)));
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    return null;
  }
}

/** What a known and active device is answered that shows its present certificate again. */
async function judgeAgain(
  db: Db,
  trust: AccountTrust,
  device: DeviceStanding,
  shown: readonly Certificate[],
  now: number,
): Promise<{ refusal: Refusal | null; keys: ReadonlySet<string>; way: Path | null }> {
  const byRoot = await pathsByRoot(db, trust, shown, now);
  if ('code' in byRoot) return { refusal: ofAll(byRoot, device), keys: new Set(), way: null };
  const keys = new Set([...byRoot.values()].flatMap(({ publicKeys }) => publicKeys));
  const root = rootOfDevice(trust, device, byRoot);
  if (root) return { refusal: null, keys, way: byRoot.get(root.id) ?? null };
  const owner = trust.roots.get(device.fleet_root_ca_id)?.name ?? device.fleet_root_ca_id;
  const rule = `Their device IDs belong to devices under the Fleet Root CA "${owner}", to which their certificates do not lead.`;
  return { refusal: refuse('device_id_conflict', rule), keys, way: null };
}

/** A refusal as it is told of many devices: a sentence that names this one gives way to that of the code. */
function ofAll(refusal: Refusal, { device_id }: DeviceStanding): Refusal {
  return refusal.rule.includes(device_id) ? { ...refusal, rule: sentenceOf(refusal.code) } : refusal;
}

/** Counts devices one by one. */
class Tally {
  readonly #dayAgo: number;
  #devices = 0;
  #seenLastDay = 0;
  #refused = 0;
  /** Devices of which is not known by which intermediates they come. */
  early = 0;
  readonly #rules = new Map<string, RefusedByRule>();
  readonly #refusedIds: string[] = [];
  readonly #touchedIds: string[] = [];

  constructor(now: number) {
    this.#dayAgo = now - day;
  }

  count(device: DeviceStanding, verdicts: Verdicts | null, { touches }: Pick<Supposed, 'touches'>): void {
    const getsIn = device.state === 'active' && verdicts?.before === null;
    const refusal = getsIn ? verdicts.after : null;
    if (refusal === null && !touches(device, verdicts?.keys ?? new Set())) return;
    this.touch(device, refusal);
  }

  touch({ device_id, last_seen }: DeviceStanding, refusal: Refusal | null = null): void {
    this.#devices += 1;
    if (last_seen !== null && last_seen >= this.#dayAgo) this.#seenLastDay += 1;
    const ids = refusal === null ? this.#touchedIds : this.#refusedIds;
    if (ids.length < sampleSize) ids.push(device_id);
    if (refusal === null) return;
    this.#refused += 1;
    const { code, rule } = refusal;
    const same = this.#rules.get(`${code} ${rule}`);
    this.#rules.set(`${code} ${rule}`, { code, rule, devices: (same?.devices ?? 0) + 1 });
  }

  impact(): Impact {
    return noDevices({
      devices: this.#devices,
      seen_last_day: this.#seenLastDay,
      refused: this.#refused,
      confirm: this.#refused,
      by_rule: [...this.#rules.values()].toSorted((one, other) => other.devices - one.devices),
      unknown:
        this.early === 0
          ? null
          : `By which intermediates ${this.early} of the account's devices come was not kept when they were recorded: whether they would be refused is not known, and they are not counted as refused.`,
      sample: [...this.#refusedIds, ...this.#touchedIds].slice(0, sampleSize),
    });
  }
}
