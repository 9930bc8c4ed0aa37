// The two gateway CAs of an account and the certificate that its gateway shows.

import { Problem } from '../problem.ts';
import { formatInstant } from '../time.ts';
import { type Db, prepared, type Tx } from './database.ts';
import { noteGateway } from './gateway-standing.ts';
import { keyById } from './keys.ts';
import { requireLivingMasterKey } from './sealed-values.ts';
import type { GatewayCa, GatewayCertificate } from './tables.ts';

/** Records a gateway CA. An account has one that is active and one on standby at most. */
export async function recordGatewayCa(tx: Tx, ca: Omit<GatewayCa, 'created_at'>): Promise<GatewayCa> {
  const recorded = await tx.db
    .insertInto('gateway_cas')
    .values({ ...ca, created_at: tx.now })
    .returningAll()
    .executeTakeFirstOrThrow();
  await noteGateway(tx.db, ca.account_id);
  tx.audit({ action: 'gateway_ca.add', ...itself(recorded), after: members(recorded) });
  tx.changed({ kind: 'account', account_id: ca.account_id });
  return recorded;
}

/** A gateway CA as the object of an entry, and what an entry says of it. */
function itself({ account_id, id }: GatewayCa) {
  return { account_id, object: { kind: 'gateway_ca', id, name: null } };
}

function members({ state, key_id: key, sha256, not_after }: GatewayCa) {
  return { state, key, sha256, not_after: formatInstant(not_after) };
}

/** What a switch to a standby gateway CA whose key was erased here is answered: message and hint. */
export const keyOutside = [
  'The key of the standby gateway CA has been erased here and lies outside.',
  'Import it first: `account gateway-ca import`.',
] as const;

/**
 * Makes the standby gateway CA the active one and retires the active one. Throws `conflict` without a standby, or where its
 * key is not here.
 */
export async function switchGatewayCa(
  tx: Tx,
  { account_id }: { account_id: string },
): Promise<{ active: GatewayCa; retired: GatewayCa | undefined }> {
  const turn = (from: 'active' | 'standby', to: 'active' | 'retired') =>
    tx.db
      .updateTable('gateway_cas')
      .set({ state: to })
      .where('account_id', '=', account_id)
      .where('state', '=', from)
      .returningAll()
      .executeTakeFirst();
  const retired = await turn('active', 'retired');
  const active = await turn('standby', 'active');
  if (!active) throw new Problem('conflict', 'The account has no standby gateway CA to switch to.');
  // Erased while the certificate was being made: the gateway could not be given another one later.
  if ((await keyById(tx.db, active.key_id))?.erased_at != null) throw new Problem('conflict', ...keyOutside);
  await noteGateway(tx.db, account_id);
  tx.audit({
    action: 'gateway_ca.switch',
    ...itself(active),
    before: { active: retired?.id ?? null },
    after: { active: active.id },
  });
  tx.changed({ kind: 'account', account_id });
  return { active, retired };
}

/** Records a new gateway certificate. The earlier one goes, and its key with it: nothing is served with it any more. */
export async function recordGatewayCertificate(
  tx: Tx,
  certificate: Omit<GatewayCertificate, 'created_at'>,
): Promise<GatewayCertificate> {
  await requireLivingMasterKey(tx.db, certificate.sealed_key);
  await tx.db.deleteFrom('gateway_certificates').where('account_id', '=', certificate.account_id).execute();
  const recorded = await tx.db
    .insertInto('gateway_certificates')
    .values({ ...certificate, created_at: tx.now })
    .returningAll()
    .executeTakeFirstOrThrow();
  const { account_id, id, gateway_ca_id: gateway_ca, not_after } = recorded;
  await noteGateway(tx.db, account_id);
  tx.audit({
    action: 'gateway_certificate.set',
    account_id,
    object: { kind: 'gateway_certificate', id, name: null },
    after: { gateway_ca, hosts: JSON.parse(recorded.hosts) as string[], not_after: formatInstant(not_after) },
  });
  tx.changed({ kind: 'account', account_id });
  return recorded;
}

const casOfAccount = prepared((db, given: { account_id: string }) =>
  db
    .selectFrom('gateway_cas')
    .selectAll()
    .where('account_id', '=', given.account_id)
    .orderBy('state')
    .orderBy('created_at'),
);

/** The gateway CAs of an account: the active one, those retired, the standby, as their states' alphabet has it. */
export async function gatewayCasOf(db: Db, account_id: string): Promise<GatewayCa[]> {
  return casOfAccount(db, { account_id });
}

/** The certificate that the account's gateway shows. */
export async function gatewayCertificateOf(db: Db, account_id: string): Promise<GatewayCertificate | undefined> {
  return db.selectFrom('gateway_certificates').selectAll().where('account_id', '=', account_id).executeTakeFirst();
}

/** Where a page of those that end soon begins: after this one. */
export type GatewayEnd = Pick<GatewayCertificate, 'id' | 'not_after'>;

/** The gateway certificates of all accounts that end before an instant, the next to end first: `limit` after one of them. */
export async function gatewayCertificatesDue(
  db: Db,
  before: number,
  { after, limit }: { after: GatewayEnd | null; limit: number },
): Promise<(GatewayEnd & Pick<GatewayCertificate, 'account_id'>)[]> {
  let query = db.selectFrom('gateway_certificates').select(['id', 'account_id', 'not_after']);
  if (after) {
    query = query.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('not_after', 'id'), '>', tuple(after.not_after, after.id)),
    );
  }
  return query.where('not_after', '<', before).orderBy('not_after').orderBy('id').limit(limit).execute();
}
