// What `/readyz` tells: whether the server serves devices, and what is amiss while it does.

/** Something that is amiss while devices are served. Each part tells its own. */
export type ReadinessFault =
  | {
      readonly part: 'custody';
      readonly custodian: string;
      /** As custody calls it: of a custodian `unavailable`, `sealed` or `denied`, of a key in one that is well any other too. */
      readonly fault: string;
      readonly reason: string;
      /** RFC 3339. */
      readonly since: string;
    }
  | { readonly part: 'owner_trust'; readonly account: string; readonly reason: string; readonly since: string }
  /** The database does not answer. */
  | { readonly part: 'database'; readonly reason: string; readonly since: string }
  /** Another node has put secrets under a master key that this one does not have. */
  | { readonly part: 'master_key'; readonly reason: string; readonly since: string }
  /** A gateway process is away: the others serve devices. */
  | { readonly part: 'worker'; readonly worker: number; readonly reason: string; readonly since: string }
  /** The registry came out of a back-up, and nobody has seen to what that brought back. */
  | { readonly part: 'restored'; readonly reason: string; readonly since: string };

/** How the server is. */
export interface Readiness {
  /** Whether it serves devices. */
  readonly serving: boolean;
  /** Whether it has been told to end: it may still serve, and is to be sent nobody any more. */
  readonly ending: boolean;
  readonly faults: readonly ReadinessFault[];
}
