// Verdicts remembered: who a leaf was found to be, until something of that device or account changes.

import { LRUCache } from 'lru-cache';
import type { AdmittedDevice, AdmittedProvisioningKey } from '../provisioning/admission.ts';
import type { Change } from '../registry/changes.ts';
import { atMost } from './remembered.ts';
import { Sets } from './sets.ts';

/** Who a leaf was found to be. */
export type Verdict = AdmittedDevice | AdmittedProvisioningKey;

const mostRemembered = 200_000;

/**
 * Admissions by account and SHA-256 of the leaf's TBSCertificate, in this process's memory only. A fingerprint of the
 * whole certificate would not do: whoever holds an ECDSA signature can make another that verifies.
 */
export class Verdicts {
  readonly #byLeaf = new LRUCache<string, { verdict: Verdict; subject: string }>({
    ...atMost(mostRemembered),
    dispose: ({ subject }, key) => this.#unindex(subject, key),
  });
  /** Keys by device UUID, provisioning key or account. */
  readonly #bySubject = new Sets<string>();
  readonly #byAccount = new Sets<string>();
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

  /** Remembers a verdict that was worked out since `epoch`; nothing where something has changed after that. */
  remember(account_id: string, tbsSha256: string, verdict: Verdict, epoch: number): void {
    if (epoch !== this.#changes) return;
    const key = keyOf(account_id, tbsSha256);
    const subject = verdict.kind === 'device' ? verdict.device.uuid : verdict.provisioningKey.id;
    this.#byLeaf.set(key, { verdict, subject });
    this.#bySubject.add(subject, key);
    this.#byAccount.add(account_id, key);
  }

  /** Forgets every verdict that the change may have made untrue. */
  forget(change: Change): void {
    this.#changes += 1;
    for (const key of this.#concerned(change)) this.#byLeaf.delete(key);
  }

  #concerned(change: Change): string[] {
    switch (change.kind) {
      case 'everything':
        return [...this.#byLeaf.keys()];
      case 'account':
      case 'trust':
        return this.#byAccount.of(change.account_id);
      case 'device':
        return this.#bySubject.of(change.device_uuid);
      case 'provisioning_key':
        return this.#bySubject.of(change.provisioning_key_id);
      case 'master_key':
        return [];
    }
  }

  #unindex(subject: string, key: string): void {
    this.#bySubject.delete(subject, key);
    this.#byAccount.delete(key.slice(0, key.indexOf(' ')), key);
  }
}

function keyOf(account_id: string, tbsSha256: string): string {
  return `${account_id} ${tbsSha256}`;
}
