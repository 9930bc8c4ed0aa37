// One operator in the registry with one row in every table of theirs, for tests that go through all of it.

import type { Insertable } from 'kysely';
import type { OperatorTables } from '../../src/registry/operator-tables.ts';

/** What an operator with this ID has, in the order of the tables' references; their roles are their accounts' rows. */
export function rowsOfOperator(operator_id: string) {
  const mark = operator_id;
  return {
    operators: [
      {
        id: operator_id,
        name: `${mark}-name`,
        administrator: 0,
        password: `${mark}-password`,
        disabled_at: null,
        created_at: 1,
        last_sign_in_at: null,
        made_for: null,
      },
    ],
    sessions: [
      {
        id: `${mark}-session`,
        operator_id,
        secret_sha256: `${mark}-session-sha256`,
        method: 'password',
        address: null,
        user_agent: null,
        created_at: 1,
        last_used_at: 1,
        expires_at: 9_000_000_000_000,
      },
    ],
    invitations: [{ operator_id, secret_sha256: `${mark}-invitation-sha256`, expires_at: 9_000_000_000_000 }],
    totp_secrets: [
      { operator_id, state: 'active', sealed: Uint8Array.of(1), last_step: 1, created_at: 1 },
      { operator_id, state: 'pending', sealed: Uint8Array.of(2), last_step: null, created_at: 1 },
    ],
    recovery_codes: [{ operator_id, code_sha256: `${mark}-code-sha256` }],
    passkeys: [
      {
        id: `${mark}-passkey`,
        operator_id,
        name: `${mark}-passkey-name`,
        public_key: Uint8Array.of(3),
        counter: 0,
        transports: '[]',
        backed_up: 0,
        created_at: 1,
        last_used_at: null,
      },
    ],
    known_browsers: [{ operator_id, secret_sha256: `${mark}-browser-sha256`, last_used_at: 1 }],
  } satisfies { [Table in Exclude<keyof OperatorTables, 'operator_roles'>]: Insertable<OperatorTables[Table]>[] };
}
