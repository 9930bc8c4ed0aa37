// Passkeys as the browser has them: one is shown to sign in, or made to be added.

import { type Answer, answerOf, api } from '../../api/client.ts';
import type { operations } from '../../api/generated/openapi.d.ts';
import { texts } from '../../texts.ts';

/** What an operation is sent. */
type BodyOf<Name extends 'signInByPasskey' | 'addPasskey'> =
  operations[Name]['requestBody']['content']['application/json'];

/** Whether this browser can do it on this page: it has to come by HTTPS, or from localhost. */
export const passkeysWork = 'PublicKeyCredential' in window && 'parseRequestOptionsFromJSON' in PublicKeyCredential;

/** Signs in by a passkey, which the reader chooses. */
export async function signInByPasskey(): Promise<Answer<'signInByPasskey'>> {
  const options: unknown = await answerOf(api.POST('/api/v1/session/passkey/options'));
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options as PublicKeyCredentialRequestOptionsJSON);
  const shown = await asked(navigator.credentials.get({ publicKey }), texts.login.passkeyNotShown);
  const credential = shown.toJSON() as object as BodyOf<'signInByPasskey'>['credential'];
  return answerOf(api.POST('/api/v1/session/passkey', { body: { credential } }));
}

/** Has the browser make a passkey, and adds it by this name. */
export async function addPasskey(name: string, password: string): Promise<Answer<'addPasskey'>> {
  const options: unknown = await answerOf(api.POST('/api/v1/session/passkeys/options', { body: { password } }));
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options as PublicKeyCredentialCreationOptionsJSON);
  const made = await asked(navigator.credentials.create({ publicKey }), texts.login.passkeyNotMade);
  const credential = made.toJSON() as object as BodyOf<'addPasskey'>['credential'];
  return answerOf(api.POST('/api/v1/session/passkeys', { body: { name, credential } }));
}

/** What the browser gave. It says the same of all that may have gone wrong, so that a page learns nothing of it. */
async function asked(asking: Promise<Credential | null>, otherwise: string): Promise<PublicKeyCredential> {
  const credential = await asking.catch(() => null);
  if (credential === null) throw new Error(otherwise);
  return credential as PublicKeyCredential;
}
