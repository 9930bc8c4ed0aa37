// Back ends of an account: which paths go where, and the table of the open-source deployment.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { Problem } from '../problem.ts';
import type { Account, Upstream } from '../registry/tables.ts';
import type { Secret } from '../secret.ts';
import { requireMayName } from './accounts.ts';
import type { Provisioning, Seal } from './provisioning.ts';

const standardTimeout = 30_000;

/** A back end as an operator names it. */
export interface UpstreamSettings {
  /** Whole path segments, such as `/director`. */
  readonly prefix: string;
  readonly url: string;
  /** What stands for the prefix at the back end; may hold `{device_uuid}`. */
  readonly rewrite?: string | null;
  /** PEM: who may have signed the back end's certificate; the public roots unless given. */
  readonly ca?: string | null;
  /** PEM: the client certificate shown to the back end, with its key. */
  readonly certificate?: string | null;
  readonly key?: string | null;
  /** The Host field, where it is not the URL's. */
  readonly host?: string | null;
  /** How long the back end may take to answer, in milliseconds. */
  readonly timeout_ms?: number;
}

/** What the key of a back end's client certificate is called in the seal. */
export const upstreamKeyContext = ({ account_id, prefix }: Pick<Upstream, 'account_id' | 'prefix'>): string =>
  `upstream:${account_id}:${prefix}`;

/** Opens the key of a back end's client certificate (PEM). The caller wipes it. */
export function openUpstreamKey(seal: Seal, upstream: Upstream): Secret {
  return seal.open(upstream.sealed_key ?? Buffer.alloc(0), upstreamKeyContext(upstream));
}

/**
 * Sets the back end of a prefix. Unless an `administrator` of the server does, it is connected to where the server may go
 * on behalf of others (outbound.ts), now and at each connection. Throws `invalid_request`, `destination_not_allowed`.
 */
export async function setUpstream(
  provisioning: Provisioning,
  account: Account,
  settings: UpstreamSettings,
  { administrator }: { administrator: boolean },
): Promise<Upstream> {
  return provisioning.registry.write('setUpstream', shape(provisioning, account, settings, administrator));
}

/** The namespace of the open-source deployment (OTA Community Edition). */
const otaCommunityNamespace = 'default';

/** Its paths and services. */
const otaCommunity: readonly (readonly [prefix: string, service: string, rewrite: string])[] = [
  ['/director', 'director', '/api/v1/device/{device_uuid}'],
  ['/repo', 'reposerver', '/api/v1/user_repo'],
  ['/treehub', 'treehub', '/api/v2'],
  ['/campaigner', 'campaigner', '/api/v2/device'],
  ['/system_info', 'device-registry', '/api/v1/devices/{device_uuid}/system_info'],
  ['/events', 'device-registry', '/api/v1/devices/{device_uuid}/events'],
  ['/core/installed', 'device-registry', '/api/v1/mydevice/{device_uuid}/packages'],
];

/**
 * Sets the back ends of the open-source deployment; `base` is a URL that holds `{service}`.
 * Throws as `setUpstream` does, and `forbidden` where its namespace is not the account's and the caller may not give it.
 */
export async function presetUpstreams(
  provisioning: Provisioning,
  account: Account,
  base: string,
  caller: { administrator: boolean },
): Promise<Upstream[]> {
  const { registry } = provisioning;
  const upstreams = presetOf(provisioning, account, base, caller);
  await registry.write('setUpstreams', { account_id: account.id, upstreams });
  await registry.write('setPolicy', { account_id: account.id, namespace: otaCommunityNamespace });
  return upstreams;
}

/** What `presetUpstreams` would set. Throws as it does. */
export function presetOf(
  provisioning: Provisioning,
  account: Account,
  base: string,
  caller: { administrator: boolean },
): Upstream[] {
  if (!base.includes('{service}')) {
    throw new Problem(
      'invalid_request',
      `${JSON.stringify(base)} does not hold {service}.`,
      'Such as http://{service}.ota.ce, where {service} becomes director, reposerver, treehub and so on.',
    );
  }
  const upstreams = otaCommunity.map(([prefix, service, rewrite]) =>
    shape(provisioning, account, { prefix, url: base.replaceAll('{service}', service), rewrite }, caller.administrator),
  );
  requireMayName(account, otaCommunityNamespace, caller);
  return upstreams;
}

function shape(
  { seal, outbound }: Provisioning,
  account: Account,
  settings: UpstreamSettings,
  administrator: boolean,
): Upstream {
  const { ca = null, certificate = null, key = null, rewrite = null, host = null } = settings;
  const named = { account_id: account.id, prefix: checkPrefix(settings.prefix) };
  checkUrl(settings.url);
  if (!administrator) outbound.requireUrl(settings.url);
  checkRewrite(rewrite);
  checkCredentials(settings.url, ca, certificate, key);
  if (host !== null && !/^[A-Za-z0-9.[\]:_-]{1,255}$/.test(host)) {
    throw new Problem('invalid_request', `${JSON.stringify(host)} is no value of a Host field.`);
  }
  const timeout_ms = settings.timeout_ms ?? standardTimeout;
  if (!(Number.isInteger(timeout_ms) && timeout_ms >= 1 && timeout_ms <= 3_600_000)) {
    throw new Problem('invalid_request', 'The time-out of a back end is to be from 1 ms to an hour.');
  }
  const sealed_key = key === null ? null : seal.seal(Buffer.from(key), upstreamKeyContext(named));
  const guarded = administrator ? 0 : 1;
  return { ...named, url: settings.url, rewrite, ca, certificate, sealed_key, host, timeout_ms, guarded };
}

function checkPrefix(prefix: string): string {
  if (prefix === '/') return prefix;
  const bare = prefix.replace(/\/$/, '');
  const segment = String.raw`/(?!\.{1,2}(/|$))[A-Za-z0-9._~!$&'()*+,=:@-]+`;
  if (!new RegExp(`^(${segment})+$`).test(bare)) {
    throw new Problem(
      'invalid_request',
      `${JSON.stringify(prefix)} is no prefix of whole path segments such as /director.`,
    );
  }
  if (bare === '/device' || bare === '/devices') {
    throw new Problem('invalid_request', `${bare} is answered by Fleetroot itself and never passed on.`);
  }
  return bare;
}

function checkUrl(text: string): void {
  const url = URL.parse(text);
  const fit = url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.search && !url.hash;
  if (!fit) {
    throw new Problem(
      'invalid_request',
      `${JSON.stringify(text)} is no http or https URL without credentials, query and fragment.`,
    );
  }
}

function checkRewrite(rewrite: string | null): void {
  if (rewrite === null) return;
  if (!/^\/[\x21-\x7e]*$/.test(rewrite) || /[?#\\]|(^|\/)\.\.?(\/|$)|%/.test(rewrite)) {
    throw new Problem('invalid_request', `${JSON.stringify(rewrite)} is no plain path that begins with "/".`);
  }
  if (/[{}]/.test(rewrite.replaceAll('{device_uuid}', ''))) {
    throw new Problem('invalid_request', `A rewrite knows {device_uuid} and no other word in braces.`);
  }
}

function checkCredentials(url: string, ca: string | null, certificate: string | null, key: string | null): void {
  if ((certificate === null) !== (key === null)) {
    throw new Problem('invalid_request', 'A client certificate and its key go together: give both or neither.');
  }
  if (!url.startsWith('https:') && (ca !== null || certificate !== null)) {
    throw new Problem('invalid_request', 'CA, certificate and key are of use with an https URL only.');
  }
  try {
    if (ca !== null) createSecureContext({ ca });
    if (certificate !== null && key !== null) {
      if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key)))
        throw new Error('they do not match');
    }
  } catch (error) {
    throw new Problem('invalid_request', `The certificates or the key cannot be used: ${(error as Error).message}.`);
  }
}
