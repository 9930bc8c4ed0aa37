// The server itself as the owner of keys and certificates that are of no account: the operators' listener's, the audit log's.

import type { Account } from '../registry/tables.ts';

/**
 * Stands where an account stands elsewhere. It is none: no row has its ID, nothing of it is shown as one, and as one of
 * the kind `production` it can have nothing made that devices could be admitted by.
 */
export const serverOwner: Account = {
  id: '',
  name: 'Fleetroot',
  kind: 'production',
  admission: 'approval',
  rekey: 'approve',
  key_type: 'p256',
  validity_seconds: 0,
  device_id_pattern: null,
  namespace: '',
  created_at: 0,
  ready_at: null,
  owner_key: null,
  deleted_at: null,
  gateway_incomplete: null,
};
