// The table of the keys of TLS tickets, as types.

import type { Selectable } from 'kysely';

/** One of the keys that TLS tickets are sealed under, whichever process of the server gives them out. */
export interface TicketKeysTable {
  id: string;
  /** 32 octets, under the master key. */
  sealed_key: Uint8Array;
  /** From when on it is the one, in milliseconds since 1970; no two begin together. */
  starts_at: number;
  created_at: number;
}

export interface TicketTables {
  ticket_keys: TicketKeysTable;
}

export type TicketKey = Selectable<TicketKeysTable>;
