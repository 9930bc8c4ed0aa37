// What belongs to an account, or to the server as a whole where there is none: one condition for both.

import type { ExpressionBuilder } from 'kysely';
import type { Tables } from './tables.ts';

/** The tables whose rows may have no account. */
type Scoped = 'webhooks' | 'webhook_deliveries';

/** The rows of an account, or those of no account where it is null: `query.where(ofScope<'webhooks'>(account_id))`. */
export function ofScope<Table extends Scoped>(account_id: string | null) {
  return (where: ExpressionBuilder<Tables, Table>) =>
    account_id === null
      ? where('account_id' as never, 'is', null)
      : where('account_id' as never, '=', account_id as never);
}
