// Who acts: it follows a call through every function below it, so that each write can say by whom it was made.

import { AsyncLocalStorage } from 'node:async_hooks';

/** What an actor is: an operator with a login, their token, whoever opened the socket, a device's side, a factory's station, or we. */
export type ActorKind = 'operator' | 'token' | 'socket' | 'device' | 'provisioning_key' | 'station' | 'server';

/** Who acts, and from where. */
export interface Actor {
  readonly kind: ActorKind;
  /** The operator's, token's, device's or provisioning key's ID; null for the socket and the server. */
  readonly id: string | null;
  /** What people know it by: a login name, a token's description, a device ID. */
  readonly name: string;
  /** The IP address that it called from, or null. */
  readonly address: string | null;
  /** The request's ID, which is in the log too, or null. */
  readonly request: string | null;
}

/** What the server does by itself: renewals, clean-ups, what a clock started. */
export const theServer: Actor = { kind: 'server', id: null, name: 'server', address: null, request: null };

/** Which nodes have not confirmed what an actor has changed, until he is told. */
const unconfirmed = new WeakMap<Actor, Set<string>>();

/** Remembers nodes that have not said yet that they act on what these have changed. */
export function noteUnconfirmed(actors: readonly Actor[], nodes: readonly string[]): void {
  for (const actor of nodes.length > 0 ? actors : []) {
    unconfirmed.set(actor, (unconfirmed.get(actor) ?? new Set()).union(new Set(nodes)));
  }
}

/** The nodes that have not confirmed what an actor has changed, by name. */
export function unconfirmedBy(actor: Actor): string[] {
  return [...(unconfirmed.get(actor) ?? [])];
}

const writing = new AsyncLocalStorage<string>();

/** Runs `work`, whose writes are asked for by another process: that run of it (`instance`) is recorded as making what is made. */
export function writingFor<T>(instance: string, work: () => T): T {
  return writing.run(instance, work);
}

/** The process for which this writes, or null where that is this one. */
export function presentInstance(): string | null {
  return writing.getStore() ?? null;
}

const acting = new AsyncLocalStorage<Actor>();

/** Runs `work`, and all that it awaits, as done by `actor`. */
export function actAs<T>(actor: Actor, work: () => T): T {
  return acting.run(actor, work);
}

/** Who acts here; the server itself where nobody said otherwise. */
export function presentActor(): Actor {
  return acting.getStore() ?? theServer;
}

/** Whether somebody waits to hear that what he changed holds everywhere. */
export function waitsForOthers({ kind }: Actor): boolean {
  return kind === 'operator' || kind === 'token' || kind === 'socket';
}
