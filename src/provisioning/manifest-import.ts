// A manifest of a factory line as it comes across the gap: who signed it, what it says, and whether an account takes it.

import { certificatesOf } from '../manifest/jws.ts';
import { type Mandate, readMandate } from '../manifest/mandate.ts';
import { type CertificateEntry, type Manifest, readManifest } from '../manifest/manifest.ts';
import { Problem } from '../problem.ts';
import { hashBeforeFirst } from '../registry/audit-chain.ts';
import type { ManifestEntry } from '../registry/manifest-certificates.ts';
import { unsweptLinesOf } from '../registry/manifest-sweeps.ts';
import type { ManifestLine } from '../registry/manifest-tables.ts';
import { lineByKey, manifestMandatesOf, type NewManifest, type TakenManifest } from '../registry/manifests.ts';
import type { Account } from '../registry/tables.ts';
import type { Certificate } from '../x509/certificate.ts';
import { commonName } from '../x509/name.ts';
import { findPaths, type Path } from '../x509/path.ts';
import { type AccountTrust, loadAccountTrust } from './account-trust.ts';
import { clockTolerance } from './device-identity.ts';
import { faultOfDeviceId, matchesPattern, unseen } from './device-id.ts';
import type { Provisioning } from './provisioning.ts';

type Importing = Pick<Provisioning, 'registry' | 'trustFile' | 'clock'>;

/** Devices that one write looks through. */
const devicesAtOnce = 1_000;

/**
 * Takes a manifest (a compact JWS) into an account, whole or not at all. Throws Problem: `certificate_untrusted` where its
 * line leads to no Fleet Root CA of the account, `invalid_request` for one that was changed or says what cannot be,
 * `conflict` for a gap before it and for one that contradicts what its line has said before.
 */
export async function importManifest(p: Importing, account: Account, jws: string): Promise<TakenManifest> {
  const { registry } = p;
  const trust = await loadAccountTrust(p, account);
  const [ca, ...others] = certificatesOf(jws, 'The manifest') as [Certificate, ...Certificate[]];
  const path = pathOf(trust, ca, others, p.clock());
  const manifest = await readManifest(jws, ca.publicKey);
  if (manifest.name !== ca.subject.attributes.find(({ type }) => type === commonName)?.value) {
    const [said, certified] = [JSON.stringify(manifest.name), JSON.stringify(ca.subject.text)];
    throw new Problem(
      'invalid_request',
      `The manifest is of the line ${said}, and its CA's certificate of ${certified}.`,
    );
  }
  if (manifest.first === 1 && manifest.previous_hash !== hashBeforeFirst(manifest.log)) {
    throw new Problem('invalid_request', 'The manifest begins with the first entry of another log than it names.');
  }
  const known = await lineByKey(registry.read, account.id, ca.publicKey.sha256);
  const mandates = await mandatesOf(manifest, path, known ? await knownMandates(p, known) : new Map());
  const now = p.clock();
  const notBefore = ({ number, at, latest }: CertificateEntry): number =>
    Math.max(at, Math.min(latest, now), known && number > known.last_number ? known.last_made_at : 0);
  const taken = await registry.write('importManifest', {
    account_id: account.id,
    line: {
      fleet_root_ca_id: path.anchor.id,
      public_key_sha256: ca.publicKey.sha256,
      name: checkedText(manifest.name, 'line'),
      site: manifest.site === null ? null : checkedText(manifest.site, 'site'),
      log_id: manifest.log,
    },
    certificate: {
      role: 'intermediate',
      sha256: ca.sha256,
      public_key_sha256: ca.publicKey.sha256,
      certificate: new Uint8Array(ca.der),
      not_after: ca.notAfter,
    },
    first: manifest.first,
    last: manifest.last,
    previous_hash: manifest.previous_hash,
    hashes: new Uint8Array(Buffer.from(manifest.hashes.join(''), 'hex')),
    made_at: manifest.madeAt,
    entries: manifest.certificates.map((entry) => checkedEntry(entry, mandates, notBefore(entry))),
    mandates: [...mandates.values()],
  });
  if ('refused' in taken) {
    throw new Problem(
      'conflict',
      taken.refused,
      'Nothing of it was taken. Where no back-up was restored at the factory, treat the key of the line as stolen: `fleet-root distrust` cuts the line off.',
    );
  }
  await sweep(p, taken.line);
  return taken;
}

/** The path from a line's CA to a Fleet Root CA that counts in the account, the shortest. Throws `certificate_untrusted`. */
function pathOf(trust: AccountTrust, ca: Certificate, others: readonly Certificate[], now: number): Path {
  const untrusted = (rule: string) =>
    new Problem(
      'certificate_untrusted',
      `The line that signed the manifest counts for nothing here: ${rule}`,
      'Register the Fleet Root CA of the line with `fleet-root register`, or look whose manifest it is.',
    );
  if (trust.fault) throw untrusted(trust.fault.rule);
  const { basicConstraints, keyUsage } = ca.extensions;
  if (!basicConstraints?.ca || basicConstraints.pathLength !== 0 || !keyUsage?.has('keyCertSign')) {
    throw untrusted('its certificate is not that of a CA which signs for devices and for no further CAs (pathLen 0).');
  }
  const { paths, failure } = findPaths({
    leaf: ca,
    others: [...others, ...trust.intermediates],
    anchors: trust.anchors.filter(({ id }) => trust.roots.has(id)),
    now,
    tolerance: clockTolerance,
    excluded: new Set([...trust.disabled.keys(), ...trust.distrusted]),
  });
  const [path] = paths.toSorted((one, other) => one.certificates.length - other.certificates.length);
  if (!path) throw untrusted(failure?.rule ?? 'it leads to no Fleet Root CA of the account.');
  return path;
}

type KeptMandate = NewManifest['mandates'][number];

/** Those that were verified when they first came, by what was signed. */
async function knownMandates(
  { registry }: Importing,
  { account_id, id }: ManifestLine,
): Promise<ReadonlyMap<string, KeptMandate>> {
  const known = await manifestMandatesOf(registry.read, account_id, id);
  return new Map(
    known.map(({ account_id: _account, line_id: _line, used: _used, added_at: _at, ...mandate }) => [
      mandate.jws,
      mandate,
    ]),
  );
}

/** The mandates that a manifest carries, by their IDs: each signed by the CA above the line, for this line. */
async function mandatesOf(
  manifest: Manifest,
  path: Path,
  known: ReadonlyMap<string, KeptMandate>,
): Promise<ReadonlyMap<string, KeptMandate>> {
  const issuer = path.certificates[1]!;
  const mandates = new Map<string, KeptMandate>();
  for (const jws of manifest.mandates) {
    const mandate = known.get(jws) ?? keptMandate(await readMandate(jws, issuer.publicKey), manifest);
    mandates.set(mandate.id, mandate);
  }
  return mandates;
}

function keptMandate(mandate: Mandate, manifest: Manifest): KeptMandate {
  const { id, jws, quota, notAfter: not_after, device_id_pattern, order: order_name, line, name } = mandate;
  if (line !== manifest.line || name !== manifest.name) {
    throw new Problem('invalid_request', `The manifest carries the mandate ${id}, which is for another line.`);
  }
  // Refused now rather than at every certificate.
  matchesPattern(device_id_pattern, '');
  return { id, jws, quota, not_after, device_id_pattern, order_name };
}

function checkedEntry(
  entry: CertificateEntry,
  mandates: ReadonlyMap<string, KeptMandate>,
  notBefore: number,
): ManifestEntry {
  const { number, at, device_id, order, batch, station, mandate, tbs_sha256, public_key_sha256, evidence } = entry;
  const fault = faultOfDeviceId(device_id);
  if (fault) throw new Problem('invalid_request', `The entry ${number} of the manifest is of no device: ${fault}`);
  const of = `entry ${number}`;
  return {
    action: entry.action === 'certificate.make' ? 'make' : 'withdraw',
    number,
    at,
    tbs_sha256,
    public_key_sha256,
    device_id,
    order_name: checkedText(order, of),
    batch: batch === null ? null : checkedText(batch, of),
    station: checkedText(station, of),
    mandate_id: mandate,
    evidence: JSON.stringify(evidence),
    beyond: beyondOf(entry, mandates.get(mandate), notBefore),
  };
}

/**
 * What of its mandate does not cover a certificate. It was made at `notBefore` at the earliest: what an entry says of its own
 * time is the word of whoever has the line's key. Clocks apart: a line may be a little behind itself.
 */
function beyondOf(
  entry: CertificateEntry,
  mandate: KeptMandate | undefined,
  notBefore: number,
): ManifestEntry['beyond'] {
  if (!mandate) return 'mandate';
  if (mandate.order_name !== null && mandate.order_name !== entry.order) return 'order';
  if (!matchesPattern(mandate.device_id_pattern, entry.device_id)) return 'pattern';
  return notBefore > mandate.not_after + clockTolerance ? 'end' : null;
}

/** A name that becomes a label and stands in lists. */
function checkedText(text: string, where: string): string {
  if (text.isWellFormed() && text.trim() !== '' && !unseen.test(text)) return text;
  throw new Problem(
    'invalid_request',
    `The manifest has a name that is none (${where}): ${JSON.stringify(text.slice(0, 80))}.`,
  );
}

/** Looks through the devices that were here before the first manifest of their line. */
async function sweep({ registry }: Importing, { account_id }: ManifestLine): Promise<void> {
  for (const { id: line_id } of await unsweptLinesOf(registry.read, account_id)) {
    for (let left = true; left;) {
      ({ left } = await registry.write('sweepLine', { account_id, line_id, limit: devicesAtOnce }));
    }
  }
}
