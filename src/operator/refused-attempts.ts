// Attempts that were refused, in the audit log: each by itself as long as they are few, then counted by the minute, so
// that nobody fills the disk by being turned away.

import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Log } from '../log.ts';
import { actAs, type Actor, theServer } from '../registry/acting.ts';
import { accountByRef } from '../registry/accounts.ts';
import type { AuditNote, Plain } from '../registry/notes.ts';
import type { Registry } from '../registry/writer.ts';
import { actorOf, sees } from './principal.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The code of the problem that it is answered with; null while there is none. */
    refusedWith: string | null;
  }
}

/** Entries of their own in a minute: of those who are nobody, and of those who are signed in, all together. */
const most = { nobody: 10, somebody: 60 } as const;
/** The same of one who is signed in: nobody is to use up what tells of the others. */
const mostEach = 10;
/** Kinds of attempt that are told apart among those that are only counted: of one caller, and of all together. */
const mostCountedEach = 5;
const mostCounted = 100;
const minute = 60_000;
/** What of a path tells what it was about; whatever else stands there may be secret. */
const tellingNames = ['account', 'device', 'ca', 'host', 'entry', 'id', 'sha256', 'key', 'operator', 'webhook'];
const longestValue = 256;

const changes = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);
const action = 'api.refused';
/** An entry that stands for attempts of several kinds. */
const ofMany: AuditNote = {
  action,
  account_id: null,
  object: { kind: 'operation', id: '*', name: null },
  result: 'refused',
};

interface Counted {
  readonly note: AuditNote;
  count: number;
}

/** What one caller, or all who are nobody, have used up in this minute. */
interface Spent {
  entries: number;
  kinds: number;
}

/** Records what is refused at one or more servers. Disposing of it records what is only counted yet. */
export class RefusedAttempts implements AsyncDisposable {
  readonly #registry: Pick<Registry, 'read' | 'write'>;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  #left: { nobody: number; somebody: number } = { ...most };
  #spent = new Map<string, Spent>();
  #counted = new Map<string, Counted>();
  #beyond = 0;

  constructor(registry: Pick<Registry, 'read' | 'write'>, log: Log) {
    this.#registry = registry;
    this.#log = log;
    this.#timer = setInterval(() => void this.#endMinute(), minute).unref();
  }

  /** Has what is refused by `app` recorded before it is answered. */
  watch(app: FastifyInstance): void {
    app.decorateRequest('refusedWith', null);
    app.addHook('onSend', async (request, reply) => {
      const { operationId, ownFailures = false } = request.routeOptions.config;
      const { refusedWith: code, method } = request;
      if (code === null || operationId === undefined) return;
      if (ownFailures && (code === 'unauthenticated' || code === 'link_invalid')) return;
      const unauthorized = reply.statusCode === 401 || reply.statusCode === 403 || request.outsideOfRoles;
      if (!changes.has(method) && !unauthorized) return;
      await this.#note(request, operationId, code).catch((error: unknown) =>
        this.#log.error({ err: error, request: request.id }, 'a refused attempt could not be recorded'),
      );
    });
  }

  async #note(request: FastifyRequest, operationId: string, code: string): Promise<void> {
    const who = request.principal === null ? 'nobody' : 'somebody';
    const by = actorOf(request);
    const { method, routeOptions } = request;
    const object = { kind: 'operation', id: operationId, name: `${method} ${routeOptions.url}` };
    const spent = this.#spentBy(by);
    if (this.#left[who] <= 0 || spent.entries >= mostEach) {
      this.#count(by, spent, { action, account_id: null, object, result: code });
      return;
    }
    this.#left[who] -= 1;
    spent.entries += 1;
    const note = {
      action,
      account_id: await this.#accountOf(request),
      object,
      after: tellingOf(request),
      result: code,
    };
    await actAs(by, () => this.#registry.write('recordRefusedAttempts', { attempts: [note] }));
  }

  #spentBy({ kind, id }: Actor): Spent {
    const key = JSON.stringify([kind, id]);
    const spent = this.#spent.get(key) ?? { entries: 0, kinds: 0 };
    this.#spent.set(key, spent);
    return spent;
  }

  /** By whom, from where and what for, as far as there is room; then by whom alone, and at last that there were more. */
  #count({ kind, id, name, address }: Actor, spent: Spent, note: AuditNote): void {
    const itself = JSON.stringify([kind, id, address, note.object.id, note.result]);
    if (this.#addTo(itself)) return;
    if (spent.kinds < mostCountedEach && this.#counted.size < mostCounted) {
      spent.kinds += 1;
      this.#counted.set(itself, { note: { ...note, after: { by: { kind, id, name, address } } }, count: 1 });
      return;
    }
    const whoever = JSON.stringify([kind, id]);
    if (this.#addTo(whoever)) return;
    if (this.#counted.size < mostCounted) {
      const after = { by: { kind, id, name } };
      this.#counted.set(whoever, { note: { ...ofMany, after }, count: 1 });
    } else this.#beyond += 1;
  }

  #addTo(key: string): boolean {
    const counted = this.#counted.get(key);
    if (counted) counted.count += 1;
    return counted !== undefined;
  }

  async #endMinute(): Promise<void> {
    const counted = [...this.#counted.values()];
    const beyond = this.#beyond;
    this.#left = { ...most };
    this.#spent = new Map();
    this.#counted = new Map();
    this.#beyond = 0;
    const attempts: AuditNote[] = counted.map(({ note, count }) => ({ ...note, after: { ...note.after, count } }));
    if (beyond > 0) attempts.push({ ...ofMany, after: { count: beyond } });
    if (attempts.length === 0) return;
    await actAs(theServer, () => this.#registry.write('recordRefusedAttempts', { attempts })).catch((error: unknown) =>
      this.#log.error({ err: error }, 'refused attempts could not be recorded'),
    );
  }

  /** Only an account that whoever asks may know of is told of it: its readers see the entry. */
  async #accountOf({ params, principal }: FastifyRequest): Promise<string | null> {
    const { account: ref } = params as { account?: string };
    if (ref === undefined || principal === null) return null;
    const account = await accountByRef(this.#registry.read, ref);
    return account && sees(principal, account.id) ? account.id : null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#endMinute();
  }
}

/** The names in a path that say what was meant, cut to a length that fits an entry. */
function tellingOf({ params }: FastifyRequest): { [name: string]: Plain } {
  const named = Object.entries((params ?? {}) as Record<string, string>);
  return Object.fromEntries(
    named.filter(([name]) => tellingNames.includes(name)).map(([name, value]) => [name, value.slice(0, longestValue)]),
  );
}
