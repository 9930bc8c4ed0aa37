// Certificates as remembered: what we are about to sign, what we signed, and what devices showed us.

import { requireTestAccount } from './accounts.ts';
import { issuanceNote } from './audit-notes.ts';
import { type Db, prepared, type Tx } from './database.ts';
import { certificateChanged } from './event-notes.ts';
import { Problem } from '../problem.ts';
import type { CertificateRecord } from './tables.ts';

/** What is known of a certificate before it is signed. */
export type Intention = Omit<
  CertificateRecord,
  'sha256' | 'state' | 'created_at' | 'first_used_at' | 'counted_use' | 'instance'
>;

/** An intention as it is recorded: when, by which process, and whether it has used up a use of a provisioning key. */
type Intended = Intention & Pick<CertificateRecord, 'created_at' | 'counted_use' | 'instance'>;

const insertIntended = prepared((db, given: Intended) =>
  db.insertInto('certificates').values({
    account_id: given.account_id,
    tbs_sha256: given.tbs_sha256,
    sha256: null,
    profile: given.profile,
    state: 'intended',
    serial: given.serial,
    public_key_sha256: given.public_key_sha256,
    not_before: given.not_before,
    not_after: given.not_after,
    device_uuid: given.device_uuid,
    subject_name: given.subject_name,
    fleet_root_ca_id: given.fleet_root_ca_id,
    provisioning_key_id: given.provisioning_key_id,
    der: given.der,
    created_at: given.created_at,
    first_used_at: null,
    reply: given.reply,
    counted_use: given.counted_use,
    instance: given.instance,
  }),
);

/** The profiles of certificates that are made for every account; all others are a test account's. */
const forEveryAccount = ['gateway', 'gateway_ca'];

/**
 * Records a certificate that is about to be signed: a power cut from here on leaves evidence. Throws
 * `provisioning_not_offered` for one that a production account must not have made here.
 */
export async function intendCertificate(
  tx: Tx,
  { certificate, counted_use = 0 }: { certificate: Intention; counted_use?: 0 | 1 },
): Promise<void> {
  if (!forEveryAccount.includes(certificate.profile)) await requireTestAccount(tx.db, certificate.account_id);
  await recordIntention(tx.db, { ...certificate, created_at: tx.now, counted_use, instance: tx.instance });
}

/** The same for who has seen that the account may have it made. */
export async function recordIntention(db: Db, intended: Intended): Promise<void> {
  await insertIntended(db, intended);
}

/** A certificate that has been signed: which one, its SHA-256, and the whole of it. */
export type Signed = Pick<CertificateRecord, 'account_id' | 'tbs_sha256' | 'der'> & { sha256: string };

const updateIntended = prepared((db, given: Signed) =>
  db
    .updateTable('certificates')
    .set({ state: 'current', sha256: given.sha256, der: given.der })
    .where('account_id', '=', given.account_id)
    .where('tbs_sha256', '=', given.tbs_sha256)
    .where('state', '=', 'intended')
    .returning([
      'account_id',
      'tbs_sha256',
      'sha256',
      'profile',
      'serial',
      'public_key_sha256',
      'not_before',
      'not_after',
      'device_uuid',
      'subject_name',
      'fleet_root_ca_id',
      'provisioning_key_id',
    ]),
);

/** What is told of a certificate that has been made: all but its bytes. */
export type IssuedCertificate = Awaited<ReturnType<typeof updateIntended>>[number];

/** Records that an intended certificate has been signed. Throws `conflict` when the intention is gone. */
export async function completeCertificate(tx: Tx, signed: Signed): Promise<IssuedCertificate> {
  const [completed] = await updateIntended(tx.db, signed);
  if (!completed) throw new Problem('conflict', 'The certificate that was being made has been withdrawn meanwhile.');
  // A device's is told of with its device (device-issuance.ts).
  if (completed.profile !== 'device') tx.audit(issuanceNote(completed));
  return completed;
}

/** Forgets an intention whose signature could not be made. */
export async function abandonCertificate(
  tx: Tx,
  { account_id, tbs_sha256 }: { account_id: string; tbs_sha256: string },
): Promise<void> {
  await tx.db
    .deleteFrom('certificates')
    .where('account_id', '=', account_id)
    .where('tbs_sha256', '=', tbs_sha256)
    .where('state', '=', 'intended')
    .execute();
}

const byTbs = prepared((db, given: { account_id: string; tbs_sha256: string }) =>
  db
    .selectFrom('certificates')
    .selectAll()
    .where('account_id', '=', given.account_id)
    .where('tbs_sha256', '=', given.tbs_sha256),
);

/** What is remembered of a certificate, by the SHA-256 of its TBSCertificate. */
export async function certificateByTbs(
  db: Db,
  account_id: string,
  tbs_sha256: string,
): Promise<CertificateRecord | undefined> {
  const [found] = await byTbs(db, { account_id, tbs_sha256 });
  return found;
}

/** The certificates of a device, newest first, intentions left out. */
export async function certificatesOf(db: Db, account_id: string, device_uuid: string): Promise<CertificateRecord[]> {
  return db
    .selectFrom('certificates')
    .selectAll()
    .where('account_id', '=', account_id)
    .where('device_uuid', '=', device_uuid)
    .where('state', '!=', 'intended')
    .orderBy('created_at', 'desc')
    .orderBy('tbs_sha256')
    .execute();
}

/**
 * Revokes one certificate of a device, named by the SHA-256 of the whole certificate or of its TBSCertificate (hex).
 * Throws `not_found` when no device has shown or been given it.
 */
export async function revokeCertificate(
  tx: Tx,
  { account_id, sha256 }: { account_id: string; sha256: string },
): Promise<CertificateRecord> {
  const digest = sha256.toLowerCase().replaceAll(':', '');
  const before = await tx.db
    .selectFrom('certificates')
    .selectAll()
    .where('account_id', '=', account_id)
    .where('profile', '=', 'device')
    .where('state', '!=', 'intended')
    .where((where) => where.or([where('sha256', '=', digest), where('tbs_sha256', '=', digest)]))
    .executeTakeFirst();
  if (!before) {
    throw new Problem(
      'not_found',
      `This account knows no device certificate ${digest}.`,
      '`certificate list ACCOUNT DEVICE` shows the certificates of a device with their SHA-256.',
    );
  }
  if (before.state === 'revoked') return before;
  const { state, tbs_sha256, subject_name: name } = before;
  await tx.db
    .updateTable('certificates')
    .set({ state: 'revoked' })
    .where('account_id', '=', account_id)
    .where('tbs_sha256', '=', tbs_sha256)
    .execute();
  if (before.device_uuid) await noteCertificateEnd(tx, account_id, before.device_uuid);
  tx.audit({
    action: 'certificate.revoke',
    account_id,
    object: { kind: 'certificate', id: tbs_sha256, name },
    before: { state },
    after: { state: 'revoked', device: before.device_uuid },
  });
  const device = { uuid: before.device_uuid, device_id: name };
  tx.event(certificateChanged(account_id, device, before, 'revoked'));
  if (before.device_uuid) tx.changed({ kind: 'device', account_id, device_uuid: before.device_uuid });
  return { ...before, state: 'revoked' };
}

/** Notes at a device when the certificate that it has now ends. */
async function noteCertificateEnd(tx: Tx, account_id: string, device_uuid: string): Promise<void> {
  await tx.db
    .updateTable('devices')
    .set((set) => ({
      certificate_not_after: set
        .selectFrom('certificates')
        .select((one) => one.fn.max('certificates.not_after').as('not_after'))
        .where('certificates.account_id', '=', account_id)
        .where('certificates.device_uuid', '=', device_uuid)
        .where('certificates.state', '=', 'current'),
    }))
    .where('account_id', '=', account_id)
    .where('uuid', '=', device_uuid)
    .execute();
}
