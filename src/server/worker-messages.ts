// What the control process and a gateway process say to each other.

import type { Config } from '../config.ts';
import type { LabelledAccount } from '../metrics/account-labels.ts';
import type { Snapshot } from '../metrics/of-processes.ts';
import type { ReadinessFault } from '../operator/readiness.ts';
import type { Pin } from '../provisioning/trust-file.ts';
import type { Change } from '../registry/changes.ts';
import type { Failure, Outcome } from '../registry/commit-thread.ts';
import type { ForwardedWrite } from '../registry/forwarding-store.ts';

/** What a gateway process begins with. */
export interface Start {
  readonly kind: 'start';
  /** Its number, from 1; the one that takes its place has the same. */
  readonly number: number;
  /** This run of it. */
  readonly instance: string;
  readonly config: Config;
  /** The gateway's ports, which all share; those that are 0 the first process picks. */
  readonly ports: readonly number[];
  /** What is known of accounts whose owner signs whom they trust. */
  readonly pins: readonly (readonly [account_id: string, Pin])[];
  /** The custodians that have let the control process in. */
  readonly letIn: readonly string[];
  /** The accounts that have series of their own in the metrics. */
  readonly accounts: readonly LabelledAccount[];
}

/** What the control process asks, and what it is answered. */
export interface Answers {
  metrics: Snapshot;
  /** What is amiss of its own. */
  faults: ReadinessFault[];
  /** Nothing, once it opens what is sealed under the master key that a rotation leads to. */
  nextMasterKey: null;
}

/** To a gateway process, in this order: a change that a write made comes before that write's answer. */
export type ToWorker =
  | Start
  | { readonly kind: 'changes'; readonly number: number; readonly changes: readonly Change[] }
  | { readonly kind: 'answer'; readonly id: number; readonly outcome: Outcome }
  | { readonly kind: 'pin'; readonly account_id: string; readonly pin: Pin | null }
  | { readonly kind: 'letIn'; readonly custodians: readonly string[] }
  | { readonly kind: 'accounts'; readonly accounts: readonly LabelledAccount[] }
  | { readonly kind: 'ask'; readonly id: number; readonly what: keyof Answers }
  /** Every reply is the last of its connection from now on. */
  | { readonly kind: 'drain' }
  /** The ports close, what is under way is finished, and the process ends. */
  | { readonly kind: 'end' };

export type FromWorker =
  /** It has its code, and waits for `start`. */
  | { readonly kind: 'loaded' }
  | { readonly kind: 'listening'; readonly ports: readonly number[] }
  /** It could not start. */
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'write'; readonly id: number; readonly write: ForwardedWrite }
  /** The listeners of all changes up to that number have run. */
  | { readonly kind: 'heard'; readonly number: number }
  /** What they began is done, too: every connection that the changes concern has been judged anew. */
  | { readonly kind: 'acted'; readonly number: number }
  | { readonly kind: 'answer'; readonly id: number; readonly outcome: Outcome }
  /** It has found in the rows of an account more than is written down of what the account's owner signed. */
  | { readonly kind: 'owner'; readonly account_id: string };
