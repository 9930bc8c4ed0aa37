// An account's back ends: which one a path goes to, and the connections to it.

import http from 'node:http';
import https from 'node:https';
import { openUpstreamKey } from '../provisioning/upstream.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import type { Change } from '../registry/changes.ts';
import type { Upstream } from '../registry/tables.ts';
import { upstreamsOf } from '../registry/upstreams.ts';

/** Connections to a back end, in use and kept for the next call: one that is opened for each call costs more than the call. */
const mostSockets = 256;

/** One back end, ready to be called. */
export interface BackEnd {
  readonly upstream: Upstream;
  readonly url: URL;
  readonly agent: http.Agent;
}

/** The back ends of all accounts, opened when first needed and closed when they change. */
export class Upstreams implements Disposable {
  readonly #provisioning: Pick<Provisioning, 'registry' | 'seal' | 'outbound'>;
  readonly #byAccount = new Map<string, Promise<BackEnd[]>>();

  constructor(provisioning: Pick<Provisioning, 'registry' | 'seal' | 'outbound'>) {
    this.#provisioning = provisioning;
  }

  /** The back end that a path goes to: the longest prefix of whole segments. */
  async find(account_id: string, path: string): Promise<BackEnd | null> {
    const backEnds = await (this.#byAccount.get(account_id) ?? this.#remember(account_id));
    return backEnds.find(({ upstream: { prefix } }) => isUnder(path, prefix)) ?? null;
  }

  /** Lets go of back ends that may have changed: what is under way there goes on, what is idle is closed. */
  forget(change: Change): void {
    if (change.kind === 'account') this.#close(change.account_id, retire);
    if (change.kind === 'everything') for (const account_id of this.#byAccount.keys()) this.#close(account_id, retire);
  }

  #remember(account_id: string): Promise<BackEnd[]> {
    const opening = this.#open(account_id);
    this.#byAccount.set(account_id, opening);
    opening.catch(() => {
      if (this.#byAccount.get(account_id) === opening) this.#byAccount.delete(account_id);
    });
    return opening;
  }

  async #open(account_id: string): Promise<BackEnd[]> {
    const rows = await upstreamsOf(this.#provisioning.registry.read, account_id);
    return rows
      .sort((one, other) => other.prefix.length - one.prefix.length)
      .map((upstream) => ({ upstream, url: new URL(upstream.url), agent: this.#agentOf(upstream) }));
  }

  #agentOf(upstream: Upstream): http.Agent {
    const pool = { keepAlive: true, maxSockets: mostSockets, maxFreeSockets: mostSockets };
    const { seal, outbound } = this.#provisioning;
    const guarded = upstream.guarded === 1;
    if (!upstream.url.startsWith('https:')) {
      return guarded ? outbound.agent(new URL(upstream.url), pool) : new http.Agent(pool);
    }
    using key = upstream.sealed_key === null ? null : openUpstreamKey(seal, upstream);
    const options = {
      ...pool,
      ...(upstream.ca === null ? {} : { ca: upstream.ca }),
      ...(upstream.certificate === null || key === null
        ? {}
        : { cert: upstream.certificate, key: key.reveal().toString('utf8') }),
    };
    return guarded ? outbound.agent(new URL(upstream.url), options) : new https.Agent(options);
  }

  #close(account_id: string, end: (agent: http.Agent) => void): void {
    const opened = this.#byAccount.get(account_id);
    this.#byAccount.delete(account_id);
    opened?.then((backEnds) => backEnds.forEach(({ agent }) => end(agent))).catch(() => undefined);
  }

  [Symbol.dispose](): void {
    for (const account_id of [...this.#byAccount.keys()]) this.#close(account_id, (agent) => agent.destroy());
  }
}

/** Has an agent end each of its connections when nothing is under way on it; `destroy` would cut that short. */
function retire(agent: http.Agent): void {
  Object.assign(agent, { keepAlive: false });
  for (const sockets of Object.values(agent.freeSockets)) sockets?.forEach((socket) => socket.destroy());
}

function isUnder(path: string, prefix: string): boolean {
  return prefix === '/' || path === prefix || path.startsWith(`${prefix}/`);
}
