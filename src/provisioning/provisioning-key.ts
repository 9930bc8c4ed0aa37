// Credentials: credentials.zip and, on a test account, the new provisioning key in it, whose private key leaves once.

import { randomUUID } from 'node:crypto';
import { isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { makeKeyPair } from '../issuing/keys.ts';
import { issueProvisioningKeyCertificate } from '../issuing/provisioning-ca.ts';
import { Problem } from '../problem.ts';
import { hostsOf } from '../registry/accounts.ts';
import type { Account, ProvisioningKey } from '../registry/tables.ts';
import { certificateToPem, parseCertificate } from '../x509/certificate.ts';
import { encodePkcs12 } from '../x509/pkcs12.ts';
import { openAccountFiles } from './account-file.ts';
import { inOrder, writeCredentialsZip } from './credentials-zip.ts';
import { checkPattern } from './device-id.ts';
import { canonicalHost } from './host.ts';
import type { Provisioning } from './provisioning.ts';
import { pinnedGatewayCas } from './shared-credential.ts';

const year = 365 * 24 * 60 * 60 * 1000;

/** The limits of a provisioning key. */
export interface ProvisioningKeyOptions {
  readonly description?: string;
  /** When it expires, in milliseconds since 1970; a year from now unless given. */
  readonly not_after?: number;
  readonly max_uses?: number;
  /** RE2 pattern that the whole device ID must match. */
  readonly device_id_pattern?: string;
  /** CIDR blocks that it may be used from; every network unless given. */
  readonly networks?: readonly string[];
}

export interface Credentials {
  readonly zip: Buffer;
  readonly autoprov_url: string;
  /** Null for a production account. */
  readonly provisioning_key: ProvisioningKey | null;
  readonly entries: readonly string[];
}

/**
 * Makes credentials.zip. On a test account it holds a new provisioning key; a production account has none, and its
 * options are refused. `host` is `NAME|IP[:PORT]`, a host of the account.
 * Throws `invalid_request`, `provisioning_not_offered` or `custody_unavailable`.
 */
export async function createCredentials(
  provisioning: Provisioning,
  account: Account,
  { host, ...options }: ProvisioningKeyOptions & { readonly host?: string },
): Promise<Credentials> {
  const { clock } = provisioning;
  const autoprov_url = await autoprovUrl(provisioning, account, host);
  const cas = await pinnedGatewayCas(provisioning, account.id);
  const content = await openAccountFiles(provisioning, account);
  content.set('autoprov.url', Buffer.from(autoprov_url));
  content.set('server_ca.pem', Buffer.from(cas.map(certificateToPem).join('')));

  let provisioning_key: ProvisioningKey | null = null;
  if (account.kind === 'test') {
    const made = await makeProvisioningKey(provisioning, account, options);
    provisioning_key = made.key;
    content.set('autoprov_credentials.p12', made.pkcs12);
  } else if (Object.values(options).some((value) => value !== undefined)) {
    throw new Problem(
      'provisioning_not_offered',
      'A production account has no provisioning keys, so none of their options can be given.',
      'Leave the options out for a credentials.zip with autoprov.url and server_ca.pem.',
    );
  }
  const zip = writeCredentialsZip(content, clock());
  return { zip, autoprov_url, provisioning_key, entries: inOrder(content.keys()) };
}

async function makeProvisioningKey(
  provisioning: Provisioning,
  account: Account,
  options: ProvisioningKeyOptions,
): Promise<{ key: ProvisioningKey; pkcs12: Buffer }> {
  const { registry, issuer, clock } = provisioning;
  checkOptions(options, clock());
  const id = randomUUID();
  const notAfter = options.not_after ?? clock() + year;
  using keyPair = await makeKeyPair('p256');
  const certificate = await issueProvisioningKeyCertificate(issuer, account, {
    publicKey: keyPair.publicKey,
    id,
    notAfter,
  });
  const parsed = parseCertificate(certificate);
  const key = await registry.write('recordProvisioningKey', {
    key: {
      id,
      account_id: account.id,
      description: options.description ?? null,
      tbs_sha256: parsed.tbsSha256,
      public_key_sha256: parsed.publicKey.sha256,
      certificate,
      not_after: parsed.notAfter,
      max_uses: options.max_uses ?? null,
      device_id_pattern: options.device_id_pattern ?? null,
      networks: JSON.stringify(options.networks ?? []),
    },
  });
  const cas = await pinnedGatewayCas(provisioning, account.id);
  return { key, pkcs12: encodePkcs12({ privateKey: keyPair.privateKey.reveal(), certificate, cas }) };
}

function checkOptions({ not_after, max_uses, device_id_pattern, networks }: ProvisioningKeyOptions, now: number): void {
  if (not_after !== undefined && not_after <= now) {
    throw new Problem('invalid_request', 'The provisioning key would have expired before it is made.');
  }
  if (max_uses !== undefined && !(Number.isSafeInteger(max_uses) && max_uses > 0)) {
    throw new Problem('invalid_request', 'The number of uses is to be a whole number from 1.');
  }
  if (device_id_pattern !== undefined) checkPattern(device_id_pattern);
  for (const network of networks ?? []) {
    if (!ipaddr.isValidCIDR(network)) {
      throw new Problem(
        'invalid_request',
        `${JSON.stringify(network)} is no network such as 10.1.0.0/16 or 2001:db8::/32.`,
      );
    }
  }
}

/** What devices call: the host asked for, else the last one added, else the generated one; never a trailing slash. */
async function autoprovUrl(
  { registry, gateway }: Provisioning,
  account: Account,
  asked: string | undefined,
): Promise<string> {
  const hosts = await hostsOf(registry.read, account.id);
  const added = hosts.filter((each) => each.kind === 'added').sort((one, other) => other.added_at - one.added_at);
  const generated = hosts.find((each) => each.kind === 'generated')?.host ?? '';
  if (asked === undefined) return urlOf(added[0]?.host ?? generated, gateway.publicPort());

  const [, name, port] = /^(\[[^\]]*\]|[^:]*|[0-9a-fA-F:]*)(?::(\d{1,5}))?$/.exec(asked) ?? [];
  if (name === undefined || (port !== undefined && !(Number(port) >= 1 && Number(port) <= 65_535))) {
    throw new Problem('invalid_request', `${JSON.stringify(asked)} is to be NAME|IP[:PORT].`);
  }
  const host = canonicalHost(name);
  if (!hosts.some((each) => each.host === host)) {
    throw new Problem(
      'invalid_request',
      `${host} is no host of this account, so its gateway certificate does not name it.`,
      `Add it with \`account host add ${account.name} ${host}\`.`,
    );
  }
  return urlOf(host, port === undefined ? gateway.publicPort() : Number(port));
}

function urlOf(host: string, port: number): string {
  return `https://${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
