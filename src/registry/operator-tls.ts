// The CA of the operators' listener, and the certificate that it shows: the server's own, of no account.

import type { OperatorCa, OperatorCertificate } from './api-tables.ts';
import type { Intention } from './certificates.ts';
import type { Db, Tx } from './database.ts';
import { requireLivingMasterKey } from './sealed-values.ts';

/**
 * Notes that a certificate of the server's own is about to be signed: `certificates` has those of accounts alone, and a
 * power cut from here on leaves this as evidence.
 */
export async function intendOperatorCertificate(
  tx: Tx,
  { tbs_sha256, subject_name, public_key_sha256 }: Pick<Intention, 'tbs_sha256' | 'subject_name' | 'public_key_sha256'>,
): Promise<void> {
  tx.audit({
    action: 'operator_certificate.intend',
    account_id: null,
    object: { kind: 'operator_certificate', id: tbs_sha256, name: subject_name },
    after: { public_key_sha256 },
  });
}

/** Records a CA of the operators' listener; the one before it is retired. */
export async function recordOperatorCa(tx: Tx, ca: Omit<OperatorCa, 'state' | 'created_at'>): Promise<OperatorCa> {
  await tx.db.updateTable('operator_cas').set({ state: 'retired' }).where('state', '=', 'active').execute();
  tx.audit({
    action: 'operator_ca.create',
    account_id: null,
    object: { kind: 'operator_ca', id: ca.id, name: null },
    after: { sha256: ca.sha256, not_after: new Date(ca.not_after).toISOString() },
  });
  return tx.db
    .insertInto('operator_cas')
    .values({ ...ca, state: 'active', created_at: tx.now })
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Records what the listener shows from now on. The earlier one under its CA goes, and its key with it. */
export async function recordOperatorCertificate(
  tx: Tx,
  certificate: Omit<OperatorCertificate, 'created_at'>,
): Promise<OperatorCertificate> {
  const { operator_ca_id, hosts, not_after } = certificate;
  await requireLivingMasterKey(tx.db, certificate.sealed_key);
  await tx.db.deleteFrom('operator_certificates').where('operator_ca_id', '=', operator_ca_id).execute();
  tx.audit({
    action: 'operator_certificate.issue',
    account_id: null,
    object: { kind: 'operator_certificate', id: certificate.id, name: null },
    after: { operator_ca: operator_ca_id, hosts: JSON.parse(hosts), not_after: new Date(not_after).toISOString() },
  });
  return tx.db
    .insertInto('operator_certificates')
    .values({ ...certificate, created_at: tx.now })
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** The CA that signs for the operators' listener. */
export async function activeOperatorCa(db: Db): Promise<OperatorCa | undefined> {
  return db.selectFrom('operator_cas').selectAll().where('state', '=', 'active').executeTakeFirst();
}

/** The certificate that the listener shows, of those under a CA. */
export async function operatorCertificateUnder(
  db: Db,
  operator_ca_id: string,
): Promise<OperatorCertificate | undefined> {
  return db
    .selectFrom('operator_certificates')
    .selectAll()
    .where('operator_ca_id', '=', operator_ca_id)
    .executeTakeFirst();
}
