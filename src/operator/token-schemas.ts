// The operator API's inputs and outputs of API tokens.

import { type Static, Type } from 'typebox';
import { accountRoles } from './rule.ts';
import { closed, instant, line, nullable, uuid } from './schemas.ts';

export const TokenPath = Type.Object({ token: line });
export const AccountTokenPath = Type.Object({ account: line, token: line });

const newToken = {
  description: Type.String({
    minLength: 1,
    maxLength: 200,
    description: 'What it is for; it stands in the audit log.',
  }),
  not_after: Type.Optional(instant),
};
export const NewAccountToken = Type.Object({ role: Type.Enum(accountRoles), ...newToken }, closed);
export const NewServerToken = Type.Object({ role: Type.Enum(['administrator', 'metrics']), ...newToken }, closed);

export const TokenSchema = Type.Object({
  id: uuid,
  account: nullable({ ...uuid, description: 'Null for one of the whole server.' }),
  account_name: nullable(Type.String()),
  role: Type.Enum([...accountRoles, 'administrator', 'metrics']),
  description: Type.String(),
  state: Type.Enum(['active', 'expired']),
  created_at: instant,
  not_after: instant,
  last_used_at: nullable(instant),
  last_address: nullable(Type.String()),
  made_by: Type.Object({
    kind: Type.Enum(['operator', 'token', 'socket', 'server']),
    id: nullable(Type.String()),
    name: Type.String(),
  }),
});
export const MadeTokenSchema = Type.Object({
  ...TokenSchema.properties,
  token: Type.String({ description: 'The token itself: told here, and kept nowhere.' }),
});

export type TokenJson = Static<typeof TokenSchema>;
export type MadeTokenJson = Static<typeof MadeTokenSchema>;
