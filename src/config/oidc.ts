// The settings of single sign-on: the identity provider, who this server is there, and what its claims mean here.

import { resolve } from 'node:path';
import { parseDuration } from '../time.ts';
import { asciiText as text, isLoopback, type Parse } from './value.ts';

/** What a value of the roles claim gives. */
export type ToldRole =
  | { readonly administrator: true }
  | {
      readonly administrator: false;
      /** Name or UUID. */
      readonly account: string;
      readonly role: 'owner' | 'operator' | 'auditor' | 'factory';
    };

export interface OidcSettings {
  /** As the provider itself writes it; `http://` only on this machine itself. */
  readonly issuer: string;
  readonly clientId: string;
  /** Null for a public client. */
  readonly clientSecret: { readonly file: string } | { readonly variable: string } | null;
  readonly scopes: string;
  /** The claim that an operator is called by; null for the usual ones. */
  readonly nameClaim: string | null;
  readonly rolesClaim: string;
  readonly roleMap: ReadonlyMap<string, readonly ToldRole[]>;
  /** How long a call to the provider may take, in milliseconds. */
  readonly timeout: number;
  /** Whether nobody signs in with a password. */
  readonly only: boolean;
}

const issuer: Parse = (value) => {
  const url = typeof value === 'string' ? URL.parse(value) : null;
  if (!url || !['https:', 'http:'].includes(url.protocol) || url.search || url.hash || url.username + url.password) {
    throw new Error('is to be the issuer as the provider writes it, such as "https://login.acme.example/realms/acme"');
  }
  if (url.protocol === 'https:' || isLoopback(url.hostname)) return value;
  throw new Error('is to begin with https://: without TLS only a provider on this machine itself (127.0.0.1) is used');
};

const scopes: Parse = (value) => {
  const words = String(text(value)).split(' ').filter(Boolean);
  if (words.includes('openid')) return words.join(' ');
  throw new Error('is to be scopes with openid among them, such as "openid profile email"');
};

const bool: Parse = (value) => {
  if (value === true || value === 'true') return true;
  if (value === false || value === 'false') return false;
  throw new Error('is to be true or false');
};

const timeout: Parse = (value) => {
  const time = typeof value === 'string' ? parseDuration(value) : null;
  if (time !== null && time <= 60_000) return time;
  throw new Error('is to be a time such as "10s", of a minute at the most');
};

/** A table in fleetroot.toml; in a variable the same in JSON. */
const roleMap: Parse = (value) => {
  const table = typeof value === 'string' ? parsedJson(value) : value;
  if (typeof table !== 'object' || table === null || Array.isArray(table)) throw wrongMap();
  return new Map(Object.entries(table).map(([claim, told]) => [claim, [told].flat().map(toldRole)]));
};

function parsedJson(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return null;
  }
}

function toldRole(told: unknown): ToldRole {
  if (told === 'administrator') return { administrator: true };
  const [, account, role] = /^([a-z0-9-]+):(owner|operator|auditor|factory)$/.exec(String(told)) ?? [];
  if (account === undefined || role === undefined) throw wrongMap();
  return { administrator: false, account, role: role as 'owner' };
}

function wrongMap(): Error {
  return new Error(
    'is to be a table whose values are "administrator" or "ACCOUNT:ROLE" (owner, operator, auditor, factory), or lists of these',
  );
}

/** Each setting: its key, how it is read, and its default. */
export const oidcSettings = {
  'oidc.issuer': [issuer, null],
  'oidc.client_id': [text, null],
  'oidc.client_secret_file': [text, null],
  'oidc.client_secret_variable': [text, null],
  'oidc.scopes': [scopes, 'openid profile email'],
  'oidc.name_claim': [text, null],
  'oidc.roles_claim': [text, 'groups'],
  'oidc.role_map': [roleMap, null],
  'oidc.timeout': [timeout, 10_000],
  'oidc.only': [bool, false],
} as const satisfies Record<string, readonly [Parse, unknown]>;

/** The key of one of them. */
export type OidcSettingKey = keyof typeof oidcSettings;

/** The settings, each read once by its key; null where there is no identity provider. Adds what is wrong to `faults`. */
export function readOidc(read: (key: OidcSettingKey) => unknown, faults: string[]): OidcSettings | null {
  const before = faults.length;
  const values = new Map((Object.keys(oidcSettings) as OidcSettingKey[]).map((key) => [key, read(key)]));
  const get = (key: OidcSettingKey) => values.get(key) as string | null;
  if (get('oidc.issuer') === null) {
    const alone = [...values].find(([key, value]) => value !== oidcSettings[key][1])?.[0];
    // An issuer that is given and wrong is a fault already.
    if (alone !== undefined && faults.length === before) faults.push(`${alone} is given, but not oidc.issuer`);
    return null;
  }
  const [file, variable] = [get('oidc.client_secret_file'), get('oidc.client_secret_variable')];
  if (get('oidc.client_id') === null) faults.push('oidc.issuer is given, but not oidc.client_id');
  if (values.get('oidc.role_map') === null) {
    faults.push('oidc.issuer is given, but not oidc.role_map: nobody would have a role');
  }
  if (file !== null && variable !== null) {
    faults.push('oidc.client_secret_file and oidc.client_secret_variable are given: keep one');
  }
  if (faults.length > before) return null;
  return {
    issuer: get('oidc.issuer')!,
    clientId: get('oidc.client_id')!,
    clientSecret: file === null ? (variable === null ? null : { variable }) : { file: resolve(file) },
    scopes: get('oidc.scopes')!,
    nameClaim: get('oidc.name_claim'),
    rolesClaim: get('oidc.roles_claim')!,
    roleMap: values.get('oidc.role_map') as OidcSettings['roleMap'],
    timeout: values.get('oidc.timeout') as number,
    only: values.get('oidc.only') as boolean,
  };
}
