// The set that operators wish for: drawn from the rows for the owner to sign, with what it would change.

import { Problem } from '../problem.ts';
import { type Trust, trustOf } from '../registry/fleet-root-cas.ts';
import type { Account } from '../registry/tables.ts';
import { type Certificate, CertificateError, parseCertificate } from '../x509/certificate.ts';
import type { Known } from './owner-standing.ts';
import { carries, compareStates, type OwnerTrust } from './owner-trust.ts';
import type { Pin } from './trust-file.ts';
import type { NarrowingRecord, SignedRoot, TrustSet } from './trust-set.ts';

/** One difference between what is signed and what is wished. */
export interface Difference {
  readonly change: 'new' | 'gone' | 'wider' | 'narrower' | 'renamed';
  /** One sentence. */
  readonly what: string;
}

/** What is wished, and how it differs from what is signed; where nothing does, there is nothing to sign. */
export interface WishedSet {
  readonly set: TrustSet;
  readonly differences: readonly Difference[];
}

/**
 * Draws the set that the rows of an account wish for, to come after the one that this node has accepted. It lifts each
 * narrowing in force that the wish does not carry. `now` in milliseconds since 1970.
 */
export async function drawWishedSet(
  { registry }: Known,
  account: Account,
  pin: Pin,
  { accepted, narrowings }: Pick<OwnerTrust, 'accepted' | 'narrowings'>,
  now: number,
): Promise<WishedSet> {
  const trust = await trustOf(registry.read, account.id);
  const wish = {
    fleet_root_cas: trust.fleet_root_cas.map(({ id, name, state }) => ({ id, name, state, ...anchorsOf(trust, id) })),
    distrusted_keys: trust.distrusted_keys.map(certificateOf),
  };
  const set: TrustSet = {
    account: { id: account.id, name: account.name },
    number: (pin.set?.number ?? 0) + 1,
    drawn_at: new Date(now).toISOString(),
    previous_sha256: pin.set?.sha256 ?? null,
    ...wish,
    lifts: narrowings.filter((narrowing) => !carries(wish, narrowing)),
  };
  return { set, differences: differencesOf(accepted?.set ?? null, set, narrowings) };
}

function anchorsOf({ certificates }: Trust, id: string): Pick<SignedRoot, 'certificates'> {
  const own = certificates.filter((row) => row.fleet_root_ca_id === id && row.role === 'anchor');
  if (own.length === 0) throw damaged();
  return { certificates: own.map(certificateOf) };
}

function certificateOf({ certificate }: { certificate: Uint8Array }): Certificate {
  try {
    return parseCertificate(certificate);
  } catch (error) {
    if (error instanceof CertificateError) throw damaged();
    throw error;
  }
}

function damaged(): Problem {
  return new Problem(
    'conflict',
    'A Fleet Root CA or distrusted key of the account has no certificate in the registry that could be signed.',
    'Somebody has changed the registry: find out who, and restore it from a back-up.',
  );
}

function differencesOf(
  before: TrustSet | null,
  { fleet_root_cas, distrusted_keys, lifts }: TrustSet,
  narrowings: readonly NarrowingRecord[],
): Difference[] {
  const signed = new Map((before?.fleet_root_cas ?? []).map((root) => [root.id, root]));
  const wished = new Set(fleet_root_cas.map(({ id }) => id));
  const nameOf = (id: string | null): string => fleet_root_cas.find((root) => root.id === id)?.name ?? String(id);
  const keysBefore = new Set((before?.distrusted_keys ?? []).map(({ publicKey }) => publicKey.sha256));
  const keys = new Set(distrusted_keys.map(({ publicKey }) => publicKey.sha256));
  return [
    ...fleet_root_cas.flatMap((root) => {
      const was = signed.get(root.id);
      return was ? differencesOfRoot(was, root, narrowings) : [newRoot(root)];
    }),
    ...[...signed.values()].filter(({ id }) => !wished.has(id)).map(({ name }) => gone(`The ${named(name)}.`)),
    ...distrusted_keys
      .filter(({ publicKey }) => !keysBefore.has(publicKey.sha256))
      .map(({ publicKey, subject }) => narrower(`The key ${publicKey.sha256} (${subject.text}) is distrusted.`)),
    ...(before?.distrusted_keys ?? [])
      .filter(({ publicKey }) => !keys.has(publicKey.sha256))
      .map(({ publicKey, subject }) => wider(`The key ${publicKey.sha256} (${subject.text}) is distrusted no more.`)),
    ...lifts.map((each) => wider(`${sentenceOf(each, nameOf(each.fleet_root_ca))} is lifted.`)),
  ];
}

/** What was narrowed, as the beginning of a sentence. */
export function sentenceOf({ kind, public_key_sha256, at }: NarrowingRecord, name: string): string {
  const what = kind === 'distrust' ? `the key ${public_key_sha256}` : `the ${named(name)}`;
  return `The ${kind} of ${what} at ${at}`;
}

function differencesOfRoot(was: SignedRoot, root: SignedRoot, narrowings: readonly NarrowingRecord[]): Difference[] {
  const differences: Difference[] = [];
  const compared = compareStates(root.state, was.state);
  const states = `The ${named(root.name)}: ${was.state} becomes ${root.state}`;
  const inForce = narrowings.some((each) => each.fleet_root_ca === root.id);
  if (compared > 0) differences.push(narrower(`${states}${inForce ? ', which acts already' : ''}.`));
  if (compared < 0) differences.push(wider(`${states}.`));
  if (was.name !== root.name)
    differences.push({ change: 'renamed', what: `The ${named(was.name)} is called ${JSON.stringify(root.name)}.` });
  const known = new Set(was.certificates.map(({ sha256 }) => sha256));
  const wished = new Set(root.certificates.map(({ sha256 }) => sha256));
  for (const { sha256, notAfter } of root.certificates.filter((each) => !known.has(each.sha256))) {
    const until = new Date(notAfter).toISOString();
    differences.push(wider(`The ${named(root.name)} has the further certificate ${sha256}, until ${until}.`));
  }
  for (const { sha256 } of was.certificates.filter((each) => !wished.has(each.sha256))) {
    differences.push(gone(`The certificate ${sha256} of the ${named(root.name)}.`));
  }
  return differences;
}

function newRoot({ id, name, state, certificates }: SignedRoot): Difference {
  const shown = certificates.map(({ subject, sha256 }) => `${subject.text}, SHA-256 ${sha256}`).join('; ');
  return { change: 'new', what: `The ${named(name)} (${id}), ${state}: ${shown}.` };
}

const named = (name: string): string => `Fleet Root CA ${JSON.stringify(name)}`;
const wider = (what: string): Difference => ({ change: 'wider', what });
const narrower = (what: string): Difference => ({ change: 'narrower', what });
const gone = (what: string): Difference => ({ change: 'gone', what });
