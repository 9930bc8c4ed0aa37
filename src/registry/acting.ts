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

const acting = new AsyncLocalStorage<Actor>();

/** Runs `work`, and all that it awaits, as done by `actor`. */
export function actAs<T>(actor: Actor, work: () => T): T {
  return acting.run(actor, work);
}

/** Who acts here; the server itself where nobody said otherwise. */
export function presentActor(): Actor {
  return acting.getStore() ?? theServer;
}
