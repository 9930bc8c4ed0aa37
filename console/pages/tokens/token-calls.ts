// The calls of tokens, of an account or of the server: the same to whoever shows them.

import { answerOf, api, type Impact, type Page, pageOf, type Schema } from '../../api/client.ts';
import type { OperationName } from '../../api/session.tsx';
import { type AccountRole, accountRoles, type ServerRole, serverRoles } from '../operators/role-choice.tsx';

export type Token = Schema<'Token'>;
export interface NewTokenBody {
  readonly role: AccountRole | ServerRole;
  readonly description: string;
  readonly not_after: string;
}

export interface TokenCalls {
  /** Null for the server. */
  readonly account: string | null;
  readonly key: readonly [string, string];
  readonly roles: readonly (AccountRole | ServerRole)[];
  readonly making: OperationName;
  readonly revoking: OperationName;
  readonly list: (cursor: string | null) => Promise<Page<Token>>;
  readonly make: (body: NewTokenBody) => Promise<Schema<'MadeToken'>>;
  readonly weigh: (token: string) => Promise<Impact>;
  readonly revoke: (token: string, confirm: number) => Promise<unknown>;
}

const limit = 200;

export function tokenCalls(account: string | null): TokenCalls {
  return account === null ? serverTokens : tokensOf(account);
}

function tokensOf(account: string): TokenCalls {
  const remove = (token: string, query: { dry_run?: boolean; confirm?: number }) =>
    answerOf(api.DELETE('/api/v1/accounts/{account}/tokens/{token}', { params: { path: { account, token }, query } }));
  return {
    account,
    key: [account, 'tokens'],
    roles: accountRoles,
    making: 'createAccountToken',
    revoking: 'revokeAccountToken',
    list: (cursor) =>
      pageOf(
        api.GET('/api/v1/accounts/{account}/tokens', {
          params: { path: { account }, query: { limit, ...(cursor !== null && { cursor }) } },
        }),
      ),
    make: (body) =>
      answerOf(
        api.POST('/api/v1/accounts/{account}/tokens', {
          params: { path: { account } },
          body: { ...body, role: body.role as AccountRole },
        }),
      ),
    weigh: (token) => remove(token, { dry_run: true }) as Promise<Impact>,
    revoke: (token, confirm) => remove(token, { confirm }),
  };
}

const removeOfServer = (token: string, query: { dry_run?: boolean; confirm?: number }) =>
  answerOf(api.DELETE('/api/v1/tokens/{token}', { params: { path: { token }, query } }));
const serverTokens: TokenCalls = {
  account: null,
  key: ['/server', 'tokens'],
  roles: serverRoles,
  making: 'createToken',
  revoking: 'revokeToken',
  list: (cursor) =>
    pageOf(api.GET('/api/v1/tokens', { params: { query: { limit, ...(cursor !== null && { cursor }) } } })),
  make: (body) => answerOf(api.POST('/api/v1/tokens', { body: { ...body, role: body.role as ServerRole } })),
  weigh: (token) => removeOfServer(token, { dry_run: true }) as Promise<Impact>,
  revoke: (token, confirm) => removeOfServer(token, { confirm }),
};
