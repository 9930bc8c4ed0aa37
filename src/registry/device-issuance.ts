// The making of a device's certificate as a sequence of records: begun, completed or abandoned, its reply settled.

import { randomUUID } from 'node:crypto';
import { issuanceNote } from './audit-notes.ts';
import { completeCertificate, type Intention, intendCertificate, type Signed } from './certificates.ts';
import type { Tx } from './database.ts';
import { deviceById } from './devices.ts';
import { deviceAdded, deviceKeyChanged, devicePending, deviceProvisioned } from './event-notes.ts';
import { labelNewcomer } from './labels.ts';
import { Problem } from '../problem.ts';
import type { CertificateRecord, Device, ReplyState } from './tables.ts';
import { isAllowed } from './allow-list.ts';
import { requireProvisioningKey } from './provisioning-keys.ts';

/** How long the same provisioning key may ask again after a lost reply, in milliseconds. */
const retryWindow = 10 * 60 * 1000;

const taken = (device_id: string): Problem =>
  new Problem(
    'device_already_registered',
    `The device ID "${device_id}" is taken in this account.`,
    '`device reprovision` lets a wiped device with this ID in once more; another device needs another ID.',
  );

/**
 * Reserves the device ID, counts the use of the provisioning key and records the certificate about to be signed,
 * all or nothing: of parallel requests exactly as many begin as the key has uses.
 * Throws `device_already_registered`, `provisioning_key_*`, `fleet_root_ca_closed`, `fleet_root_ca_disabled`,
 * `device_id_not_allowed` or `provisioning_not_offered`.
 */
export async function beginIssuance(
  tx: Tx,
  { certificate }: { certificate: Omit<Intention, 'device_uuid' | 'reply'> },
): Promise<{ device_uuid: string }> {
  const { account_id, subject_name: device_id } = certificate;
  const key = await requireProvisioningKey(tx.db, account_id, certificate.provisioning_key_id ?? '');
  if (key.disabled_at !== null) throw new Problem('provisioning_key_disabled');
  if (key.not_after < tx.now) throw new Problem('provisioning_key_expired');
  if (certificate.fleet_root_ca_id !== null) await requireActive(tx, account_id, certificate.fleet_root_ca_id);

  const device = await deviceById(tx.db, account_id, device_id);
  const standing = device ? await standingOf(tx, device, key.id) : 'new';
  if (device?.reprovision_until != null && standing !== 'reprovision') await endReprovisioning(tx, device);
  if (standing === 'taken') throw taken(device_id);
  const counted_use = standing === 'retry' ? 0 : 1;
  if (counted_use) await countUse(tx, account_id, key.id);

  const device_uuid = device?.uuid ?? (await insertNewcomer(tx, certificate));
  await intendCertificate(tx, { certificate: { ...certificate, device_uuid, reply: 'open' }, counted_use });
  return { device_uuid };
}

/** The key that was made for the device meanwhile may have taken seconds: a word of the operator in between counts. */
async function requireActive(tx: Tx, account_id: string, fleet_root_ca_id: string): Promise<void> {
  const root = await tx.db
    .selectFrom('fleet_root_cas')
    .select(['name', 'state'])
    .where('account_id', '=', account_id)
    .where('id', '=', fleet_root_ca_id)
    .executeTakeFirst();
  if (!root || root.state === 'active') return;
  const code = root.state === 'closed' ? 'fleet_root_ca_closed' : 'fleet_root_ca_disabled';
  throw new Problem(code, `The Fleet Root CA "${root.name}" is ${root.state}.`);
}

/** Whether a known device ID may be given a certificate (once more), and if so why. */
async function standingOf(
  tx: Tx,
  device: Device,
  provisioning_key_id: string,
): Promise<'reprovision' | 'retry' | 'taken'> {
  const certificates = await tx.db
    .selectFrom('certificates')
    .selectAll()
    .where('account_id', '=', device.account_id)
    .where('device_uuid', '=', device.uuid)
    .where('state', '!=', 'revoked')
    .execute();
  if (certificates.some((certificate) => certificate.state === 'intended')) return 'taken';
  if (device.reprovision_until !== null && device.reprovision_until >= tx.now) return 'reprovision';
  if (device.provisioning_key_id !== provisioning_key_id) return 'taken';
  return certificates.length > 0 && certificates.every((each) => replyWasLost(each, tx.now)) ? 'retry' : 'taken';
}

/** A reply counts as lost only where its device has not connected, and for the retry window only. */
function replyWasLost(certificate: CertificateRecord, now: number): boolean {
  return (
    certificate.reply === 'lost' && certificate.first_used_at === null && certificate.created_at >= now - retryWindow
  );
}

async function endReprovisioning(tx: Tx, device: Device): Promise<void> {
  await tx.db
    .updateTable('devices')
    .set({ reprovision_until: null })
    .where('account_id', '=', device.account_id)
    .where('uuid', '=', device.uuid)
    .execute();
}

async function countUse(tx: Tx, account_id: string, provisioning_key_id: string): Promise<void> {
  const counted = await tx.db
    .updateTable('provisioning_keys')
    .set((set) => ({ uses: set('uses', '+', 1) }))
    .where('account_id', '=', account_id)
    .where('id', '=', provisioning_key_id)
    .where((where) => where.or([where('max_uses', 'is', null), where('uses', '<', where.ref('max_uses'))]))
    .returning(['id', 'description', 'uses', 'max_uses'])
    .executeTakeFirst();
  if (!counted) throw new Problem('provisioning_key_exhausted');
  const { description, uses, max_uses } = counted;
  if (uses === max_uses) {
    const data = { provisioning_key: provisioning_key_id, description, max_uses };
    tx.event({ type: 'provisioning_key.exhausted', account_id, data });
  }
}

async function insertNewcomer(tx: Tx, certificate: Omit<Intention, 'device_uuid' | 'reply'>): Promise<string> {
  const { account_id, subject_name: device_id } = certificate;
  const account = await tx.db
    .selectFrom('accounts')
    .select(['admission', 'kind'])
    .where('id', '=', account_id)
    .executeTakeFirstOrThrow();
  if (account.kind !== 'test' || certificate.fleet_root_ca_id === null) throw new Problem('provisioning_not_offered');
  if (account.admission === 'allow-list' && !(await isAllowed(tx.db, account_id, device_id))) {
    throw new Problem(
      'device_id_not_allowed',
      `The device ID "${device_id}" is not on the account's allow-list.`,
      'Import it with `allow-list import`.',
    );
  }
  const uuid = randomUUID();
  await tx.db
    .insertInto('devices')
    .values({
      uuid,
      account_id,
      device_id,
      state: account.admission === 'approval' ? 'pending' : 'active',
      method: 'shared',
      fleet_root_ca_id: certificate.fleet_root_ca_id,
      provisioning_key_id: certificate.provisioning_key_id,
      allowed_root_id: null,
      reprovision_until: null,
      first_seen: tx.now,
      last_seen: null,
    })
    .execute();
  await labelNewcomer(tx.db, { account_id, uuid, device_id });
  return uuid;
}

/**
 * Records the signed certificate; whatever else the device had (a lost reply's, a wiped device's) is revoked.
 * Throws `device_already_registered` when the device of a lost reply has connected after all.
 */
export async function completeIssuance(tx: Tx, args: Signed): Promise<void> {
  const completed = await completeCertificate(tx, args);
  const device = await tx.db
    .selectFrom('devices')
    .selectAll()
    .where('account_id', '=', args.account_id)
    .where('uuid', '=', completed.device_uuid)
    .executeTakeFirst();
  if (!device) throw new Problem('conflict', 'The device was deleted while its certificate was being made.');

  const earlier = await tx.db
    .updateTable('certificates')
    .set({ state: 'revoked' })
    .where('account_id', '=', args.account_id)
    .where('device_uuid', '=', device.uuid)
    .where('tbs_sha256', '!=', args.tbs_sha256)
    .where('state', '!=', 'revoked')
    .returning(['first_used_at'])
    .execute();
  const reprovisioned = device.reprovision_until !== null;
  if (!reprovisioned && earlier.some((certificate) => certificate.first_used_at !== null)) {
    throw taken(device.device_id);
  }
  const provisionedAnew = {
    reprovision_until: null,
    method: 'shared' as const,
    provisioning_key_id: completed.provisioning_key_id,
    fleet_root_ca_id: completed.fleet_root_ca_id ?? device.fleet_root_ca_id,
    allowed_root_id: null,
  };
  await tx.db
    .updateTable('devices')
    // It comes from the Fleet Root CA itself: no chain leads to it.
    .set({ certificate_not_after: completed.not_after, chain_id: null, ...(reprovisioned && provisionedAnew) })
    .where('account_id', '=', args.account_id)
    .where('uuid', '=', device.uuid)
    .execute();
  const told = { device: device.uuid, state: device.state, reprovisioned, certificates_revoked: earlier.length };
  tx.audit(issuanceNote(completed, told));
  tellOfIssuance(tx, device, completed, reprovisioned || earlier.length > 0);
  tx.changed({ kind: 'device', account_id: args.account_id, device_uuid: device.uuid });
}

/** Here, and not where the ID was reserved: what is abandoned was never there, and one insert tells of it all. */
function tellOfIssuance(tx: Tx, device: Device, completed: CertificateRecord, again: boolean): void {
  if (again) tx.event(deviceKeyChanged(device, completed.public_key_sha256));
  else tx.event(deviceAdded(device, completed));
  tx.event(deviceProvisioned(device, completed, again));
  if (device.state === 'pending' && !again) tx.event(devicePending(device, 'device', completed));
}

/** Undoes a beginning whose certificate was not made: the ID is free again and the use given back. */
export async function abandonIssuance(
  tx: Tx,
  { account_id, tbs_sha256 }: { account_id: string; tbs_sha256: string },
): Promise<void> {
  const intended = await tx.db
    .deleteFrom('certificates')
    .where('account_id', '=', account_id)
    .where('tbs_sha256', '=', tbs_sha256)
    .where('state', '=', 'intended')
    .returningAll()
    .executeTakeFirst();
  if (!intended?.device_uuid) return;
  const { device_uuid, provisioning_key_id } = intended;
  const other = await tx.db
    .selectFrom('certificates')
    .select('tbs_sha256')
    .where('account_id', '=', account_id)
    .where('device_uuid', '=', device_uuid)
    .executeTakeFirst();
  if (!other) {
    await tx.db.deleteFrom('devices').where('account_id', '=', account_id).where('uuid', '=', device_uuid).execute();
  }
  if (intended.counted_use) {
    await tx.db
      .updateTable('provisioning_keys')
      .set((set) => ({ uses: set('uses', '-', 1) }))
      .where('account_id', '=', account_id)
      .where('id', '=', provisioning_key_id)
      .execute();
  }
}

/** Records what became of the reply that carried a certificate. */
export async function settleReply(
  tx: Tx,
  { account_id, tbs_sha256, reply }: { account_id: string; tbs_sha256: string; reply: Exclude<ReplyState, 'open'> },
): Promise<void> {
  await tx.db
    .updateTable('certificates')
    .set({ reply })
    .where('account_id', '=', account_id)
    .where('tbs_sha256', '=', tbs_sha256)
    .where('reply', '=', 'open')
    .execute();
}

/** At the start: what a killed server was making is abandoned, and replies it left open count as lost. */
export async function settleInterrupted(tx: Tx, _args: Record<string, never>): Promise<{ abandoned: number }> {
  const intended = await tx.db
    .selectFrom('certificates')
    .select(['account_id', 'tbs_sha256'])
    .where('state', '=', 'intended')
    .execute();
  for (const certificate of intended) await abandonIssuance(tx, certificate);
  await tx.db.updateTable('certificates').set({ reply: 'lost' }).where('reply', '=', 'open').execute();
  return { abandoned: intended.length };
}
