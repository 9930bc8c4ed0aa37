// The tables of the operators' listener and of its idempotency keys, as types.

import type { Selectable } from 'kysely';

/** The CA of the operators' listener. */
export interface OperatorCasTable {
  id: string;
  key_id: string;
  state: 'active' | 'retired';
  /** DER. */
  certificate: Uint8Array;
  sha256: string;
  not_after: number;
  created_at: number;
}

/** What the operators' listener shows: one under each CA at most. */
export interface OperatorCertificatesTable {
  id: string;
  operator_ca_id: string;
  /** DER. */
  certificate: Uint8Array;
  /** Its private key (PKCS#8), sealed. */
  sealed_key: Uint8Array;
  /** JSON: the hosts that it is for, in its order. */
  hosts: string;
  not_after: number;
  created_at: number;
}

/** A call with an Idempotency-Key: under way, or answered. */
export interface IdempotencyKeysTable {
  /** A digest of who called what, with which key. */
  id: string;
  /** Who called: `socket`, or `operator:` or `token:` and an ID. */
  principal: string;
  /** The account that the call is of; null for one of none. */
  account_id: string | null;
  /** A digest of what was sent. */
  fingerprint: string;
  created_at: number;
  /** Null while it is under way, and for good where the server was killed meanwhile. */
  answered_at: number | null;
  status: number | null;
  /** The reply; null where it held a secret. */
  body: Uint8Array | null;
}

export interface ApiTables {
  idempotency_keys: IdempotencyKeysTable;
  operator_cas: OperatorCasTable;
  operator_certificates: OperatorCertificatesTable;
}

export type IdempotencyKey = Selectable<IdempotencyKeysTable>;
export type OperatorCa = Selectable<OperatorCasTable>;
export type OperatorCertificate = Selectable<OperatorCertificatesTable>;
