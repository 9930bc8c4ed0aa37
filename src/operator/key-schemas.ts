// The operator API's inputs and outputs that are about keys in custody.

import { type Static, Type } from 'typebox';
import { closed, instant, line, nullable, sha256, uuid } from './schemas.ts';

/** `key` is a key's ID, or its public key's SHA-256. */
export const KeyPath = Type.Object({ key: line });
export const KeyQuery = Type.Object({ custodian: Type.Optional(line), account: Type.Optional(line) }, closed);

/** The passphrase that an exported key is encrypted under. */
export const NewPassphrase = Type.Object({ passphrase: Type.String({ minLength: 12, maxLength: 1024 }) }, closed);
export const NewCheck = Type.Object({ key: Type.Optional(line) }, closed);
export const NewPlace = Type.Object({ to: line, exportable: Type.Optional(Type.Boolean()) }, closed);

export const KeySchema = Type.Object({
  id: uuid,
  account: Type.String(),
  account_name: nullable(
    Type.String({
      description:
        '`null` once the account is deleted, and for the keys of the server itself, whose `account` is empty.',
    }),
  ),
  purpose: Type.Enum(['fleet-root-ca', 'gateway-ca', 'provisioning-ca', 'operator-ca', 'audit']),
  custodian: Type.String(),
  key_type: Type.String(),
  exportable: Type.Boolean(),
  state: Type.Enum(['held', 'erased', 'destroying', 'destroyed'], {
    description: '`erased`: it lies outside until it is imported; `destroying`: its custodian was away.',
  }),
  public_key_sha256: sha256,
  created_at: instant,
  used_by: Type.Union([
    Type.Object({
      kind: Type.Enum(['fleet_root_ca', 'gateway_ca', 'provisioning_ca', 'operator_ca']),
      id: Type.String(),
      name: nullable(Type.String()),
      state: nullable(Type.String({ description: 'Of a Fleet Root CA or gateway CA.' })),
    }),
    Type.Null(),
  ]),
});
export const KeyDetailsSchema = Type.Object({
  ...KeySchema.properties,
  events: Type.Array(
    Type.Object({
      at: instant,
      event: Type.Enum(['created', 'imported', 'exported', 'moved', 'erased', 'destroyed']),
      custodian: Type.String({ description: 'Where it lay afterwards.' }),
    }),
  ),
});
export const MovedKeySchema = Type.Object({ ...KeySchema.properties, moved_from: Type.String() });
const finding = { fault: nullable(Type.String()), reason: nullable(Type.String()) };
export const CustodyCheckSchema = Type.Object({
  ok: Type.Boolean(),
  custodians: Type.Array(Type.Object({ custodian: Type.String(), ...finding })),
  keys: Type.Array(Type.Object({ ...KeySchema.properties, ...finding })),
});
export const ExportedKeySchema = Type.Object({
  key: uuid,
  public_key_sha256: sha256,
  private_key: Type.String({ description: 'PKCS#8, encrypted under the passphrase, PEM.' }),
});

export type KeyJson = Static<typeof KeySchema>;
export type KeyDetailsJson = Static<typeof KeyDetailsSchema>;
export type MovedKeyJson = Static<typeof MovedKeySchema>;
export type CustodyCheckJson = Static<typeof CustodyCheckSchema>;
export type ExportedKeyJson = Static<typeof ExportedKeySchema>;
