// What the manifests of factories say of a certificate that leads to a Fleet Root CA, and whether it gets in by them. Pure.

import type { TrustedLine } from '../registry/fleet-root-cas.ts';
import { isHeld, type MadeCertificate } from '../registry/manifest-held.ts';
import type { Beyond } from '../registry/manifest-tables.ts';
import type { Path } from '../x509/path.ts';
import { formatInstant } from '../time.ts';
import type { AccountTrust } from './account-trust.ts';
import { refuse, type Refusal } from './refusal.ts';

/** What manifests say of one certificate. */
export interface ManifestWord {
  /** The line whose CA has issued it; null for another issuer. */
  readonly line: TrustedLine | null;
  /** What a manifest of that line holds of it, by its exact TBSCertificate, device ID and key; null for nothing. */
  readonly held: MadeCertificate | null;
}

/** A certificate that came and that the factory is to hear of: one it never made, or one that it has withdrawn. */
export interface Sighting {
  readonly kind: 'stranger' | 'withdrawn';
  readonly line_id: string;
}

/** Whether manifests have a say in an account at all: where none was imported and none is needed, none is looked for. */
export function asksManifests({ lines, roots }: Pick<AccountTrust, 'lines' | 'roots'>): boolean {
  return lines.length > 0 || [...roots.values()].some(({ admit }) => admit === 'manifest');
}

/**
 * What manifests say of a certificate with this device ID and key that a path leads from, and of whose TBSCertificate they
 * hold `made`. A line speaks for what its own CA has issued and for nothing else: what one that was broken into says of
 * another's certificates counts for nothing.
 */
export function wordOf(
  { lines }: Pick<AccountTrust, 'lines'>,
  path: Path,
  made: MadeCertificate | null,
  shown: Pick<MadeCertificate, 'device_id' | 'public_key_sha256'>,
): ManifestWord {
  const issuer = path.publicKeys[1];
  const line = lines.find(({ public_key_sha256 }) => public_key_sha256 === issuer) ?? null;
  return { line, held: line !== null && isHeld(made, { ...shown, line_id: line.id }) ? made : null };
}

/** What the factory is to hear of a certificate that came; null for one that its manifests hold, or that is of no line. */
export function sightingOf({ line, held }: ManifestWord): Sighting | null {
  if (line === null || (held !== null && held.withdrawn_at === null)) return null;
  return { kind: held === null ? 'stranger' : 'withdrawn', line_id: line.id };
}

/** Why a certificate that its factory has withdrawn gets in nowhere; null for another. */
export function refusalOfWithdrawn(deviceId: string, { line, held }: ManifestWord): Refusal | null {
  if (line === null || held === null || held.withdrawn_at === null) return null;
  const when = formatInstant(held.withdrawn_at);
  return refuse(
    'certificate_revoked',
    `This certificate of "${deviceId}" was withdrawn at the factory, by the line ${JSON.stringify(line.name)}, on ${when}.`,
    'Give the device the certificate that its line has made in the place of this one.',
  );
}

/** What a mandate does not cover, as the end of a sentence. */
const beyondWords: Readonly<Record<Beyond, string>> = {
  mandate: 'by no mandate of the Fleet Root',
  quota: 'beyond the quota of its mandate',
  order: 'for an order that its mandate is not for',
  pattern: 'with a device ID that its mandate does not allow',
  end: 'after the end of its mandate',
};

/**
 * Why a certificate that no manifest holds, or that was made beyond what the Fleet Root allowed (whoever has a line's key
 * signs its manifests too), does not get in by the path that admits it; null where it does. It does not where
 * the path contains the key of a Fleet Root CA that admits by manifest: as its end, or below one that has cross-certified it,
 * which is no way around it.
 */
export function refusalByManifest(
  { roots }: Pick<AccountTrust, 'roots'>,
  deviceId: string,
  path: Path,
  { line, held }: ManifestWord,
): Refusal | null {
  if (held !== null && held.beyond === null) return null;
  const keys = path.publicKeys.slice(1);
  const root = [...roots.values()].find(
    ({ admit, public_key_sha256 }) => admit === 'manifest' && keys.includes(public_key_sha256),
  );
  if (!root) return null;
  if (held !== null && held.beyond !== null) {
    return refuse(
      'certificate_not_in_manifest',
      `This certificate of "${deviceId}" was made by the line ${JSON.stringify(line?.name)} ${beyondWords[held.beyond]}.`,
      'Ask the line; where that was right, have the Fleet Root sign another mandate, and the device made anew.',
    );
  }
  if (line !== null) {
    return refuse(
      'certificate_not_in_manifest',
      `This certificate of "${deviceId}" was issued under the CA of the line ${JSON.stringify(line.name)}, and no manifest of that line holds it.`,
    );
  }
  return refuse(
    'certificate_not_in_manifest',
    `This certificate of "${deviceId}" was issued by no line of which there is a manifest, and the Fleet Root CA "${root.name}" admits nothing else.`,
  );
}
