// The identity provider: where it sends people to sign in, and what it says of who comes back (OpenID Connect Core §3.1).

import { readFile } from 'node:fs/promises';
import {
  allowInsecureRequests,
  AuthorizationResponseError,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  calculatePKCECodeChallenge,
  type ClientAuth,
  ClientError,
  ClientSecretBasic,
  ClientSecretPost,
  type Configuration,
  discovery,
  enableNonRepudiationChecks,
  fetchUserInfo,
  None,
  ResponseBodyError,
} from 'openid-client';
import type { Log } from '../log.ts';
import { Problem } from '../problem.ts';

/** How long what the provider said of itself is believed, in milliseconds. */
const metadataLifetime = 60 * 60_000;

export interface ProviderSettings {
  /** As the provider itself writes it. */
  readonly issuer: string;
  readonly clientId: string;
  /** Null for a public client. */
  readonly clientSecret: { readonly file: string } | { readonly variable: string } | null;
  readonly scopes: string;
  /** How long a call to the provider may take, in milliseconds. */
  readonly timeout: number;
}

/** What is known of a sign-in that has begun: the browser keeps it. */
export interface Begun {
  /** PKCE (RFC 7636). */
  readonly verifier: string;
  readonly nonce: string;
  readonly state: string;
}

/** What the provider says of somebody. */
export type Claims = Readonly<Record<string, unknown>> & { readonly iss: string; readonly sub: string };

/** The provider, asked what it is at the first sign-in: the server starts without it. */
export class IdentityProvider {
  readonly #settings: ProviderSettings;
  readonly #redirectUri: () => string;
  readonly #log: Log;
  #metadata: { readonly at: number; readonly configuration: Promise<Configuration> } | null = null;

  /** `redirectUri` gives where people come back to, as it is registered at the provider. */
  constructor(settings: ProviderSettings, redirectUri: () => string, log: Log) {
    this.#settings = settings;
    this.#redirectUri = redirectUri;
    this.#log = log;
  }

  /** Where to send somebody who wants to sign in. Throws `unavailable`. */
  async authorizationUrl({ verifier, nonce, state }: Begun): Promise<URL> {
    const configuration = await this.#configuration();
    return buildAuthorizationUrl(configuration, {
      redirect_uri: this.#redirectUri(),
      scope: this.#settings.scopes,
      state,
      nonce,
      code_challenge: await calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
  }

  /**
   * Who has come back with the query `answer`: the claims of the ID token, once its signature, issuer, audience, nonce and
   * times are found right, and those of UserInfo where one of `wanted` is missing. Throws `unauthenticated` where the
   * provider or one of these says no, `unavailable` where the provider cannot be asked.
   */
  async claims(answer: URLSearchParams, begun: Begun, wanted: readonly string[]): Promise<Claims> {
    const configuration = await this.#configuration();
    const url = new URL(this.#redirectUri());
    url.search = answer.toString();
    try {
      const tokens = await authorizationCodeGrant(configuration, url, {
        pkceCodeVerifier: begun.verifier,
        expectedNonce: begun.nonce,
        expectedState: begun.state,
        idTokenExpected: true,
      });
      const claims = tokens.claims()!;
      const complete = wanted.every((claim) => claimOf(claims, claim) !== undefined);
      if (complete || configuration.serverMetadata().userinfo_endpoint === undefined) return claims;
      return { ...(await fetchUserInfo(configuration, tokens.access_token, claims.sub)), ...claims };
    } catch (error) {
      if (!isRefusal(error)) this.#metadata = null;
      throw this.#problemOf(error);
    }
  }

  async #configuration(): Promise<Configuration> {
    const now = performance.now();
    if (this.#metadata === null || now - this.#metadata.at > metadataLifetime) {
      this.#metadata = { at: now, configuration: this.#discover() };
    }
    const asked = this.#metadata;
    try {
      return await asked.configuration;
    } catch (error) {
      if (this.#metadata === asked) this.#metadata = null;
      throw this.#problemOf(error);
    }
  }

  async #discover(): Promise<Configuration> {
    const { issuer, clientId, timeout } = this.#settings;
    const url = new URL(issuer);
    return discovery(url, clientId, undefined, await this.#clientAuth(), {
      timeout: timeout / 1000,
      // The signature is checked although the ID token comes from the provider itself over TLS (§3.1.3.7 lets it go).
      execute: [enableNonRepudiationChecks, ...(url.protocol === 'http:' ? [allowInsecureRequests] : [])],
    });
  }

  /** As the provider takes it: client_secret_basic unless it says that it does not (OpenID Connect Discovery §3). */
  async #clientAuth(): Promise<ClientAuth> {
    const secret = await this.#clientSecret();
    if (secret === null) return None();
    const [basic, post] = [ClientSecretBasic(secret), ClientSecretPost(secret)];
    return (server, ...rest) => {
      const taken = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
      return (taken.includes('client_secret_basic') ? basic : post)(server, ...rest);
    };
  }

  async #clientSecret(): Promise<string | null> {
    const { clientSecret } = this.#settings;
    if (clientSecret === null) return null;
    const secret = 'file' in clientSecret ? await read(clientSecret.file) : process.env[clientSecret.variable];
    if (secret?.trim()) return secret.trim();
    const place = 'file' in clientSecret ? clientSecret.file : `the variable ${clientSecret.variable}`;
    throw new Problem('unavailable', 'Single sign-on does not work: the server has no client secret.', null, {
      cause: new Error(`There is no client secret in ${place}.`),
    });
  }

  /** What whoever signs in is told; what the provider said in full is in the log alone. */
  #problemOf(error: unknown): Problem {
    const { issuer } = this.#settings;
    this.#log.warn({ err: error, issuer }, 'a sign-in by the identity provider failed');
    if (error instanceof Problem) return error;
    if (error instanceof AuthorizationResponseError) {
      return new Problem('unauthenticated', `The identity provider let nobody in: ${JSON.stringify(error.error)}.`);
    }
    if (isRefusal(error)) {
      return new Problem(
        'unauthenticated',
        'What the identity provider answered does not belong to this sign-in, or has been used.',
        'Begin again; where it stays so, the log of the server says what was wrong.',
      );
    }
    return new Problem(
      'unavailable',
      'The identity provider cannot be reached, or does not answer as one.',
      'Try again later; the log of the server says more.',
    );
  }
}

/** A claim by its name, or, where there is none of that name, by the path that its dots make. */
export function claimOf(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  return name.split('.').reduce<unknown>((within, part) => {
    const there = typeof within === 'object' && within !== null && Object.hasOwn(within, part);
    return there ? (within as Record<string, unknown>)[part] : undefined;
  }, claims);
}

/** What openid-client says of an answer that does not fit: this sign-in fails, the provider is there. */
const misfits: readonly unknown[] = [
  'OAUTH_INVALID_RESPONSE',
  'OAUTH_JWT_CLAIM_COMPARISON_FAILED',
  'OAUTH_JWT_TIMESTAMP_CHECK_FAILED',
  'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED',
  'OAUTH_KEY_SELECTION_FAILED',
];

/** Whether the sign-in is at fault; everything else is the provider's or the configuration's. */
function isRefusal(error: unknown): boolean {
  if (error instanceof ResponseBodyError) return error.error === 'invalid_grant';
  return error instanceof ClientError && misfits.includes(error.code);
}

async function read(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(() => undefined);
}
