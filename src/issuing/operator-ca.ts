// The CA of the operators' listener and the certificate under it, made by the server itself where none is given.

import { randomUUID } from 'node:crypto';

import type { Seal } from '../custody/seal.ts';
import type { OperatorCa, OperatorCertificate } from '../registry/api-tables.ts';
import { activeOperatorCa, operatorCertificateUnder } from '../registry/operator-tls.ts';
import type { Secret } from '../secret.ts';
import { parseCertificate } from '../x509/certificate.ts';
import type { Issuer, Recording } from './issuer.ts';
import { makeKeyPair } from './keys.ts';
import { makeCa, recordCa } from './new-ca.ts';
import { serverOwner } from './server-owner.ts';
import { readSigningCa } from './recorded-ca.ts';

/** What the operators' listener shows, and the CA that it is from. */
export interface OperatorChain {
  readonly ca: OperatorCa;
  readonly certificate: OperatorCertificate;
}

/**
 * The CA and the certificate as they should be now, for these hosts in canonical form: those recorded, or where there are
 * none, or the certificate is due or for other hosts, new ones. Throws Problem('custody_unavailable').
 */
export async function currentOperatorChain(
  issuer: Issuer,
  seal: Seal,
  hosts: readonly string[],
): Promise<OperatorChain> {
  const ca = (await activeOperatorCa(issuer.registry.read)) ?? (await makeOperatorCa(issuer));
  const recorded = await operatorCertificateUnder(issuer.registry.read, ca.id);
  if (recorded?.hosts === JSON.stringify(hosts) && !isDue(recorded, issuer.clock())) {
    return { ca, certificate: recorded };
  }
  return { ca, certificate: await issueOperatorCertificate(issuer, seal, ca, hosts) };
}

/** The certificate that was recorded last, whatever it is for; null where there is none. Asks no custodian. */
export async function recordedOperatorChain({ registry }: Issuer): Promise<OperatorChain | null> {
  const ca = await activeOperatorCa(registry.read);
  const certificate = ca && (await operatorCertificateUnder(registry.read, ca.id));
  return certificate ? { ca, certificate } : null;
}

/** A third of its life is left. */
function isDue({ created_at, not_after }: OperatorCertificate, now: number): boolean {
  return not_after - now < (not_after - created_at) / 3;
}

async function makeOperatorCa(issuer: Issuer): Promise<OperatorCa> {
  const made = await makeCa(issuer, serverOwner, 'operator_ca', { recording: recordingIn(issuer) });
  const { id, key, certificate } = made;
  const ca = {
    id,
    key_id: key.id,
    certificate: certificate.der,
    sha256: certificate.sha256,
    not_after: certificate.notAfter,
  };
  return recordCa(issuer, made, () => issuer.registry.write('recordOperatorCa', ca));
}

/** What was signed is recorded whole by whoever asked for it; of what came to nothing the intention stays in the audit log. */
function recordingIn({ registry }: Issuer): Recording {
  return {
    intend: ({ tbs_sha256, subject_name, public_key_sha256 }) =>
      registry.write('intendOperatorCertificate', { tbs_sha256, subject_name, public_key_sha256 }),
    complete: async () => {},
    abandon: async () => {},
  };
}

async function issueOperatorCertificate(
  issuer: Issuer,
  seal: Seal,
  operatorCa: OperatorCa,
  hosts: readonly string[],
): Promise<OperatorCertificate> {
  const id = randomUUID();
  const ca = await readSigningCa(issuer.registry.read, operatorCa);
  using pair = await makeKeyPair('p256');
  const request = { profile: 'operator', account: serverOwner, ca, publicKey: pair.publicKey, hosts } as const;
  const certificate = await issuer.issue(issuer.prepare(request), recordingIn(issuer));
  return await issuer.registry.write('recordOperatorCertificate', {
    id,
    operator_ca_id: operatorCa.id,
    certificate,
    sealed_key: seal.seal(pair.privateKey.reveal(), operatorKeyContext(id)),
    hosts: JSON.stringify(hosts),
    not_after: parseCertificate(certificate).notAfter,
  });
}

/** The private key of the listener's certificate, PKCS#8. Throws Problem('custody_unavailable'). */
export function openOperatorKey(seal: Seal, { id, sealed_key }: OperatorCertificate): Secret {
  return seal.open(sealed_key, operatorKeyContext(id));
}

/** What the key of the listener's certificate is called in the seal. */
export function operatorKeyContext(id: string): string {
  return `key of operator certificate ${id}`;
}
