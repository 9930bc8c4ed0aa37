// What the gateway keeps in memory of each account, forgotten as soon as the registry says that it changed.

import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { LRUCache } from 'lru-cache';
import { type AccountTrust, loadAccountTrust } from '../provisioning/account-trust.ts';
import { accountOfHost, requireAccount } from '../registry/accounts.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import type { Change } from '../registry/changes.ts';
import { Verdicts } from './verdicts.ts';

/** A gateway certificate with its chain up to the root (PEM) and its private key, as TLS needs them in process. */
export interface GatewayCredentials {
  readonly chain: string;
  readonly key: string;
}

/** A SecureContext takes 37 KiB and 188 µs: enough are kept for the accounts in use. */
const mostAccounts = 10_000;
const mostHosts = 100_000;
/** Stands for the account of a host that belongs to none. */
const nobody = '';

/**
 * What every context of the gateway has in common. `ca` is an empty list: left out, Node would trust the public roots;
 * filled, it would tell every stranger the Fleet Root CAs' names, and clients whose issuer is not on it would withhold
 * their certificate. Tickets and renegotiation are off: both bring in peers that no handshake of this connection showed.
 */
export const contextOptions = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  ciphers: [
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'TLS_AES_128_GCM_SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
  ].join(':'),
  ecdhCurve: 'X25519MLKEM768:X25519:P-256:P-384:P-521',
  ca: [],
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
} as const satisfies SecureContextOptions;

/** Hosts, TLS contexts, trust anchors and verdicts, by account. */
export class Trust {
  readonly verdicts = new Verdicts();
  readonly #provisioning: Pick<Provisioning, 'registry' | 'trustFile'>;
  readonly #credentialsOf: (account_id: string) => Promise<GatewayCredentials>;
  readonly #hosts = new LRUCache<string, string>({ max: mostHosts });
  readonly #contexts = new LRUCache<string, Promise<SecureContext>>({ max: mostAccounts });
  readonly #trusts = new LRUCache<string, Promise<AccountTrust>>({ max: mostAccounts });

  constructor(
    provisioning: Pick<Provisioning, 'registry' | 'trustFile'>,
    credentialsOf: (account_id: string) => Promise<GatewayCredentials>,
  ) {
    this.#provisioning = provisioning;
    this.#credentialsOf = credentialsOf;
  }

  /** The account that a host (canonical) belongs to, or null. */
  async accountOf(host: string): Promise<string | null> {
    const known = this.#hosts.get(host);
    if (known !== undefined) return known === nobody ? null : known;
    const { epoch } = this.verdicts;
    const account = await accountOfHost(this.#provisioning.registry.read, host);
    if (epoch === this.verdicts.epoch) this.#hosts.set(host, account?.id ?? nobody);
    return account?.id ?? null;
  }

  /** The TLS context with the account's present gateway certificate. */
  contextOf(account_id: string): Promise<SecureContext> {
    return remembered(this.#contexts, account_id, async () => {
      return createSecureContext({ ...contextOptions, ...(await this.credentialsOf(account_id)) });
    });
  }

  /** The account's present gateway certificate and key, as a TLS context takes them. */
  async credentialsOf(account_id: string): Promise<{ cert: string; key: string }> {
    const { chain, key } = await this.#credentialsOf(account_id);
    return { cert: chain, key };
  }

  /** What the account trusts, parsed. Throws where the account is gone. */
  trustOf(account_id: string): Promise<AccountTrust> {
    return remembered(this.#trusts, account_id, async () =>
      loadAccountTrust(this.#provisioning, await requireAccount(this.#provisioning.registry.read, account_id)),
    );
  }

  /** Forgets what a change may have made untrue. */
  forget(change: Change): void {
    this.verdicts.forget(change);
    if (change.kind === 'account') {
      this.#hosts.clear();
      this.#contexts.delete(change.account_id);
    }
    if (change.kind === 'account' || change.kind === 'trust') this.#trusts.delete(change.account_id);
  }
}

/** One load at a time for each key; one that fails is not remembered. */
function remembered<T>(cache: LRUCache<string, Promise<T>>, key: string, load: () => Promise<T>): Promise<T> {
  const known = cache.get(key);
  if (known) return known;
  const loading = load();
  cache.set(key, loading);
  loading.catch(() => {
    if (cache.peek(key) === loading) cache.delete(key);
  });
  return loading;
}
