// Single sign-on: operators who are let in by an identity provider, with the roles that its claims give.

import { createHash } from 'node:crypto';
import { randomNonce, randomPKCECodeVerifier } from 'openid-client';
import { Problem } from '../problem.ts';
import type { OperatorRole } from '../registry/operator-tables.ts';
import { Challenges } from './challenge.ts';
import { claimOf, type Claims, IdentityProvider, type ProviderSettings } from './identity-provider.ts';
import type { Caller, Login } from './login.ts';
import { operatorName } from './operators.ts';
import { beginSession, type NewlySignedIn } from './session.ts';

/** How long there is to sign in at the provider, in milliseconds. */
export const ssoLifetime = 15 * 60_000;
/** The claims that people are called by, where no setting names one. */
const usualNames = ['preferred_username', 'email'];
/** The strongest first: of two roles in one account it counts. */
const strength: readonly OperatorRole[] = ['owner', 'operator', 'auditor', 'factory'];

/** What a value of the roles claim gives: everything, or a role in an account (by name or UUID). */
export type ToldRole =
  | { readonly administrator: true }
  | { readonly administrator: false; readonly account: string; readonly role: OperatorRole };

export interface SingleSignOnSettings extends ProviderSettings {
  /** The claim that an operator is called by; null for the usual ones. */
  readonly nameClaim: string | null;
  readonly rolesClaim: string;
  readonly roleMap: ReadonlyMap<string, readonly ToldRole[]>;
}

/** A sign-in that has begun: where the browser goes, and the cookie that it comes back with. */
export interface BegunSignOn {
  readonly url: URL;
  readonly cookie: string;
}

/** Sends people to the identity provider and takes them when they come back. */
export class SingleSignOn {
  readonly #login: Login;
  readonly #settings: SingleSignOnSettings;
  readonly #provider: IdentityProvider;
  readonly #states: Challenges;

  /** `redirectUri` gives where people come back to, as it is registered at the provider. */
  constructor(login: Login, settings: SingleSignOnSettings, redirectUri: () => string) {
    this.#login = login;
    this.#settings = settings;
    this.#provider = new IdentityProvider(settings, redirectUri, login.log);
    this.#states = new Challenges(login, ssoLifetime);
  }

  /** Begins a sign-in. Throws `unavailable` where the provider is not there. */
  async begin(): Promise<BegunSignOn> {
    const [verifier, nonce] = [randomPKCECodeVerifier(), randomNonce()];
    const cookie = `${verifier}.${nonce}`;
    const state = Buffer.from(this.#states.make(purposeOf(cookie))).toString('base64url');
    return { url: await this.#provider.authorizationUrl({ verifier, nonce, state }), cookie };
  }

  /**
   * Begins a session of whoever comes back with the query `answer` and the cookie of the beginning. Throws
   * `unauthenticated` where it was not begun in this browser, has ended, has been used, or the provider says no;
   * `forbidden` for somebody without a role here, `name_taken`, and `unavailable` where the provider is not there.
   */
  async finish(answer: URLSearchParams, cookie: string | null, caller: Caller): Promise<NewlySignedIn> {
    const state = answer.get('state') ?? '';
    const [verifier, nonce] = cookie?.split('.') ?? [];
    if (!cookie || !verifier || !nonce || !this.#states.isOpen(state, purposeOf(cookie))) throw notBegun();
    const { nameClaim, rolesClaim } = this.#settings;
    const wanted = [rolesClaim, nameClaim ?? usualNames[0]!];
    const claims = await this.#provider.claims(answer, { verifier, nonce, state }, wanted);
    if (!(await this.#states.take(state, purposeOf(cookie)))) throw notBegun();
    return this.#arrive(claims, caller);
  }

  async #arrive(claims: Claims, caller: Caller): Promise<NewlySignedIn> {
    const { registry, failures } = this.#login;
    const told = toldRoles(claims, this.#settings);
    const operator = await registry.write('recordArrival', {
      issuer: claims.iss,
      subject: claims.sub,
      names: namesOf(claims, this.#settings),
      administrator: told.some(({ administrator }) => administrator),
      roles: told
        .filter((each) => !each.administrator)
        .map(({ account, role }) => ({ account, role }))
        .toSorted((one, other) => strength.indexOf(one.role) - strength.indexOf(other.role)),
    });
    if (operator === null || operator.disabled_at !== null) {
      failures.note({ operator, address: caller.address, result: 'forbidden' });
      throw operator === null ? noRole() : new Problem('forbidden', `The operator ${operator.name} is disabled here.`);
    }
    return beginSession(this.#login, operator, { method: 'single_sign_on', password: null, used: {} }, caller);
  }
}

function notBegun(): Problem {
  return new Problem(
    'unauthenticated',
    'This sign-in was not begun in this browser, has taken too long, or has been used.',
    'Begin again at /api/v1/session/sso.',
  );
}

function noRole(): Problem {
  return new Problem(
    'forbidden',
    'The identity provider knows you, but gives you no role on this server.',
    'Whoever administers this server says which groups have one: oidc.role_map in its configuration.',
  );
}

/** What the values of the roles claim, a list or one text, give here; others mean nothing. */
function toldRoles(claims: Claims, { rolesClaim, roleMap }: SingleSignOnSettings): readonly ToldRole[] {
  const values = [claimOf(claims, rolesClaim)].flat();
  return [...new Set(values)].flatMap((value) => (typeof value === 'string' ? (roleMap.get(value) ?? []) : []));
}

/** What somebody may be called here, the best first; the last is nobody else's. */
function namesOf(claims: Claims, { nameClaim }: SingleSignOnSettings): string[] {
  const texts = [nameClaim ?? [], usualNames, 'sub'].flat().map((name) => claimOf(claims, name));
  const names = texts.map((text) => (typeof text === 'string' ? operatorName(text) : null));
  const own = `sso-${createHash('sha256').update(`${claims.iss} ${claims.sub}`).digest('hex').slice(0, 16)}`;
  return [...new Set([...names.filter((name) => name !== null), own])];
}

/** A state counts with the cookie that it was made with, and no other. */
const purposeOf = (cookie: string): string => `single sign-on ${cookie}`;
