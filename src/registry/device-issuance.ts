// The making of a device's certificate as a sequence of records: begun, completed or abandoned, its reply settled.

import { randomUUIDv7 } from 'node:crypto';
import { requireAccount } from './accounts.ts';
import { issuanceNote } from './audit-notes.ts';
import {
  completeCertificate,
  type Intention,
  type IssuedCertificate,
  recordIntention,
  type Signed,
} from './certificates.ts';
import { prepared, type Tx } from './database.ts';
import { deviceById } from './devices.ts';
import { deviceAdded, deviceKeyChanged, devicePending, deviceProvisioned } from './event-notes.ts';
import { storeLabels } from './labels.ts';
import { Problem } from '../problem.ts';
import type { CertificateRecord, Device, ReplyState } from './tables.ts';
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
  const { account_id, subject_name: device_id, provisioning_key_id, fleet_root_ca_id } = certificate;
  const named = { account_id, device_id, provisioning_key_id, fleet_root_ca_id };
  const [around] = await circumstances(tx.db, named);
  if (!around) return missing(tx, named);
  if (around.key_disabled_at !== null) throw new Problem('provisioning_key_disabled');
  if (around.key_not_after < tx.now) throw new Problem('provisioning_key_expired');
  requireActive(around);
  if (around.kind !== 'test') throw new Problem('provisioning_not_offered');

  const device = around.device_uuid === null ? undefined : await deviceById(tx.db, account_id, device_id);
  const standing = device ? await standingOf(tx, device, around.key_id) : 'new';
  if (device?.reprovision_until != null && standing !== 'reprovision') await endReprovisioning(tx, device);
  if (standing === 'taken') throw taken(device_id);
  const counted_use = standing === 'retry' ? 0 : 1;
  if (counted_use) await countUse(tx, account_id, around.key_id);

  const device_uuid = device?.uuid ?? (await insertNewcomer(tx, certificate, around));
  const intended = { created_at: tx.now, counted_use, instance: tx.instance };
  await recordIntention(tx.db, { ...certificate, device_uuid, reply: 'open', ...intended });
  return { device_uuid };
}

type Named = Pick<Intention, 'account_id' | 'provisioning_key_id' | 'fleet_root_ca_id'> & { device_id: string };

/** All that decides over a beginning, in one query: each that the database is asked costs as much as the rows that it gives. */
const circumstances = prepared((db, given: Named) =>
  db
    .selectFrom('provisioning_keys')
    .innerJoin('accounts', 'accounts.id', 'provisioning_keys.account_id')
    .leftJoin('fleet_root_cas', (join) =>
      join
        .onRef('fleet_root_cas.account_id', '=', 'provisioning_keys.account_id')
        .on('fleet_root_cas.id', '=', given.fleet_root_ca_id),
    )
    .leftJoin('devices', (join) =>
      join
        .onRef('devices.account_id', '=', 'provisioning_keys.account_id')
        .on('devices.device_id', '=', given.device_id),
    )
    .leftJoin('allow_list', (join) =>
      join
        .onRef('allow_list.account_id', '=', 'provisioning_keys.account_id')
        .on('allow_list.device_id', '=', given.device_id),
    )
    .select([
      'provisioning_keys.id as key_id',
      'provisioning_keys.disabled_at as key_disabled_at',
      'provisioning_keys.not_after as key_not_after',
      'accounts.kind',
      'accounts.admission',
      'fleet_root_cas.name as root_name',
      'fleet_root_cas.state as root_state',
      'devices.uuid as device_uuid',
      'allow_list.device_id as allowed',
      'allow_list.labels',
    ])
    .where('provisioning_keys.account_id', '=', given.account_id)
    .where('provisioning_keys.id', '=', given.provisioning_key_id)
    .where('accounts.deleted_at', 'is', null),
);

type Circumstances = Awaited<ReturnType<typeof circumstances>>[number];

/** Says what is not there. Throws `not_found`. */
async function missing(tx: Tx, { account_id, provisioning_key_id }: Named): Promise<never> {
  await requireAccount(tx.db, account_id);
  await requireProvisioningKey(tx.db, account_id, provisioning_key_id ?? '');
  throw new Problem('provisioning_not_offered');
}

/** The key that was made for the device meanwhile may have taken seconds: a word of the operator in between counts. */
function requireActive({ root_name, root_state }: Circumstances): void {
  if (root_state === null || root_state === 'active') return;
  const code = root_state === 'closed' ? 'fleet_root_ca_closed' : 'fleet_root_ca_disabled';
  throw new Problem(code, `The Fleet Root CA "${root_name}" is ${root_state}.`);
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

const oneUseMore = prepared((db, given: { account_id: string; id: string }) =>
  db
    .updateTable('provisioning_keys')
    .set((set) => ({ uses: set('uses', '+', 1) }))
    .where('account_id', '=', given.account_id)
    .where('id', '=', given.id)
    .where((where) => where.or([where('max_uses', 'is', null), where('uses', '<', where.ref('max_uses'))]))
    .returning(['id', 'description', 'uses', 'max_uses']),
);

async function countUse(tx: Tx, account_id: string, provisioning_key_id: string): Promise<void> {
  const [counted] = await oneUseMore(tx.db, { account_id, id: provisioning_key_id });
  if (!counted) throw new Problem('provisioning_key_exhausted');
  const { description, uses, max_uses } = counted;
  if (uses === max_uses) {
    const data = { provisioning_key: provisioning_key_id, description, max_uses };
    tx.event({ type: 'provisioning_key.exhausted', account_id, data });
  }
}

type Newcomer = Pick<
  Device,
  | 'uuid'
  | 'account_id'
  | 'device_id'
  | 'state'
  | 'fleet_root_ca_id'
  | 'provisioning_key_id'
  | 'first_seen'
  | 'certificate_not_after'
>;

const insertDevice = prepared((db, given: Newcomer) =>
  db.insertInto('devices').values({
    uuid: given.uuid,
    account_id: given.account_id,
    device_id: given.device_id,
    state: given.state,
    method: 'shared',
    fleet_root_ca_id: given.fleet_root_ca_id,
    provisioning_key_id: given.provisioning_key_id,
    allowed_root_id: null,
    reprovision_until: null,
    first_seen: given.first_seen,
    last_seen: null,
    certificate_not_after: given.certificate_not_after,
  }),
);

async function insertNewcomer(
  tx: Tx,
  certificate: Omit<Intention, 'device_uuid' | 'reply'>,
  { admission, allowed, labels }: Circumstances,
): Promise<string> {
  const { account_id, subject_name: device_id } = certificate;
  if (certificate.fleet_root_ca_id === null) throw new Problem('provisioning_not_offered');
  if (admission === 'allow-list' && allowed === null) {
    throw new Problem(
      'device_id_not_allowed',
      `The device ID "${device_id}" is not on the account's allow-list.`,
      'Import it with `allow-list import`.',
    );
  }
  // It begins with the time: newcomers stand side by side in every index, which many of them then write to as one page.
  const uuid = randomUUIDv7();
  await insertDevice(tx.db, {
    uuid,
    account_id,
    device_id,
    state: admission === 'approval' ? 'pending' : 'active',
    fleet_root_ca_id: certificate.fleet_root_ca_id,
    provisioning_key_id: certificate.provisioning_key_id,
    first_seen: tx.now,
    // It comes with the device or not at all: said here, it need not be written into the row and its index later.
    certificate_not_after: certificate.not_after,
  });
  if (labels) await storeLabels(tx.db, { account_id, uuid }, labels);
  return uuid;
}

const byUuid = prepared((db, given: { account_id: string; uuid: string }) =>
  db
    .selectFrom('devices')
    .select([
      'account_id',
      'uuid',
      'device_id',
      'state',
      'method',
      'fleet_root_ca_id',
      'provisioning_key_id',
      'reprovision_until',
      'certificate_not_after',
      'chain_id',
    ])
    .where('account_id', '=', given.account_id)
    .where('uuid', '=', given.uuid),
);

const revokeOthers = prepared((db, given: { account_id: string; device_uuid: string; tbs_sha256: string }) =>
  db
    .updateTable('certificates')
    .set({ state: 'revoked' })
    .where('account_id', '=', given.account_id)
    .where('device_uuid', '=', given.device_uuid)
    .where('tbs_sha256', '!=', given.tbs_sha256)
    .where('state', '!=', 'revoked')
    .returning(['first_used_at']),
);

/**
 * Records the signed certificate; whatever else the device had (a lost reply's, a wiped device's) is revoked.
 * Throws `device_already_registered` when the device of a lost reply has connected after all.
 */
export async function completeIssuance(tx: Tx, args: Signed): Promise<void> {
  const completed = await completeCertificate(tx, args);
  const { account_id, tbs_sha256 } = args;
  const [device] = await byUuid(tx.db, { account_id, uuid: completed.device_uuid ?? '' });
  if (!device) throw new Problem('conflict', 'The device was deleted while its certificate was being made.');

  const earlier = await revokeOthers(tx.db, { account_id, device_uuid: device.uuid, tbs_sha256 });
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
  // It comes from the Fleet Root CA itself: no chain leads to it. A newcomer's row says all this already.
  const now = { certificate_not_after: completed.not_after, chain_id: null, ...(reprovisioned && provisionedAnew) };
  if (reprovisioned || device.certificate_not_after !== completed.not_after || device.chain_id !== null) {
    await tx.db
      .updateTable('devices')
      .set(now)
      .where('account_id', '=', account_id)
      .where('uuid', '=', device.uuid)
      .execute();
  }
  const told = { device: device.uuid, state: device.state, reprovisioned, certificates_revoked: earlier.length };
  tx.audit(issuanceNote(completed, told));
  const again = reprovisioned || earlier.length > 0;
  tellOfIssuance(tx, device, completed, again);
  // Of whom nobody has seen yet, nobody keeps anything.
  if (again) tx.changed({ kind: 'device', account_id, device_uuid: device.uuid });
}

type Completed = Awaited<ReturnType<typeof byUuid>>[number];

/** Here, and not where the ID was reserved: what is abandoned was never there, and one insert tells of it all. */
function tellOfIssuance(tx: Tx, device: Completed, completed: IssuedCertificate, again: boolean): void {
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

type Settled = { account_id: string; tbs_sha256: string; reply: Exclude<ReplyState, 'open'> };

const updateReply = prepared((db, given: Settled) =>
  db
    .updateTable('certificates')
    .set({ reply: given.reply })
    .where('account_id', '=', given.account_id)
    .where('tbs_sha256', '=', given.tbs_sha256)
    .where('reply', '=', 'open'),
);

/** Records what became of the reply that carried a certificate. */
export async function settleReply(tx: Tx, settled: Settled): Promise<void> {
  await updateReply(tx.db, settled);
}

/** What was being made, and by whom it no longer is: `all` where no other process is there. */
export interface Interrupted {
  readonly gone: 'all' | readonly string[];
  /** What has been intended since before then is made by nobody any more, whoever began it. */
  readonly before: number;
}

/** What processes that are gone were making is abandoned, and the replies that they left open count as lost. */
export async function settleInterrupted(tx: Tx, { gone, before }: Interrupted): Promise<{ abandoned: number }> {
  const intended = await tx.db
    .selectFrom('certificates')
    .select(['account_id', 'tbs_sha256'])
    .where('state', '=', 'intended')
    .$if(gone !== 'all', (query) =>
      query.where((where) => where.or([where('created_at', '<', before), where('instance', 'in', namesOf(gone))])),
    )
    .execute();
  for (const certificate of intended) await abandonIssuance(tx, certificate);
  await tx.db
    .updateTable('certificates')
    .set({ reply: 'lost' })
    .where('reply', '=', 'open')
    .$if(gone !== 'all', (query) => query.where('instance', 'in', namesOf(gone)))
    .execute();
  return { abandoned: intended.length };
}

/** For IN, which takes no empty list. */
const namesOf = (gone: Interrupted['gone']): string[] => (gone === 'all' || gone.length === 0 ? [''] : [...gone]);
