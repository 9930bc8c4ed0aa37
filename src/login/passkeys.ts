// Passkeys (WebAuthn): added by who is signed in, and signing in by themselves, as both factors in one.

import type {
  AuthenticationResponseJSON,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/server';
import { Problem } from '../problem.ts';
import type { OperatorRow, PasskeyRow } from '../registry/operator-tables.ts';
import { passkeyById, passkeysOf } from '../registry/second-factors.ts';
import { challengeLifetime } from './challenge.ts';
import type { Caller, Login } from './login.ts';
import { newRecoveryCodes } from './recovery-codes.ts';
import { beginSession, type NewlySignedIn } from './session.ts';
import { failed, requireLocalSignIn } from './sign-in.ts';
import { networkOf } from './throttle.ts';

/** Loaded when the first passkey is: it takes a tenth of a second that every start would else wait for. */
const webauthn = () => import('@simplewebauthn/server');

/** Where the browser shows the page that asks: scheme, host and port. */
export interface Site {
  readonly origin: string;
  /** WebAuthn §4: the relying party's ID, a domain name. */
  readonly rpId: string;
}

/** Ed25519, ECDSA with P-256, RSA with SHA-256 (COSE): what authenticators have. */
const algorithms = [-8, -7, -257];
/** Sign-ins that may fail from one network before the next is to be waited for. */
const free = 20;
const signingIn = 'sign in';
const adding = (operator: OperatorRow): string => `add to ${operator.id}`;

/**
 * The site that passkeys are for: that of `operator.public_url`, or without it `localhost`, where the call itself has come
 * by that name. Throws `conflict` for another: a passkey would be bound to a name that nobody has chosen.
 */
export function siteOf({ settings }: Login, called: { protocol: string; host: string }): Site {
  if (settings.publicUrl) return { origin: settings.publicUrl.origin, rpId: settings.publicUrl.hostname };
  const url = URL.parse(`${called.protocol}://${called.host}`);
  if (url?.hostname === 'localhost') return { origin: url.origin, rpId: 'localhost' };
  throw new Problem(
    'conflict',
    'A passkey is bound to the name of this server, which nobody has set.',
    'Set operator.public_url in the configuration, or call the server as localhost.',
  );
}

/** What the browser is to be told to make a passkey. */
export async function passkeyToAdd(
  { registry, challenges }: Login,
  operator: OperatorRow,
  site: Site,
): Promise<PublicKeyCredentialCreationOptionsJSON> {
  const there = await passkeysOf(registry.read, operator.id);
  return (await webauthn()).generateRegistrationOptions({
    rpName: 'Fleetroot',
    rpID: site.rpId,
    userName: operator.name,
    userID: new Uint8Array(Buffer.from(operator.id)),
    challenge: challenges.make(adding(operator)),
    timeout: challengeLifetime,
    attestationType: 'none',
    excludeCredentials: there.map(({ id, transports }) => ({ id, transports: JSON.parse(transports) as string[] })),
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
    supportedAlgorithmIDs: algorithms,
  });
}

/**
 * Adds the passkey that the browser has made. Gives recovery codes, where the operator had none. Throws `forbidden` where
 * it does not answer what it was told, and `conflict` for one that is known.
 */
export async function addPasskey(
  { registry, challenges }: Login,
  operator: OperatorRow,
  { name, response, site }: { name: string; response: RegistrationResponseJSON; site: Site },
): Promise<{ passkey: PasskeyRow; recovery_codes: string[] | null }> {
  let answered = '';
  const { registrationInfo } = await verified('forbidden', async () =>
    (await webauthn()).verifyRegistrationResponse({
      response,
      expectedChallenge: (challenge) => challenges.isOpen((answered = challenge), adding(operator)),
      expectedOrigin: site.origin,
      expectedRPID: site.rpId,
      requireUserVerification: true,
      supportedAlgorithmIDs: algorithms,
    }),
  );
  if (!registrationInfo || !(await challenges.take(answered, adding(operator)))) throw notGenuine('forbidden');
  const { credential, credentialBackedUp } = registrationInfo;
  const { codes, hashes } = newRecoveryCodes();
  const { passkey, recovery } = await registry.write('addPasskey', {
    passkey: {
      id: credential.id,
      operator_id: operator.id,
      name,
      public_key: credential.publicKey,
      counter: credential.counter,
      transports: JSON.stringify(credential.transports ?? []),
      backed_up: credentialBackedUp ? 1 : 0,
    },
    recovery: hashes,
  });
  return { passkey, recovery_codes: recovery ? codes : null };
}

/** What the browser is to be told to sign in: whose passkey it is, the passkey says. */
export async function passkeyToSignIn(
  { challenges }: Login,
  site: Site,
): Promise<PublicKeyCredentialRequestOptionsJSON> {
  return (await webauthn()).generateAuthenticationOptions({
    rpID: site.rpId,
    challenge: challenges.make(signingIn),
    timeout: challengeLifetime,
    userVerification: 'required',
  });
}

/** Signs in by a passkey. Throws `unauthenticated`, and `too_many_requests`. */
export async function signInByPasskey(
  login: Login,
  { response, site }: { response: AuthenticationResponseJSON; site: Site },
  caller: Caller,
): Promise<NewlySignedIn> {
  requireLocalSignIn(login);
  const attempt = login.throttle.begin([{ key: `passkey ${networkOf(caller.address)}`, free, forgiven: false }]);
  const found = await passkeyById(login.registry.read, response.id);
  try {
    if (!found) throw new Problem('unauthenticated');
    const { operator, passkey } = found;
    const { newCounter, credentialBackedUp } = await authenticated(login, { response, site, ...found });
    const used = { id: passkey.id, counter: newCounter, backed_up: credentialBackedUp ? 1 : 0 } as const;
    const how = { method: 'passkey', password: null, used: { passkey: used } } as const;
    const signedIn = await beginSession(login, operator, how, caller);
    attempt.succeeded();
    return signedIn;
  } catch (error) {
    throw failed(login, error, { operator: found?.operator, caller, attempt });
  }
}

async function authenticated(
  { challenges }: Login,
  given: { response: AuthenticationResponseJSON; site: Site; operator: OperatorRow; passkey: PasskeyRow },
) {
  const { response, site, operator, passkey } = given;
  let answered = '';
  const { verified: right, authenticationInfo } = await verified('unauthenticated', async () =>
    (await webauthn()).verifyAuthenticationResponse({
      response,
      expectedChallenge: (challenge) => challenges.isOpen((answered = challenge), signingIn),
      expectedOrigin: site.origin,
      expectedRPID: site.rpId,
      credential: { id: passkey.id, publicKey: new Uint8Array(passkey.public_key), counter: passkey.counter },
      requireUserVerification: true,
    }),
  );
  // WebAuthn §7.2 step 6: a discoverable credential says whose it is.
  const handle = Buffer.from(response.response.userHandle ?? '', 'base64url').toString('utf8');
  if (!right || handle !== operator.id) throw new Problem('unauthenticated');
  if (!(await challenges.take(answered, signingIn))) throw new Problem('unauthenticated');
  return authenticationInfo;
}

/** The library says by any error what is wrong with a response; all of it is the response's own fault. */
async function verified<T>(otherwise: 'forbidden' | 'unauthenticated', verify: () => Promise<T>): Promise<T> {
  try {
    return await verify();
  } catch (cause) {
    throw notGenuine(otherwise, cause);
  }
}

function notGenuine(code: 'forbidden' | 'unauthenticated', cause?: unknown): Problem {
  return new Problem(code, 'The passkey does not answer what was asked.', null, { cause });
}
