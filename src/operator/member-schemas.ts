// The operator API's inputs and outputs of an account's operators.

import { type Static, Type } from 'typebox';
import { InvitationSchema } from './login-schemas.ts';
import { accountRoles } from './rule.ts';
import { closed, line, uuid } from './schemas.ts';

const role = Type.Enum(accountRoles);

/** `operator` is a name or an ID. */
export const MemberPath = Type.Object({ account: line, operator: line });
export const NewMember = Type.Object({ name: Type.String({ minLength: 1, maxLength: 128 }), role }, closed);
export const NewRole = Type.Object({ role }, closed);

export const MemberSchema = Type.Object({
  id: uuid,
  name: Type.String(),
  role,
  disabled: Type.Boolean(),
  single_sign_on: Type.Boolean({ description: 'Whether the role comes from the identity provider.' }),
});
export const InvitedMemberSchema = Type.Object({
  ...MemberSchema.properties,
  invitation: Type.Union([InvitationSchema, Type.Null()], {
    description: 'For a name that was new; null for an operator whom there was.',
  }),
});

export type MemberJson = Static<typeof MemberSchema>;
export type InvitedMemberJson = Static<typeof InvitedMemberSchema>;
