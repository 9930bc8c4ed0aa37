// The tables of API tokens, as types.

import type { Selectable } from 'kysely';
import type { ActorKind } from './acting.ts';

/** What a token is: a role in its account, or without one an administrator of the server, or a reader of its metrics. */
export type TokenRole = 'owner' | 'operator' | 'auditor' | 'factory' | 'administrator' | 'metrics';

/** Tokens that have not been revoked: of one that has, only the audit log knows. */
export interface TokensTable {
  id: string;
  /** Null for one of the whole server. */
  account_id: string | null;
  role: TokenRole;
  description: string;
  /** Of the token itself, hex: it has 256 random bits, so that nobody finds it by its hash. */
  sha256: string;
  /** Who made it. */
  maker_kind: ActorKind;
  maker_id: string | null;
  maker_name: string;
  /** The operator behind it, also where a token of theirs has made it: it goes when they are deleted. */
  operator_id: string | null;
  created_at: number;
  not_after: number;
  last_used_at: number | null;
  last_address: string | null;
}

export interface TokenTables {
  tokens: TokensTable;
}

export type TokenRow = Selectable<TokensTable>;
