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

type Key = Pick<ManifestCertificate, 'account_id' | 'tbs_sha256'>;

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

const byTbs = prepared((db, given: Key) =>
  db
    .selectFrom('manifest_certificates')
    .selectAll()
    .where('account_id', '=', given.account_id)
    .where('tbs_sha256', '=', given.tbs_sha256),
);

const standing = ['account_id', 'tbs_sha256', 'line_id', 'device_id', 'public_key_sha256', 'shares'] as const;
type Shared = Pick<ManifestCertificate, (typeof standing)[number]>;

const liveOfDevice = prepared((db, given: Pick<ManifestCertificate, 'account_id' | 'device_id'>) =>
  db
    .selectFrom('manifest_certificates')
    .select(standing)
    .where('account_id', '=', given.account_id)
    .where('device_id', '=', given.device_id)
    .where('withdrawn_at', 'is', null),
);

const liveOfKey = prepared((db, given: Pick<ManifestCertificate, 'account_id' | 'public_key_sha256'>) =>
  db
    .selectFrom('manifest_certificates')
    .select(standing)
    .where('account_id', '=', given.account_id)
    .where('public_key_sha256', '=', given.public_key_sha256)
    .where('withdrawn_at', 'is', null),
);

const shown = prepared((db, given: Pick<CertificateRecord, 'account_id' | 'tbs_sha256'>) =>
  db
    .selectFrom('certificates')
    .select(['state', 'profile', 'first_used_at'])
    .where('account_id', '=', given.account_id)
    .where('tbs_sha256', '=', given.tbs_sha256),
);

const forgetStranger = prepared((db, given: Key) =>
  db
    .deleteFrom('manifest_strangers')
    .where('account_id', '=', given.account_id)
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

/** Counts of an order as they change. */
export type OrderChange = Pick<ManifestOrder, 'made' | 'withdrawn' | 'seen' | 'missing'>;

/** Records a certificate that a line has made. Throws Problem('invalid_request') for one that is accounted for already. */
export async function recordMade(
  db: Db,
  { account_id, line_id, entry }: { account_id: string; line_id: string; entry: ManifestEntry },
): Promise<OrderChange & { beyond: boolean }> {
  const { action: _action, at: made_at, beyond: uncovered, ...its } = entry;
  const [known] = await byTbs(db, { account_id, tbs_sha256: its.tbs_sha256 });
  if (known) {
    const where = known.line_id === line_id ? `entry ${known.number}` : 'a manifest of another line';
    throw new Problem(
      'invalid_request',
      `The entry ${entry.number} of the manifest makes the certificate ${its.tbs_sha256}, which ${where} has made.`,
    );
  }
  const [charged] = await charge(db, { account_id, line_id, mandate_id: its.mandate_id });
  const exhausted = charged !== undefined && charged.used > charged.quota ? 'quota' : null;
  const beyond: Beyond | null = uncovered ?? exhausted;
  const [device] = await shown(db, { account_id, tbs_sha256: its.tbs_sha256 });
  const seen_at = device?.profile === 'device' ? device.first_used_at : null;
  const row = {
    ...its,
    account_id,
    line_id,
    beyond,
    made_at,
    withdrawn_at: null,
    seen_at,
    came_at: null,
    shares: null,
  };
  await insertMade(db, row);
  await noteShared(db, row);
  await forgetStranger(db, { account_id, tbs_sha256: its.tbs_sha256 });
  const seen = seen_at === null ? 0 : 1;
  return { made: 1, withdrawn: 0, seen, missing: 1 - seen, beyond: beyond !== null };
}

/**
 * Records that a line has withdrawn a certificate. Gives whether a device has it, which is then to lose it. Throws
 * Problem('invalid_request') for one that the line has not made.
 */
export async function recordWithdrawn(
  db: Db,
  { account_id, line_id, entry }: { account_id: string; line_id: string; entry: ManifestEntry },
): Promise<OrderChange & { used: boolean }> {
  const { tbs_sha256, number, at: withdrawn_at } = entry;
  const [made] = await byTbs(db, { account_id, tbs_sha256 });
  if (made?.line_id !== line_id) {
    throw new Problem(
      'invalid_request',
      `The entry ${number} of the manifest withdraws the certificate ${tbs_sha256}, which its line has not made.`,
    );
  }
  const nothing = { made: 0, withdrawn: 0, seen: 0, missing: 0, used: false };
  if (made.withdrawn_at !== null) return nothing;
  await db
    .updateTable('manifest_certificates')
    .set({ withdrawn_at, shares: null })
    .where('account_id', '=', account_id)
    .where('tbs_sha256', '=', tbs_sha256)
    .execute();
  if (made.shares !== null) await noteShared(db, made);
  const [device] = await shown(db, { account_id, tbs_sha256 });
  const used = device?.profile === 'device' && device.state !== 'revoked' && device.state !== 'intended';
  return { ...nothing, withdrawn: 1, missing: made.seen_at === null ? -1 : 0, used };
}

/** Notes of those with the device ID or the key of this one whether they have it in common with another. */
async function noteShared(db: Db, of: Shared): Promise<void> {
  const [devices, keys] = [await liveOfDevice(db, of), await liveOfKey(db, of)];
  if (devices.length <= 1 && keys.length <= 1 && of.shares === null) return;
  for (const each of new Map([...devices, ...keys].map((one) => [one.tbs_sha256, one])).values()) {
    const { account_id, tbs_sha256 } = each;
    const alike = (await liveOfKey(db, each)).length > 1;
    const shares = alike ? 'public_key' : (await liveOfDevice(db, each)).length > 1 ? 'device_id' : null;
    if (shares === each.shares) continue;
    await db
      .updateTable('manifest_certificates')
      .set({ shares })
      .where('account_id', '=', account_id)
      .where('tbs_sha256', '=', tbs_sha256)
      .execute();
  }
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
    .where('tbs_sha256', '=', given.tbs_sha256)
    .where('seen_at', 'is', null)
    .returning(['line_id', 'order_name', 'withdrawn_at']),
);

/** Notes that a device has come with a certificate, where a manifest holds it and none had come with it before. */
export async function noteSeen(db: Db, { account_id, tbs_sha256, seen_at }: Key & { seen_at: number }): Promise<void> {
  const [made] = await firstSeen(db, { account_id, tbs_sha256, seen_at });
  if (!made) return;
  const { line_id, order_name, withdrawn_at } = made;
  const change = { made: 0, withdrawn: 0, seen: 1, missing: withdrawn_at === null ? -1 : 0 };
  await countOrder(db, { account_id, line_id, order_name, change });
}
