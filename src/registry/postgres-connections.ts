// Connections to PostgreSQL: to whichever of its hosts is the primary, kept for the next who needs one.

import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { Problem } from '../problem.ts';

/** Where the database is and how it is spoken to; times in milliseconds. */
export interface PostgresSettings {
  /** `postgres://user:password@host:port,host:port/database`: of several hosts the one that is the primary serves. */
  readonly url: string;
  /** PEM of the CAs that may have signed the server's certificate; null for those of the system. */
  readonly ca: string | null;
  /** Whether TLS is spoken and the server's certificate verified. */
  readonly tls: boolean;
  /** Client certificate and key (PEM), or null. */
  readonly certificate: { readonly certificate: string; readonly key: string } | null;
  /** Connections for reading, and for writing, at the most. */
  readonly readers: number;
  readonly writers: number;
  /** How long one statement may take. */
  readonly statementTimeout: number;
  /** How long a connection may take to be made. */
  readonly connectTimeout: number;
  /** How long a read or write waits for the database to be back before it fails. */
  readonly patience: number;
}

/** Between two tries to connect. */
const retryPause = 100;
/** A transaction whose process is gone without a word holds its locks no longer than this. */
const idleInTransaction = 5_000;
/** How long a connection may be idle before it is asked whether it still is one. */
const keepAliveAfter = 5_000;
/** How long who listens waits for an answer: what he hears of cannot wait for a statement of the usual length. */
const listenerPatience = 5_000;

/** int8, numeric: numbers here, as in SQLite; what we write fits. bytea: bytes of their own. */
const parsers = new Map<number, (text: string) => unknown>([
  [pg.types.builtins.INT8, Number],
  [pg.types.builtins.NUMERIC, Number],
  [pg.types.builtins.BOOL, (text) => (text === 't' ? 1 : 0)],
  [
    pg.types.builtins.BYTEA,
    (text) => {
      const { buffer, byteOffset, byteLength } = Buffer.from(text.slice(2), 'hex');
      return new Uint8Array(buffer, byteOffset, byteLength);
    },
  ],
]);

/** How values are read: as SQLite gives them. */
export const valueTypes = {
  getTypeParser: (oid: number, format?: string) =>
    (format === 'binary' ? undefined : parsers.get(oid)) ?? pg.types.getTypeParser(oid, format as 'text'),
} as pg.CustomTypesConfig;

/** Connections to the one host of several that is the primary, kept for the next who needs one. */
export class Connections implements AsyncDisposable {
  readonly #hosts: readonly pg.ClientConfig[];
  readonly #pools: readonly pg.Pool[];
  /** How long a read waits for the database to be back, in milliseconds. */
  readonly patience: number;
  #present = 0;
  #closed = false;

  /** `most`: how many may be open at once; `name` shows in pg_stat_activity. */
  constructor(settings: PostgresSettings, most: number, name: string) {
    this.patience = settings.patience;
    this.#hosts = readUrl(settings).map((host) => ({ ...host, application_name: name }));
    this.#pools = this.#hosts.map((host) => {
      const pool = new pg.Pool({ ...host, max: most, idleTimeoutMillis: 60_000 });
      // An idle connection that breaks is taken out of the pool; whoever asks next gets another.
      pool.on('error', () => undefined);
      return pool;
    });
  }

  /** A connection to the primary. Throws Problem `unavailable` where there is none within the patience given. */
  take(patience = this.patience): Promise<pg.PoolClient> {
    return this.#fromPrimary(patience, async (index) => {
      const client: pg.PoolClient & { primary?: true } = await this.#pools[index]!.connect();
      if (client.primary) return client;
      client.on('error', () => undefined);
      try {
        await requirePrimary(client);
      } catch (error) {
        client.release(true);
        throw error;
      }
      return Object.assign(client, { primary: true as const });
    });
  }

  /** One of its own, outside the pool, for a statement that may take as long as it takes. Throws as `take` does. */
  patient(): Promise<pg.Client> {
    return this.#fromPrimary(this.patience, (index) =>
      this.#connect(index, { statement_timeout: 0, query_timeout: 0 }),
    );
  }

  /** One of its own, outside the pool, for LISTEN, from which an answer comes soon or never. Throws as the driver does. */
  async single(): Promise<pg.Client> {
    const index = this.#present;
    try {
      return await this.#connect(index, { statement_timeout: listenerPatience, query_timeout: listenerPatience });
    } catch (error) {
      this.#leave(index);
      throw error;
    }
  }

  async #fromPrimary<C>(patience: number, connect: (index: number) => Promise<C>): Promise<C> {
    const until = performance.now() + patience;
    for (let tries = 1; ; tries += 1) {
      if (this.#closed) throw new Problem('unavailable', 'The program is ending.');
      const index = this.#present;
      try {
        return await connect(index);
      } catch (error) {
        this.#leave(index);
        // All hosts are tried once before anyone waits or gives up.
        if (tries % this.#hosts.length !== 0) continue;
        if (performance.now() >= until || isRefused(error)) throw away(error);
        await pause(retryPause);
      }
    }
  }

  /** The next host is tried, unless another who found this one amiss has said so before. */
  #leave(index: number): void {
    if (this.#present === index) this.#present = (index + 1) % this.#hosts.length;
  }

  async #connect(index: number, own: pg.ClientConfig): Promise<pg.Client> {
    const client = new pg.Client({ ...this.#hosts[index]!, ...own });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await requirePrimary(client);
      return client;
    } catch (error) {
      client.end().catch(() => undefined);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#pools.map((pool) => pool.end()));
  }
}

/**
 * Throws where the server takes no writes: asked once for each connection, which a standby that becomes the primary keeps
 * open. A commit is on the disk when it is answered, also where the database's default is another.
 */
async function requirePrimary(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ in_recovery: number }>(
    `select pg_is_in_recovery() as in_recovery,
      case current_setting('synchronous_commit') when 'off' then set_config('synchronous_commit', 'on', false) end`,
  );
  if (rows[0]!.in_recovery !== 0) throw new Error('the server is a standby, and no primary was found');
}

/** What a database says, or what is found of its certificate, that will be no other in a moment (PostgreSQL, Appendix A). */
function isRefused(error: unknown): boolean {
  const code = String((error as { code?: unknown } | null)?.code);
  return /^(28...|3D000|ERR_(TLS|SSL)_\w+|CERT_\w+|(DEPTH_ZERO_)?SELF_SIGNED_CERT\w*|UNABLE_TO_\w+)$/.test(code);
}

/** The Problem of a database that cannot be asked, for the cause given. */
export function away(cause: unknown): Problem {
  if (cause instanceof Problem) return cause;
  return new Problem(
    'unavailable',
    `The database does not answer: ${(cause as Error).message || (cause as { code?: string }).code || 'no reason given'}.`,
    'See to PostgreSQL and to the way there; what was asked for can be asked for again.',
    { cause },
  );
}

/** How each host of a URL is spoken to, of which libpq writes several with commas. */
function readUrl({ url, ca, tls, certificate, statementTimeout, connectTimeout }: PostgresSettings): pg.ClientConfig[] {
  const [, userinfo = '', list = '', rest = ''] = /^postgres(?:ql)?:\/\/(?:([^@/]*)@)?([^/]*)(\/.*)?$/.exec(url) ?? [];
  const [user = '', password] = userinfo.split(/:(.*)/s).map(decodeURIComponent);
  return list.split(',').map((each) => {
    const { hostname, port } = new URL(`postgres://${each || 'localhost'}`);
    const host = hostname.replace(/^\[|\]$/g, '');
    return {
      host,
      port: Number(port || 5432),
      user: user || 'postgres',
      ...(password === undefined ? {} : { password }),
      database: decodeURIComponent(rest.slice(1)) || 'fleetroot',
      // The driver names no host to Node where that is an address, and the certificate would be held against another name.
      ssl: tls && {
        host,
        minVersion: 'TLSv1.2',
        ...(ca !== null && { ca }),
        ...(certificate && { cert: certificate.certificate, key: certificate.key }),
      },
      types: valueTypes,
      statement_timeout: statementTimeout,
      query_timeout: statementTimeout + 5_000,
      idle_in_transaction_session_timeout: idleInTransaction,
      connectionTimeoutMillis: connectTimeout,
      keepAlive: true,
      keepAliveInitialDelayMillis: keepAliveAfter,
    };
  });
}
