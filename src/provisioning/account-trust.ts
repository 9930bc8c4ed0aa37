// What an account trusts, parsed: its Fleet Root CAs, its provisioning CA, and the keys that count for nothing.

import { type Trust, type TrustedLine, trustOf } from '../registry/fleet-root-cas.ts';
import type { Account, FleetRootCa } from '../registry/tables.ts';
import { type Certificate, CertificateError, parseCertificate } from '../x509/certificate.ts';
import type { Anchor } from '../x509/path.ts';
import { faultOfPlace, isFault, type Known, ownerStanding } from './owner-standing.ts';
import { type AcceptedSet, type Fault, keyOf, narrowest, type OwnerTrust } from './owner-trust.ts';

/** The trust anchors of an account at one instant; whoever keeps it forgets it at the next change. */
export interface AccountTrust {
  readonly account: Account;
  /** Why nobody at all is trusted; null where the rest counts. */
  readonly fault: Fault | null;
  readonly roots: ReadonlyMap<string, FleetRootCa>;
  /** The rows of the same, as they stand: what is recorded of a device rests on them. */
  readonly rows: ReadonlyMap<string, FleetRootCa>;
  /** The certificates of the Fleet Root CAs and of the provisioning CA; an anchor's ID is that of its CA. */
  readonly anchors: readonly Anchor[];
  readonly provisioningCaId: string | null;
  readonly intermediates: readonly Certificate[];
  /** Disabled Fleet Root CAs by the SHA-256 of their public key. */
  readonly disabled: ReadonlyMap<string, Pick<FleetRootCa, 'name'>>;
  /** SHA-256 of distrusted public keys. */
  readonly distrusted: ReadonlySet<string>;
  /** Factory lines of which manifests have been imported. */
  readonly lines: readonly TrustedLine[];
}

/** Reads and parses what an account trusts; where its owner signs that, what the owner has signed, and no row beside it. */
export async function loadAccountTrust(known: Known, account: Account): Promise<AccountTrust> {
  const standing = (await faultOfPlace(known, account)) ?? (await ownerStanding(known, account));
  if (standing !== null && isFault(standing)) return trustInNobody(account, standing);
  const trust = await trustOf(known.registry.read, account.id);
  return standing === null ? trustOfRows(account, trust) : trustOfOwner(account, trust, standing);
}

/**
 * The same for a dry run: where what is in the rows cannot be read, nobody is trusted, and what shuts out is not kept from
 * doing so.
 */
export async function loadReadableTrust(known: Known, account: Account): Promise<AccountTrust> {
  try {
    return await loadAccountTrust(known, account);
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    const rule = 'What the registry has of the account cannot be read.';
    return trustInNobody(account, { rule, remedy: 'Restore the registry from a back-up.' });
  }
}

/** What an account with an owner would trust if the owner had signed this set, and these narrowings were in force. */
export async function supposeOwnerTrust({ registry }: Known, account: Account, signed: Signed): Promise<AccountTrust> {
  return trustOfOwner(account, await trustOf(registry.read, account.id), signed);
}

function trustOfRows(account: Account, trust: Trust): AccountTrust {
  const { fleet_root_cas, certificates, distrusted_keys, provisioning_ca, lines } = trust;
  const anchors: Anchor[] = certificates
    .filter(({ role }) => role === 'anchor')
    .map((row) => ({ id: row.fleet_root_ca_id, certificate: parseCertificate(row.certificate) }));
  if (provisioning_ca) {
    anchors.push({ id: provisioning_ca.id, certificate: parseCertificate(provisioning_ca.certificate) });
  }
  const disabled = fleet_root_cas.filter((root) => root.state === 'disabled');
  const roots = new Map(fleet_root_cas.map((root) => [root.id, root]));
  return {
    account,
    fault: null,
    roots,
    rows: roots,
    anchors,
    provisioningCaId: provisioning_ca?.id ?? null,
    intermediates: intermediatesOf(trust),
    disabled: new Map(disabled.map((root) => [root.public_key_sha256, root])),
    distrusted: new Set(distrusted_keys.map((row) => row.public_key_sha256)),
    lines,
  };
}

function intermediatesOf({ certificates }: Trust): Certificate[] {
  return certificates.filter(({ role }) => role === 'intermediate').map((row) => parseCertificate(row.certificate));
}

/** Those that can be read: a row that is none proves nothing either way, and is no reason to refuse everybody. */
function readableIntermediatesOf({ certificates }: Trust): Certificate[] {
  return certificates.flatMap(({ role, certificate }) => {
    if (role !== 'intermediate') return [];
    try {
      return [parseCertificate(certificate)];
    } catch (error) {
      if (!(error instanceof CertificateError)) throw error;
      return [];
    }
  });
}

/** What of an owner's word decides whom an account trusts. */
interface Signed extends Pick<OwnerTrust, 'narrowings'> {
  readonly accepted: Pick<AcceptedSet, 'set'> | null;
}

/**
 * Fleet Root CAs and their certificates are those that the owner has signed; rows and narrowings only take away from
 * them. Intermediates may be anybody's: they help to find a path to what is signed.
 */
function trustOfOwner(account: Account, trust: Trust, { accepted, narrowings }: Signed): AccountTrust {
  const rows = new Map(trust.fleet_root_cas.map((row) => [row.id, row]));
  const signed = new Map((accepted?.set.fleet_root_cas ?? []).map((root) => [root.id, root]));
  const roots = new Map<string, FleetRootCa>();
  const anchors: Anchor[] = [];
  const disabled = new Map<string, Pick<FleetRootCa, 'name'>>();
  for (const row of rows.values()) {
    const root = signed.get(row.id);
    if (!root) {
      if (narrowest(narrowings, row, row.state) === 'disabled') disabled.set(row.public_key_sha256, row);
      continue;
    }
    const identity = { id: root.id, name: root.name, public_key_sha256: keyOf(root) };
    const state = narrowest(narrowings, identity, root.state, row.state);
    const subject = new Uint8Array(root.certificates[0]!.subject.der);
    roots.set(root.id, { ...row, ...identity, subject, kind: 'registered', key_id: null, state });
    for (const certificate of root.certificates) anchors.push({ id: root.id, certificate });
    if (state === 'disabled') disabled.set(identity.public_key_sha256, root);
  }
  for (const root of signed.values()) if (root.state === 'disabled') disabled.set(keyOf(root), root);
  for (const { kind, fleet_root_ca, public_key_sha256 } of narrowings) {
    if (kind !== 'disable' || disabled.has(public_key_sha256)) continue;
    disabled.set(public_key_sha256, {
      name: rows.get(fleet_root_ca ?? '')?.name ?? fleet_root_ca ?? public_key_sha256,
    });
  }
  return {
    account,
    fault: null,
    roots,
    rows,
    anchors,
    provisioningCaId: null,
    intermediates: readableIntermediatesOf(trust),
    disabled,
    distrusted: new Set([
      ...(accepted?.set.distrusted_keys ?? []).map(({ publicKey }) => publicKey.sha256),
      ...trust.distrusted_keys.map((row) => row.public_key_sha256),
      ...narrowings.filter(({ kind }) => kind === 'distrust').map((each) => each.public_key_sha256),
    ]),
    lines: trust.lines,
  };
}

function trustInNobody(account: Account, fault: Fault): AccountTrust {
  return {
    account,
    fault,
    roots: new Map(),
    rows: new Map(),
    anchors: [],
    provisioningCaId: null,
    intermediates: [],
    disabled: new Map(),
    distrusted: new Set(),
    lines: [],
  };
}
