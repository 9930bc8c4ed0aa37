// Verdicts remembered: who a leaf was found to be, until something of that device or account changes.

import { LRUCache } from 'lru-cache';
import type { AdmittedDevice, AdmittedProvisioningKey } from '../provisioning/admission.ts';
import type { Change } from '../registry/changes.ts';

export type Verdict = AdmittedDevice | AdmittedProvisioningKey;

const mostRemembered = 200_000;

/**
 * Admissions by account and SHA-256 of the leaf's TBSCertificate, in this process's memory only. A fingerprint of the
 * whole certificate would not do: whoever holds an ECDSA signature can make another that verifies.
 */
export class Verdicts {
  readonly #byLeaf = new LRUCache<string, { verdict: Verdict; subject: string }>({
    max: mostRemembered,
    dispose: ({ subject }, key) => this.#unindex(subject, key),
  });
  /** Keys by device UUID, provisioning key or account. */
  readonly #bySubject = new Map<string, Set<string>>();
  readonly #byAccount = new Map<string, Set<string>>();
  #changes = 0;

  /** To be taken before a verdict is worked out; `remember` drops what was worked out from an older state. */
  get epoch(): number {
    return this.#changes;
  }

  /** The verdict about a leaf, where it is remembered and has not ended. */
  find(account_id: string, tbsSha256: string, now: number): Verdict | null {
    const found = this.#byLeaf.get(keyOf(account_id, tbsSha256));
    return found && found.verdict.validUntil >= now ? found.verdict : null;
  }

  remember(account_id: string, tbsSha256: string, verdict: Verdict, epoch: number): void {
    if (epoch !== this.#changes) return;
    const key = keyOf(account_id, tbsSha256);
    const subject = verdict.kind === 'device' ? verdict.device.uuid : verdict.provisioningKey.id;
    this.#byLeaf.set(key, { verdict, subject });
    index(this.#bySubject, subject, key);
    index(this.#byAccount, account_id, key);
  }

  /** Forgets every verdict that the change may have made untrue. */
  forget(change: Change): void {
    this.#changes += 1;
    for (const key of this.#concerned(change)) this.#byLeaf.delete(key);
  }

  #concerned(change: Change): string[] {
    switch (change.kind) {
      case 'account':
      case 'trust':
        return [...(this.#byAccount.get(change.account_id) ?? [])];
      case 'device':
        return [...(this.#bySubject.get(change.device_uuid) ?? [])];
      case 'provisioning_key':
        return [...(this.#bySubject.get(change.provisioning_key_id) ?? [])];
    }
  }

  #unindex(subject: string, key: string): void {
    unindex(this.#bySubject, subject, key);
    unindex(this.#byAccount, key.slice(0, key.indexOf(' ')), key);
  }
}

function keyOf(account_id: string, tbsSha256: string): string {
  return `${account_id} ${tbsSha256}`;
}

function index(map: Map<string, Set<string>>, of: string, key: string): void {
  const keys = map.get(of);
  if (keys) keys.add(key);
  else map.set(of, new Set([key]));
}

function unindex(map: Map<string, Set<string>>, of: string, key: string): void {
  const keys = map.get(of);
  keys?.delete(key);
  if (keys?.size === 0) map.delete(of);
}
