// The tables of operators, their roles, sessions and second factors, as types.

import type { Selectable } from 'kysely';

/** What an operator may be in an account (src/operator/rule.ts). */
export type OperatorRole = 'owner' | 'operator' | 'auditor' | 'factory';
/** How a session began. A passkey is two factors by itself: the device that holds it, and whoever unlocks that. */
export type SignInMethod =
  | 'password'
  | 'password_and_totp'
  | 'password_and_recovery_code'
  | 'passkey'
  | 'single_sign_on';
/** `pending`: made, but no code of it has been seen yet. */
export type TotpState = 'pending' | 'active';

export interface OperatorsTable {
  id: string;
  /** What is typed to sign in, in lower case. */
  name: string;
  administrator: 0 | 1;
  /** Argon2id with its parameters, in the PHC string format; null for who has none, or not yet. */
  password: string | null;
  disabled_at: number | null;
  created_at: number;
  last_sign_in_at: number | null;
  /**
   * The account (UUID) whose owner made them: whoever was handed that invitation may be anybody, under whatever name.
   * Null once an administrator has made or reset them.
   */
  made_for: string | null;
}

export interface OperatorRolesTable {
  operator_id: string;
  account_id: string;
  role: OperatorRole;
}

export interface SessionsTable {
  id: string;
  operator_id: string;
  /** Of the 256 random bits in the cookie, hex. */
  secret_sha256: string;
  method: SignInMethod;
  /** Where it began. */
  address: string | null;
  user_agent: string | null;
  created_at: number;
  /** To within a minute: not every call is a write. */
  last_used_at: number;
  /** Its absolute end. */
  expires_at: number;
}

/** At most one an operator: a new one takes the place of the one before. */
export interface InvitationsTable {
  operator_id: string;
  secret_sha256: string;
  expires_at: number;
}

export interface TotpSecretsTable {
  operator_id: string;
  state: TotpState;
  /** Under the master key. */
  sealed: Uint8Array;
  /** The time step (RFC 6238 §4.2) of the last code that was taken: neither it nor one before counts again. */
  last_step: number | null;
  created_at: number;
}

export interface RecoveryCodesTable {
  operator_id: string;
  code_sha256: string;
}

export interface PasskeysTable {
  /** The credential's ID, base64url. */
  id: string;
  operator_id: string;
  name: string;
  /** COSE. */
  public_key: Uint8Array;
  counter: number;
  /** A JSON array. */
  transports: string;
  backed_up: 0 | 1;
  created_at: number;
  last_used_at: number | null;
}

/** Browsers from which an operator has signed in before, by a cookie of their own. */
export interface KnownBrowsersTable {
  operator_id: string;
  secret_sha256: string;
  last_used_at: number;
}

export interface OperatorTables {
  operators: OperatorsTable;
  operator_roles: OperatorRolesTable;
  sessions: SessionsTable;
  invitations: InvitationsTable;
  totp_secrets: TotpSecretsTable;
  recovery_codes: RecoveryCodesTable;
  passkeys: PasskeysTable;
  known_browsers: KnownBrowsersTable;
}

export type OperatorRow = Selectable<OperatorsTable>;
export type OperatorRoleRow = Selectable<OperatorRolesTable>;
export type SessionRow = Selectable<SessionsTable>;
export type TotpSecretRow = Selectable<TotpSecretsTable>;
export type PasskeyRow = Selectable<PasskeysTable>;
