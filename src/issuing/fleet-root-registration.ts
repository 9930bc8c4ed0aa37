// Fleet Root CAs that a customer registers by their certificates alone, the intermediates under them, and distrust.

import { randomUUID } from 'node:crypto';

import { Problem } from '../problem.ts';
import { fleetRootCaByRef, trustOf, type Trust } from '../registry/fleet-root-cas.ts';
import { heldKeys } from '../registry/keys.ts';
import type { Account, DistrustedKey, FleetRootCa } from '../registry/tables.ts';
import type { Registry } from '../registry/writer.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import { readElement } from '../x509/der.ts';
import { commonName, parseName, sameName } from '../x509/name.ts';
import { readCaCertificates, readOneCertificate, requireIssuedUnder } from './ca-file.ts';
import { anchorRow } from './fleet-root-ca.ts';

/**
 * Registers a Fleet Root CA from a file (DER or PEM, as people have it) whose first certificate is the anchor and whose
 * others are intermediates under it. A certificate with the name and key of one that is there is added to that one.
 * `name` is what operators call it, its common name where null; `now` is in ms since 1970.
 * Throws Problem('certificate_unfit') with the reason, Problem('key_held_by_server'), Problem('conflict') for one that
 * is there already or that the account distrusts, Problem('name_taken'), Problem('invalid_request') for the name.
 */
export async function registerFleetRootCa(
  registry: Registry,
  account: Account,
  file: Uint8Array,
  { name, now }: { name: string | null; now: number },
): Promise<{ ca: FleetRootCa; intermediates: number; added: 'new' | 'certificate' }> {
  const [anchor, ...rest] = readCaCertificates(file, now);
  const others = rest.filter(({ sha256 }) => sha256 !== anchor!.sha256);
  requireIssuedUnder(others, [anchor!]);
  await requireNotHeld(registry, [anchor!, ...others]);
  const trust = await trustOf(registry.read, account.id);
  for (const certificate of [anchor!, ...others]) requireNotShutOut(trust, certificate);

  const identity = { subject: new Uint8Array(anchor!.subject.der), public_key_sha256: anchor!.publicKey.sha256 };
  const certificates = [anchor!, ...others].map((certificate) => certificateRow(identity, certificate));
  const same = trust.fleet_root_cas.find((ca) => isSame(ca, anchor!));
  if (same !== undefined) {
    requireNew(trust, same, anchor!);
    const rows = { account_id: account.id, fleet_root_ca_id: same.id, rows: certificates };
    const added = await registry.write('addFleetRootCertificates', rows);
    const intermediates = added.filter(({ role }) => role === 'intermediate').length;
    return { ca: same, intermediates, added: 'certificate' };
  }
  const ca = await registry.write('addFleetRootCa', {
    ca: {
      id: randomUUID(),
      account_id: account.id,
      name: name === null ? nameFor(anchor!, trust) : requireName(name),
      kind: 'registered',
      state: 'active',
      key_id: null,
      ...identity,
      successor_id: null,
    },
    certificates,
  });
  return { ca, intermediates: certificates.filter(({ role }) => role === 'intermediate').length, added: 'new' };
}

/**
 * Adds the intermediates in a file to a Fleet Root CA (its ID, name or SHA-256), for devices that send their leaf alone.
 * Gives how many were new. Throws as registerFleetRootCa does, and Problem('not_found').
 */
export async function addIntermediate(
  registry: Registry,
  account: Account,
  caRef: string,
  file: Uint8Array,
  { now }: { now: number },
): Promise<{ ca: FleetRootCa; added: number }> {
  const ca = await fleetRootCaByRef(registry.read, account.id, caRef);
  if (ca === undefined) {
    throw new Problem(
      'not_found',
      `This account has no Fleet Root CA ${caRef}.`,
      '`fleet-root list ACCOUNT` shows them.',
    );
  }
  const intermediates = readCaCertificates(file, now);
  const trust = await trustOf(registry.read, account.id);
  const known = trust.certificates.filter(({ fleet_root_ca_id }) => fleet_root_ca_id === ca.id);
  requireIssuedUnder(
    intermediates,
    known.map(({ certificate }) => parseCertificate(certificate)),
  );
  await requireNotHeld(registry, intermediates);
  for (const intermediate of intermediates) requireNotShutOut(trust, intermediate);
  const rows = {
    account_id: account.id,
    fleet_root_ca_id: ca.id,
    rows: intermediates.map((one) => certificateRow(ca, one)),
  };
  return { ca, added: (await registry.write('addFleetRootCertificates', rows)).length };
}

/**
 * The public key (SHA-256, hex) of the one certificate in a file, with that, as it is to be distrusted in an account.
 * Throws Problem('certificate_unfit').
 */
export function readDistrusted(account: Account, file: Uint8Array): Omit<DistrustedKey, 'added_at'> {
  const { publicKey, der } = readOneCertificate(file);
  return { account_id: account.id, public_key_sha256: publicKey.sha256, certificate: new Uint8Array(der) };
}

/** Ends the distrust of the key of the one certificate in a file. Gives the key's SHA-256 (hex). Throws Problem('certificate_unfit'), Problem('not_found'). */
export async function trust(registry: Registry, account: Account, file: Uint8Array): Promise<string> {
  const public_key_sha256 = readOneCertificate(file).publicKey.sha256;
  await registry.write('trustKey', { account_id: account.id, public_key_sha256 });
  return public_key_sha256;
}

/** Generation and validation are kept by separate parties: whose key is here must not be registered to be trusted. */
async function requireNotHeld(registry: Registry, certificates: readonly Certificate[]): Promise<void> {
  const held = await heldKeys(
    registry.read,
    certificates.map(({ publicKey }) => publicKey.sha256),
  );
  const found = certificates.find(({ publicKey }) => held.has(publicKey.sha256));
  if (found === undefined) return;
  throw new Problem(
    'key_held_by_server',
    `This server holds, or has held, the private key of ${found.subject.text}.`,
    'A Fleet Root CA that is registered has its key in your own infrastructure.',
  );
}

/** A key that no path may contain would only seem to be trusted. */
function requireNotShutOut({ distrusted_keys, fleet_root_cas }: Trust, { publicKey, subject }: Certificate): void {
  if (distrusted_keys.some(({ public_key_sha256 }) => public_key_sha256 === publicKey.sha256)) {
    throw new Problem('conflict', `The account distrusts the key of ${subject.text}.`, '`fleet-root trust` ends that.');
  }
  const disabled = fleet_root_cas.find((ca) => ca.state === 'disabled' && ca.public_key_sha256 === publicKey.sha256);
  if (disabled !== undefined) {
    throw new Problem(
      'conflict',
      `The key of ${subject.text} is that of the Fleet Root CA ${JSON.stringify(disabled.name)}, which is disabled.`,
      '`fleet-root activate` ends that.',
    );
  }
}

/** What makes a Fleet Root CA the one that it is: a name and a public key. */
type Identity = Pick<FleetRootCa, 'subject' | 'public_key_sha256'>;

/** Names as RFC 5280 §7.1 compares them. */
function isSame(ca: Identity, { subject, publicKey }: Certificate): boolean {
  return (
    ca.public_key_sha256 === publicKey.sha256 && sameName(parseName(readElement(Buffer.from(ca.subject))), subject)
  );
}

/** A further certificate of the Fleet Root CA itself is one more anchor, wherever it stands; any other an intermediate. */
function certificateRow(ca: Identity, certificate: Certificate) {
  return { ...anchorRow(certificate), role: isSame(ca, certificate) ? ('anchor' as const) : ('intermediate' as const) };
}

function requireNew(trust: Trust, { name }: FleetRootCa, { sha256 }: Certificate): void {
  if (!trust.certificates.some((one) => one.role === 'anchor' && one.sha256 === sha256)) return;
  throw new Problem(
    'conflict',
    `The account has this certificate already, as ${JSON.stringify(name)}.`,
    '`fleet-root add-intermediate` adds intermediates to it.',
  );
}

/** A CA is also named by its ID or its SHA-256, so that a name must look like neither. */
function requireName(name: string): string {
  if (isName(name)) return name;
  throw new Problem(
    'invalid_request',
    'The name of a Fleet Root CA has 1 to 64 visible characters, and is shaped neither like a UUID nor like a SHA-256.',
  );
}

const nameLimit = 64;
const idShaped = /^(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?:[0-9a-f]{2}:?){32})$/i;

function isName(name: string): boolean {
  return name.length <= nameLimit && /^(?! )[\p{L}\p{M}\p{N}\p{P}\p{S} ]+(?<! )$/u.test(name) && !idShaped.test(name);
}

/** Its common name where that can be a name, with a number behind it where it is taken. */
function nameFor({ subject }: Certificate, { fleet_root_cas }: Trust): string {
  const own = subject.attributes.find(({ type }) => type === commonName)?.value ?? '';
  const wanted = isName(own) ? own : 'Fleet Root CA';
  const taken = new Set(fleet_root_cas.map(({ name }) => name));
  let name = wanted;
  for (let n = 2; taken.has(name); n += 1) name = `${wanted.slice(0, nameLimit - 5)} ${n}`;
  return name;
}
