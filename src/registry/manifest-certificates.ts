// Certificates that manifests account for, one by one: made, withdrawn, seen, and how many there are of each order.

import { type Db, prepared } from './database.ts';
import type { Beyond, ManifestCertificate, ManifestOrder } from './manifest-tables.ts';
import { Problem } from '../problem.ts';
import type { CertificateRecord } from './tables.ts';

/** What a log entry tells of a certificate; `number` is the entry's, `at` in milliseconds since 1970. */
export interface ManifestEntry extends Pick<
  ManifestCertificate,
  | 'tbs_sha256'
  | 'public_key_sha256'
  | 'device_id'
  | 'number'
  | 'order_name'
  | 'batch'
  | 'station'
  | 'mandate_id'
  | 'evidence'
> {
  readonly action: 'make' | 'withdraw';
  readonly at: number;
  /** What its mandate does not cover, its quota apart, which is counted here. */
  readonly beyond: Exclude<Beyond, 'quota'> | null;
}

type Key = Pick<ManifestCertificate, 'account_id' | 'line_id' | 'tbs_sha256'>;

const insertMade = prepared((db, given: ManifestCertificate) =>
  db.insertInto('manifest_certificates').values({
    account_id: given.account_id,
    tbs_sha256: given.tbs_sha256,
    public_key_sha256: given.public_key_sha256,
    device_id: given.device_id,
    line_id: given.line_id,
    number: given.number,
    order_name: given.order_name,
    batch: given.batch,
    station: given.station,
    mandate_id: given.mandate_id,
    beyond: given.beyond,
    evidence: given.evidence,
    made_at: given.made_at,
    withdrawn_at: given.withdrawn_at,
    seen_at: given.seen_at,
    came_at: given.came_at,
    shares: given.shares,
  }),
);

const ofLine = prepared((db, given: Key) =>
  db
    .selectFrom('manifest_certificates')
    .selectAll()
    .where('account_id', '=', given.account_id)
    .where('line_id', '=', given.line_id)
    .where('tbs_sha256', '=', given.tbs_sha256),
);

const standing = ['account_id', 'line_id', 'tbs_sha256', 'device_id', 'public_key_sha256', 'shares'] as const;
type Shared = Pick<ManifestCertificate, (typeof standing)[number]>;

// Two are enough to know whether there is one or there are more: all that share something are marked already.
const liveOfDevice = prepared((db, given: Pick<ManifestCertificate, 'account_id' | 'device_id'>) =>
  db
    .selectFrom('manifest_certificates')
    .select(standing)
    .where('account_id', '=', given.account_id)
    .where('device_id', '=', given.device_id)
    .where('withdrawn_at', 'is', null)
    .limit(2),
);

const liveOfKey = prepared((db, given: Pick<ManifestCertificate, 'account_id' | 'public_key_sha256'>) =>
  db
    .selectFrom('manifest_certificates')
    .select(standing)
    .where('account_id', '=', given.account_id)
    .where('public_key_sha256', '=', given.public_key_sha256)
    .where('withdrawn_at', 'is', null)
    .limit(2),
);

/** The certificate of a device that came with it, and the lines of whose CAs it came through one. */
const shown = prepared((db, given: Pick<CertificateRecord, 'account_id' | 'tbs_sha256'>) =>
  db
    .selectFrom('certificates')
    .innerJoin('devices', (join) =>
      join
        .onRef('devices.account_id', '=', 'certificates.account_id')
        .onRef('devices.uuid', '=', 'certificates.device_uuid'),
    )
    .innerJoin('chain_certificates', (join) =>
      join
        .onRef('chain_certificates.account_id', '=', 'devices.account_id')
        .onRef('chain_certificates.chain_id', '=', 'devices.chain_id'),
    )
    .innerJoin('manifest_lines', (join) =>
      join
        .onRef('manifest_lines.account_id', '=', 'chain_certificates.account_id')
        .onRef('manifest_lines.public_key_sha256', '=', 'chain_certificates.public_key_sha256'),
    )
    .select([
      'manifest_lines.id as line_id',
      'certificates.subject_name',
      'certificates.public_key_sha256',
      'certificates.state',
      'certificates.first_used_at',
    ])
    .where('certificates.account_id', '=', given.account_id)
    .where('certificates.tbs_sha256', '=', given.tbs_sha256)
    .where('certificates.profile', '=', 'device'),
);

/**
 * The certificate of a device as it came, where the line's own CA has issued it and it is the one the line speaks of: what a
 * line says of others' certificates concerns no device.
 */
async function shownUnder(db: Db, made: Key & Pick<ManifestCertificate, 'device_id' | 'public_key_sha256'>) {
  const { account_id, line_id, tbs_sha256, device_id, public_key_sha256 } = made;
  const found = await shown(db, { account_id, tbs_sha256 });
  return found.find(
    (each) =>
      each.line_id === line_id && each.subject_name === device_id && each.public_key_sha256 === public_key_sha256,
  );
}

const forgetStranger = prepared((db, given: Key) =>
  db
    .deleteFrom('manifest_strangers')
    .where('account_id', '=', given.account_id)
    .where('line_id', '=', given.line_id)
    .where('tbs_sha256', '=', given.tbs_sha256),
);

const charge = prepared((db, given: { account_id: string; line_id: string; mandate_id: string }) =>
  db
    .updateTable('manifest_mandates')
    .set((set) => ({ used: set('used', '+', 1) }))
    .where('account_id', '=', given.account_id)
    .where('line_id', '=', given.line_id)
    .where('id', '=', given.mandate_id)
    .returning(['used', 'quota']),
);

/** Device IDs in one statement. */
const idsAtOnce = 500;

/** What an entry that withdraws must say as the one that made it does. */
const withdrawnWith = { device_id: 'device ID', public_key_sha256: 'key', order_name: 'order' } as const;

/** Counts of an order as they change. */
export type OrderChange = Pick<ManifestOrder, 'made' | 'withdrawn' | 'seen' | 'missing'>;

/** Records a certificate that a line has made. Throws Problem('invalid_request') for one that is accounted for already. */
export async function recordMade(
  db: Db,
  { account_id, line_id, entry }: { account_id: string; line_id: string; entry: ManifestEntry },
): Promise<OrderChange & { beyond: boolean }> {
  const { action: _action, at: made_at, beyond: uncovered, ...its } = entry;
  const [known] = await ofLine(db, { account_id, line_id, tbs_sha256: its.tbs_sha256 });
  if (known) {
    throw new Problem(
      'invalid_request',
      `The entry ${entry.number} of the manifest makes the certificate ${its.tbs_sha256}, which entry ${known.number} has made.`,
    );
  }
  const [charged] = await charge(db, { account_id, line_id, mandate_id: its.mandate_id });
  const exhausted = charged !== undefined && charged.used > charged.quota ? 'quota' : null;
  const beyond: Beyond | null = uncovered ?? exhausted;
  const device = await shownUnder(db, { account_id, line_id, ...its });
  const seen_at = device?.first_used_at ?? null;
  await insertMade(db, {
    ...its,
    account_id,
    line_id,
    beyond,
    made_at,
    withdrawn_at: null,
    seen_at,
    came_at: null,
    shares: await sharedBy(db, { account_id, ...its }),
  });
  await forgetStranger(db, { account_id, line_id, tbs_sha256: its.tbs_sha256 });
  const seen = seen_at === null ? 0 : 1;
  return { made: 1, withdrawn: 0, seen, missing: 1 - seen, beyond: beyond !== null };
}

/**
 * Records that a line has withdrawn a certificate. Gives whether a device has it, which is then to lose it. Throws
 * Problem('invalid_request') for one that the line has not made, or has made for another device or order.
 */
export async function recordWithdrawn(
  db: Db,
  { account_id, line_id, entry }: { account_id: string; line_id: string; entry: ManifestEntry },
): Promise<OrderChange & { used: boolean }> {
  const { tbs_sha256, number, at: withdrawn_at } = entry;
  const [made] = await ofLine(db, { account_id, line_id, tbs_sha256 });
  if (!made) {
    throw new Problem(
      'invalid_request',
      `The entry ${number} of the manifest withdraws the certificate ${tbs_sha256}, which its line has not made.`,
    );
  }
  const other = (['device_id', 'public_key_sha256', 'order_name'] as const).find((name) => made[name] !== entry[name]);
  if (other !== undefined) {
    throw new Problem(
      'invalid_request',
      `The entry ${number} of the manifest withdraws the certificate ${tbs_sha256} with another ${withdrawnWith[other]} than entry ${made.number} has made it with.`,
    );
  }
  const nothing = { made: 0, withdrawn: 0, seen: 0, missing: 0, used: false };
  if (made.withdrawn_at !== null) return nothing;
  await db
    .updateTable('manifest_certificates')
    .set({ withdrawn_at, shares: null })
    .where('account_id', '=', account_id)
    .where('line_id', '=', line_id)
    .where('tbs_sha256', '=', tbs_sha256)
    .execute();
  if (made.shares !== null) await noteAlone(db, made);
  const device = await shownUnder(db, made);
  const used = device !== undefined && device.state !== 'revoked' && device.state !== 'intended';
  return { ...nothing, withdrawn: 1, missing: made.seen_at === null ? -1 : 0, used };
}

/** What one that is made now has in common with another; that one is marked too, where it is the only one as yet. */
async function sharedBy(
  db: Db,
  made: Pick<ManifestCertificate, 'account_id' | 'device_id' | 'public_key_sha256'>,
): Promise<Shared['shares']> {
  const [keys, devices] = [await liveOfKey(db, made), await liveOfDevice(db, made)];
  for (const each of keys) if (each.shares !== 'public_key') await mark(db, each, 'public_key');
  const marked = new Set(keys.map(({ line_id, tbs_sha256 }) => `${line_id} ${tbs_sha256}`));
  for (const each of devices) {
    if (each.shares === null && !marked.has(`${each.line_id} ${each.tbs_sha256}`)) await mark(db, each, 'device_id');
  }
  return keys.length > 0 ? 'public_key' : devices.length > 0 ? 'device_id' : null;
}

/** Takes the mark off one that has nothing in common with another any more, now that this one is withdrawn. */
async function noteAlone(db: Db, withdrawn: Shared): Promise<void> {
  const [ofKey, ...otherKeys] = await liveOfKey(db, withdrawn);
  if (ofKey && otherKeys.length === 0) {
    await mark(db, ofKey, (await liveOfDevice(db, ofKey)).length > 1 ? 'device_id' : null);
  }
  const [ofDevice, ...otherDevices] = await liveOfDevice(db, withdrawn);
  if (ofDevice?.shares === 'device_id' && otherDevices.length === 0) await mark(db, ofDevice, null);
}

async function mark(db: Db, { account_id, line_id, tbs_sha256 }: Key, shares: Shared['shares']): Promise<void> {
  await db
    .updateTable('manifest_certificates')
    .set({ shares })
    .where('account_id', '=', account_id)
    .where('line_id', '=', line_id)
    .where('tbs_sha256', '=', tbs_sha256)
    .execute();
}

const otherLinesWith = (
  db: Db,
  { account_id, line_id }: Pick<Key, 'account_id' | 'line_id'>,
  some: readonly string[],
) =>
  db
    .selectFrom('manifest_certificates')
    .select('device_id')
    .distinct()
    .where('account_id', '=', account_id)
    .where('device_id', 'in', some)
    .where('withdrawn_at', 'is', null)
    .where('line_id', '!=', line_id)
    .execute();

/** Those of the device IDs for which another line has made a certificate that is not withdrawn. */
export async function madeElsewhere(
  db: Db,
  { account_id, line_id, device_ids }: Pick<Key, 'account_id' | 'line_id'> & { device_ids: readonly string[] },
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (let from = 0; from < device_ids.length; from += idsAtOnce) {
    const some = device_ids.slice(from, from + idsAtOnce);
    for (const { device_id } of await otherLinesWith(db, { account_id, line_id }, some)) found.add(device_id);
  }
  return found;
}

/** Adds to the counts of an order. */
export async function countOrder(
  db: Db,
  {
    account_id,
    line_id,
    order_name,
    change,
  }: Pick<ManifestOrder, 'account_id' | 'line_id' | 'order_name'> & { change: OrderChange },
): Promise<void> {
  const { made, withdrawn, seen, missing } = change;
  await db
    .insertInto('manifest_orders')
    .values({ account_id, line_id, order_name, made, withdrawn, seen, missing })
    .onConflict((conflict) =>
      conflict.columns(['account_id', 'line_id', 'order_name']).doUpdateSet((set) => ({
        made: set('manifest_orders.made', '+', made),
        withdrawn: set('manifest_orders.withdrawn', '+', withdrawn),
        seen: set('manifest_orders.seen', '+', seen),
        missing: set('manifest_orders.missing', '+', missing),
      })),
    )
    .execute();
}

const firstSeen = prepared((db, given: Key & { seen_at: number }) =>
  db
    .updateTable('manifest_certificates')
    .set({ seen_at: given.seen_at })
    .where('account_id', '=', given.account_id)
    .where('line_id', '=', given.line_id)
    .where('tbs_sha256', '=', given.tbs_sha256)
    .where('seen_at', 'is', null)
    .returning(['order_name', 'withdrawn_at']),
);

/**
 * Notes that a device has come with a certificate, where a manifest of the line that issued it holds it and none had come
 * with it before.
 */
export async function noteSeen(
  db: Db,
  { account_id, tbs_sha256, seen_at }: Pick<Key, 'account_id' | 'tbs_sha256'> & { seen_at: number },
): Promise<void> {
  for (const line_id of new Set((await shown(db, { account_id, tbs_sha256 })).map((found) => found.line_id))) {
    const [made] = await firstSeen(db, { account_id, line_id, tbs_sha256, seen_at });
    if (!made) continue;
    const { order_name, withdrawn_at } = made;
    const change = { made: 0, withdrawn: 0, seen: 1, missing: withdrawn_at === null ? -1 : 0 };
    await countOrder(db, { account_id, line_id, order_name, change });
  }
}
