// What the gateway keeps in memory of each account, forgotten as soon as the registry says that it changed.

import { LRUCache } from 'lru-cache';
import { type AccountTrust, loadAccountTrust } from '../provisioning/account-trust.ts';
import { accountByRef, accountOfHost, requireAccount } from '../registry/accounts.ts';
import { Problem } from '../problem.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import type { Change } from '../registry/changes.ts';
import { certificatesOfChain } from '../registry/device-standings.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import { atMost, loaded, type Loading, remembered } from './remembered.ts';
import { Verdicts } from './verdicts.ts';

const mostAccounts = 10_000;
const mostHosts = 100_000;
/** Of names that belong to no account, apart from the others: whoever makes names up pushes out no host. */
const mostStrangers = 10_000;
const mostChains = 10_000;
/** Of what those showed who were turned away, in bytes. */
const mostShown = 16 * 1024 * 1024;

/** Hosts, trust anchors, intermediates and verdicts, by account. */
export class Trust {
  readonly verdicts = new Verdicts();
  readonly #provisioning: Pick<Provisioning, 'registry' | 'trustFile'>;
  readonly #hosts = new LRUCache<string, string>(atMost(mostHosts));
  readonly #strangers = new LRUCache<string, true>(atMost(mostStrangers));
  /** Accounts by what the configuration calls them. */
  readonly #named = new Map<string, string | null>();
  readonly #trusts = new LRUCache<string, Loading<AccountTrust>>(atMost(mostAccounts));
  readonly #chains = new LRUCache<string, Loading<readonly Buffer[]>>(atMost(mostChains));
  /** By account and leaf, what else was shown in the whole handshake of somebody who was turned away. */
  readonly #shown = new LRUCache<string, readonly Buffer[]>({
    maxSize: mostShown,
    sizeCalculation: (others) => others.reduce((sum, { length }) => sum + length, 100),
  });
  readonly #refuseAfter: number | null;

  /** `refuseAfter`: how long the registry may be away, in milliseconds, before nobody is let in; null: for ever. */
  constructor(provisioning: Pick<Provisioning, 'registry' | 'trustFile'>, refuseAfter: number | null = null) {
    this.#provisioning = provisioning;
    this.#refuseAfter = refuseAfter;
  }

  /** Throws Problem `unavailable` where what is known here may have been taken back elsewhere for too long. */
  requireFresh(now: number): void {
    const { standing } = this.#provisioning.registry;
    if (this.#refuseAfter === null || standing.reachable || now - standing.since < this.#refuseAfter) return;
    throw new Problem('unavailable', 'This server is cut off from its database, and lets nobody in until it is back.');
  }

  /** The account that a host (canonical) belongs to, or null. */
  async accountOf(host: string): Promise<string | null> {
    const known = this.knownAccountOf(host);
    if (known !== undefined) return known;
    const { epoch } = this.verdicts;
    const account = await accountOfHost(this.#provisioning.registry.read, host);
    if (epoch === this.verdicts.epoch) {
      if (account) this.#hosts.set(host, account.id);
      else this.#strangers.set(host, true);
    }
    return account?.id ?? null;
  }

  /** The account of that name or ID, or null. */
  async accountNamed(name: string): Promise<string | null> {
    const known = this.#named.get(name);
    if (known !== undefined) return known;
    const { epoch } = this.verdicts;
    const account = await accountByRef(this.#provisioning.registry.read, name);
    if (epoch === this.verdicts.epoch) this.#named.set(name, account?.id ?? null);
    return account?.id ?? null;
  }

  /** The same at once, where it is remembered; else undefined. */
  knownAccountOf(host: string): string | null | undefined {
    return this.#hosts.get(host) ?? (this.#strangers.get(host) ? null : undefined);
  }

  /** What the account trusts, parsed. Throws where the account is gone. */
  trustOf(account_id: string): Promise<AccountTrust> {
    return remembered(this.#trusts, account_id, async () =>
      loadAccountTrust(this.#provisioning, await requireAccount(this.#provisioning.registry.read, account_id)),
    );
  }

  /** The same at once, where it is remembered; else null. */
  knownTrustOf(account_id: string): AccountTrust | null {
    return loaded(this.#trusts, account_id);
  }

  /** The intermediates (DER) of a chain, which is never another's under the same ID: from the leaf's issuer up, where they are one path. */
  chainOf(account_id: string, chain_id: string): Promise<readonly Buffer[]> {
    return remembered(this.#chains, `${account_id} ${chain_id}`, async () =>
      upwards(await certificatesOfChain(this.#provisioning.registry.read, account_id, chain_id)),
    );
  }

  /** Keeps what stood beside a leaf in a whole handshake whose device was turned away: a session of it shows the leaf alone. */
  keepShown(account_id: string, tbsSha256: string, others: readonly Buffer[]): void {
    this.#shown.set(`${account_id} ${tbsSha256}`, others);
  }

  /** What was kept of it; null where this process has seen no such handshake. */
  shownBefore(account_id: string, tbsSha256: string): readonly Buffer[] | null {
    return this.#shown.get(`${account_id} ${tbsSha256}`) ?? null;
  }

  /** Forgets what a change may have made untrue. */
  forget(change: Change): void {
    this.verdicts.forget(change);
    if (change.kind === 'everything') {
      this.#forgetNames();
      this.#trusts.clear();
      return;
    }
    if (change.kind === 'account') this.#forgetNames();
    if (change.kind === 'account' || change.kind === 'trust') this.#trusts.delete(change.account_id);
  }

  #forgetNames(): void {
    this.#hosts.clear();
    this.#strangers.clear();
    this.#named.clear();
  }
}

/** Certificates in their order on a path: each after those that it issued. */
function upwards(ders: readonly Uint8Array[]): Buffer[] {
  const left = ders.map((der) => parseCertificate(der));
  const ordered: Buffer[] = [];
  while (left.length > 0) {
    const lowest = left.findIndex((one) => left.every((other) => other === one || !issued(one, other)));
    ordered.push(...left.splice(Math.max(lowest, 0), 1).map(({ der }) => der));
  }
  return ordered;
}

const issued = (issuer: Certificate, { issuer: name }: Certificate): boolean => name.key === issuer.subject.key;
