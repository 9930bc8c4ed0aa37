// Whether the gateway of an account has all that it should: noted by every write that changes it, so that none is looked for.

import { type RawBuilder, sql } from 'kysely';
import type { Db } from './database.ts';
import type { Account } from './tables.ts';

/**
 * Whether an account lacks a gateway CA, or a gateway certificate of the active one for exactly its hosts: those are in the
 * certificate's row as JSON, in which each stands between quotes.
 */
export const lacksGateway: RawBuilder<boolean> = sql`(
  not exists (select 1 from gateway_cas where gateway_cas.account_id = accounts.id and gateway_cas.state = 'standby')
  or not exists (
    select 1 from gateway_cas join gateway_certificates
      on gateway_certificates.account_id = accounts.id and gateway_certificates.gateway_ca_id = gateway_cas.id
    where gateway_cas.account_id = accounts.id and gateway_cas.state = 'active'
      and length(gateway_certificates.hosts) - length(replace(gateway_certificates.hosts, '"', ''))
        = (select 2 * count(*) from account_hosts where account_hosts.account_id = accounts.id)
      and not exists (
        select 1 from account_hosts where account_hosts.account_id = accounts.id
          and gateway_certificates.hosts not like '%"' || account_hosts.host || '"%'
      )
  )
)`;

/** To be called by every write that changes hosts, gateway CAs or the gateway certificate of an account, at its end. */
export async function noteGateway(db: Db, account_id: string): Promise<void> {
  await sql`
    update accounts set gateway_incomplete = case when ${lacksGateway} then 1 else null end
    where accounts.id = ${account_id}`.execute(db);
}

/** The accounts whose gateway lacks something: what a server that was killed in the middle of a change has left behind. */
export async function accountsLackingGateway(db: Db): Promise<Account[]> {
  return db
    .selectFrom('accounts')
    .selectAll()
    .where('gateway_incomplete', '=', 1)
    .where('ready_at', 'is not', null)
    .orderBy('id')
    .execute();
}
