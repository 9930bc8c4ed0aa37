// The operator API's inputs and outputs that are about back-ups and restorations.

import { type Static, Type } from 'typebox';
import { closed, instant, nullable, sha256 } from './schemas.ts';

const count = Type.Integer({ minimum: 0 });
/** Of the hybrid kind that resists quantum computers, one has some 2,000 characters. */
const recipient = Type.String({ minLength: 1, maxLength: 4096, description: 'Of age: `age1…`.' });

export const NewBackup = Type.Object(
  {
    recipients: Type.Optional(Type.Array(recipient, { minItems: 1, maxItems: 20 })),
    passphrase: Type.Optional(Type.String({ minLength: 12, maxLength: 1024 })),
    with_master_key: Type.Optional(Type.Boolean({ description: 'Whether the file of the master key goes into it.' })),
  },
  closed,
);

/** What is in a back-up. */
const BackupSchema = Type.Object({
  made_at: instant,
  program: Type.String({ description: 'The version of the program that made it.' }),
  schema: count,
  accounts: count,
  devices: count,
  certificates: count,
  keys: Type.Record(Type.String(), count, { description: 'By the custodian in which they lie.' }),
  audit: Type.Union([
    Type.Object(
      { log: Type.String(), number: count, hash: sha256 },
      { description: 'Its last entry that is chained.' },
    ),
    Type.Null(),
  ]),
  master_key: Type.Object({
    ids: Type.Array(Type.String(), { description: 'By which it is told; two in the middle of a rotation.' }),
    place: Type.String(),
    included: Type.Boolean(),
  }),
});
export type BackupJson = Static<typeof BackupSchema>;

export const RestorationSchema = Type.Object({
  restored_at: nullable(instant),
  backup_made_at: nullable(instant),
  audit_number: nullable(count),
  audit_hash: nullable(sha256),
});
export type RestorationJson = Static<typeof RestorationSchema>;
