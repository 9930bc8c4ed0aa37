// The inputs and outputs of signing in, of one's own login, and of operators.

import { type Static, Type } from 'typebox';
import { closed, instant, line, nullable, uuid } from './schemas.ts';

/** Longer than any password may be, so that one that is too long is told so. */
const password = Type.String({ minLength: 1, maxLength: 4096 });
const secret = Type.String({ minLength: 1, maxLength: 256 });
const name = Type.String({ minLength: 1, maxLength: 128 });
const code = Type.String({ minLength: 1, maxLength: 64 });

// What people send

export const OperatorPath = Type.Object({ operator: line });
export const SessionPath = Type.Object({ session: line });
export const PasskeyPath = Type.Object({ passkey: Type.String({ minLength: 1, maxLength: 1400 }) });
export const PasswordSignInBody = Type.Object(
  {
    name,
    password,
    totp: Type.Optional(Type.String({ ...code, description: 'A code of the authenticator app, or a recovery code.' })),
  },
  closed,
);
export const NewFirstAdministrator = Type.Object({ secret, name, password }, closed);
export const AcceptedInvitation = Type.Object({ secret, password }, closed);
export const NewOperator = Type.Object(
  { name, administrator: Type.Optional(Type.Boolean()), password: Type.Optional(password) },
  closed,
);
export const OperatorChange = Type.Object(
  {
    name: Type.Optional(name),
    administrator: Type.Optional(Type.Boolean()),
    disabled: Type.Optional(Type.Boolean()),
  },
  { ...closed, minProperties: 1 },
);
export const NewPassword = Type.Object({ old: password, new: password }, closed);
export const TotpCode = Type.Object({ code }, closed);
export const PresentPassword = Type.Object({ password }, closed);

const base64url = (maxLength: number) => Type.String({ maxLength, pattern: '^[A-Za-z0-9_-]*$' });
const transports = Type.Optional(Type.Array(Type.String({ maxLength: 32 }), { maxItems: 16 }));
/** As `navigator.credentials` gives them by `toJSON()` (WebAuthn Level 3 §5.1.8); what else is in them is passed over. */
const credential = {
  id: base64url(1400),
  rawId: base64url(1400),
  type: Type.Literal('public-key'),
  clientExtensionResults: Type.Optional(Type.Object({})),
  authenticatorAttachment: Type.Optional(Type.Union([Type.String({ maxLength: 32 }), Type.Null()])),
};
const made = Type.Object({
  ...credential,
  response: Type.Object({ clientDataJSON: base64url(16_384), attestationObject: base64url(65_536), transports }),
});
const shown = Type.Object({
  ...credential,
  response: Type.Object({
    clientDataJSON: base64url(16_384),
    authenticatorData: base64url(16_384),
    signature: base64url(4096),
    userHandle: Type.Optional(Type.Union([base64url(128), Type.Null()])),
  }),
});
export const NewPasskey = Type.Object({ name: Type.String({ minLength: 1, maxLength: 64 }), credential: made }, closed);
export const PasskeySignInBody = Type.Object({ credential: shown }, closed);

// What is answered

export const RoleSchema = Type.Object({
  account: uuid,
  account_name: Type.String(),
  role: Type.Enum(['owner', 'operator', 'auditor', 'factory']),
});
const roles = Type.Array(RoleSchema);
const Person = Type.Object({
  id: uuid,
  name: Type.String(),
  administrator: Type.Boolean(),
  roles,
});
const methods = ['password', 'password_and_totp', 'password_and_recovery_code', 'passkey', 'single_sign_on'] as const;
export const BegunSessionSchema = Type.Object({
  operator: Person,
  method: Type.Enum(methods),
  expires_at: Type.String({ ...instant, description: 'When the session ends, however much it is used.' }),
  recovery_codes_left: Type.Integer(),
});
/** Who calls, however. */
export const SessionSchema = Type.Object({
  kind: Type.Enum(['socket', 'operator', 'token']),
  id: nullable(Type.String()),
  name: Type.String(),
  administrator: Type.Boolean(),
  roles,
  method: Type.Union([Type.Enum(methods), Type.Null()]),
  session: nullable(Type.String()),
  signed_in_at: nullable(instant),
  expires_at: nullable(instant),
});
export const OwnSessionSchema = Type.Object({
  id: uuid,
  present: Type.Boolean({ description: 'Whether it is the one that asks.' }),
  method: Type.Enum(methods),
  address: nullable(Type.String()),
  user_agent: nullable(Type.String()),
  created_at: instant,
  last_used_at: instant,
  expires_at: instant,
});
export const PasskeySchema = Type.Object({
  id: Type.String(),
  name: Type.String(),
  backed_up: Type.Boolean(),
  created_at: instant,
  last_used_at: nullable(instant),
});
const recoveryCodes = Type.Union([Type.Array(Type.String()), Type.Null()]);
export const AddedPasskeySchema = Type.Object({ ...PasskeySchema.properties, recovery_codes: recoveryCodes });
export const ConfirmedTotpSchema = Type.Object({ recovery_codes: recoveryCodes });
export const RecoveryCodesSchema = Type.Object({ recovery_codes: Type.Array(Type.String()) });
export const TotpSchema = Type.Object({ uri: Type.String({ description: '`otpauth://…`, told once.' }) });
/** For `navigator.credentials`, by `PublicKeyCredential.parse…OptionsFromJSON()`. */
export const PasskeyOptionsSchema = Type.Object({ challenge: Type.String() }, { additionalProperties: true });
export const OperatorSchema = Type.Object({
  ...Person.properties,
  disabled: Type.Boolean(),
  has_password: Type.Boolean(),
  totp: Type.Boolean(),
  passkeys: Type.Integer(),
  invited_until: nullable(instant),
  created_at: instant,
  last_sign_in_at: nullable(instant),
});
export const InvitationSchema = Type.Object({
  secret: Type.String({ description: 'Told once.' }),
  url: Type.String(),
  expires_at: instant,
});
export const InvitedOperatorSchema = Type.Object({
  ...OperatorSchema.properties,
  invitation: Type.Union([InvitationSchema, Type.Null()]),
});
export const DoneSchema = Type.Object({ done: Type.Literal(true) });
export const EndedSchema = Type.Object({ ended: Type.Integer() });

export type RoleJson = Static<typeof RoleSchema>;
export type OperatorJson = Static<typeof OperatorSchema>;
export type InvitationJson = Static<typeof InvitationSchema>;
export type InvitedOperatorJson = Static<typeof InvitedOperatorSchema>;
export type OwnSessionJson = Static<typeof OwnSessionSchema>;
export type PasskeyJson = Static<typeof PasskeySchema>;
export type SessionJson = Static<typeof SessionSchema>;
export type BegunSessionJson = Static<typeof BegunSessionSchema>;
export type EndedJson = Static<typeof EndedSchema>;
