// What can be done to a Fleet Root CA that may shut devices out: each call, with its dry run.

import { answerOf, api, type Impact, type Schema } from '../../api/client.ts';

export type FleetRootCa = Schema<'FleetRootCa'>;
type StateChange = 'activate' | 'close' | 'disable';

/** What is done, once its dry run has been seen. */
export type Change =
  | { readonly is: StateChange }
  | { readonly is: 'chain' | 'manifest' }
  | { readonly is: 'successor'; readonly successor: FleetRootCa };

type Query = { dry_run: true } | { confirm: number };

function call(account: string, ca: string, change: Change, query: Query): Promise<unknown> {
  const params = { path: { account, ca }, query };
  switch (change.is) {
    case 'activate':
      return answerOf(api.POST('/api/v1/accounts/{account}/fleet-root-cas/{ca}/activate', { params }));
    case 'close':
      return answerOf(api.POST('/api/v1/accounts/{account}/fleet-root-cas/{ca}/close', { params }));
    case 'disable':
      return answerOf(api.POST('/api/v1/accounts/{account}/fleet-root-cas/{ca}/disable', { params }));
    case 'successor':
      return answerOf(
        api.POST('/api/v1/accounts/{account}/fleet-root-cas/{ca}/successor', {
          params,
          body: { successor: change.successor.id },
        }),
      );
    default:
      return answerOf(
        api.PATCH('/api/v1/accounts/{account}/fleet-root-cas/{ca}', { params, body: { admit: change.is } }),
      );
  }
}

/** What a change would do. */
export const weigh = (account: string, ca: string, change: Change): Promise<Impact> =>
  call(account, ca, change, { dry_run: true }) as Promise<Impact>;

/** Does it, at the price that was seen. */
export const make = (account: string, ca: string, change: Change, confirm: number): Promise<unknown> =>
  call(account, ca, change, { confirm });
