// The settings of the database: a file in the data directory, or PostgreSQL for several nodes.

import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { parseDuration } from '../time.ts';
import { type Parse, text, wholeNumber } from './value.ts';

/** Times in milliseconds. */
export interface DatabaseSettings {
  /** Where PostgreSQL is, with the user and the password; null for a file in the data directory. */
  readonly url: string | null;
  /** Whether TLS is spoken and the database's certificate verified. */
  readonly tls: boolean;
  /** PEM of the CAs that may have signed it; null for those of the system. */
  readonly ca: string | null;
  /** What this node shows the database as its own (PEM), or null. */
  readonly certificate: { readonly certificate: string; readonly key: string } | null;
  /** Connections of each process, at the most. */
  readonly readers: number;
  readonly writers: number;
  readonly statementTimeout: number;
  readonly connectTimeout: number;
  /** How long what is asked for waits for the database to be back. */
  readonly patience: number;
  /** How long the database may be away before `/readyz` says so. */
  readonly grace: number;
  /** What is done with devices after that. */
  readonly whenCutOff: 'admit' | 'refuse';
}

/** How other nodes and people know this one. */
export interface NodeSettings {
  readonly name: string;
}

const longest = 60 * 60_000;

const time: Parse = (value) => {
  const milliseconds = typeof value === 'string' ? parseDuration(value) : null;
  if (milliseconds !== null && milliseconds > 0 && milliseconds <= longest) return milliseconds;
  throw new Error('is to be a time such as "500ms" or "10s", of an hour at the most');
};

/** As libpq writes it (PostgreSQL, 34.1.1.2), several hosts too; how TLS is spoken is said by settings of its own. */
const databaseUrl: Parse = (value) => {
  const host = String.raw`(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?`;
  const form = new RegExp(String.raw`^postgres(?:ql)?:\/\/(?:[^@/?#\s]+@)?${host}(?:,${host})*\/[^/?#\s]+$`);
  if (typeof value === 'string' && form.test(value)) return value;
  // The value is not repeated: a password may be in it.
  throw new Error('is to be like "postgres://user:password@host:5432/database", with commas between several hosts');
};

const tls: Parse = (value) => {
  if (value === 'verify' || value === 'off') return value;
  throw new Error('is to be verify or off');
};

const whenCutOff: Parse = (value) => {
  if (value === 'admit' || value === 'refuse') return value;
  throw new Error('is to be admit or refuse');
};

const nodeName: Parse = (value) => {
  if (typeof value === 'string' && /^[A-Za-z0-9._-]{1,100}$/.test(value)) return value;
  throw new Error('is to be 1 to 100 letters, digits, dots, hyphens and underscores');
};

/** Each setting: its key, how it is read, and its default. */
export const databaseSettings = {
  'database.url': [databaseUrl, null],
  'database.password_file': [text, null],
  'database.tls': [tls, null],
  'database.ca_file': [text, null],
  'database.certificate_file': [text, null],
  'database.key_file': [text, null],
  'database.readers': [wholeNumber(1, 100), 4],
  'database.writers': [wholeNumber(1, 100), 4],
  'database.statement_timeout': [time, 10_000],
  'database.connect_timeout': [time, 5_000],
  'database.patience': [time, 10_000],
  'database.grace': [time, 60_000],
  'database.when_cut_off': [whenCutOff, 'admit'],
  'node.name': [nodeName, null],
} as const satisfies Record<string, readonly [Parse, unknown]>;

type Key = keyof typeof databaseSettings;

/** Reads them; what is amiss is added to `faults`. */
export function readDatabase(
  read: (key: Key) => unknown,
  faults: string[],
): { database: DatabaseSettings; node: NodeSettings } {
  const file = (key: Key): string | null => {
    const path = read(key) as string | null;
    if (path === null) return null;
    try {
      return readFileSync(resolve(path), 'utf8');
    } catch (error) {
      faults.push(`${key}: ${(error as Error).message}`);
      return null;
    }
  };
  const ca = file('database.ca_file');
  const password = file('database.password_file');
  const certificate = file('database.certificate_file');
  const key = file('database.key_file');
  if ((certificate === null) !== (key === null)) {
    faults.push('database.certificate_file and database.key_file are given together or not at all');
  }
  const given = read('database.url') as string | null;
  const url = given === null || password === null ? given : withPassword(given, password.trimEnd());
  const named = hostname()
    .replaceAll(/[^A-Za-z0-9._-]/g, '-')
    .slice(0, 100);
  return {
    database: {
      url,
      tls: read('database.tls') === null ? ca !== null || !onThisMachine(url) : read('database.tls') === 'verify',
      ca,
      certificate: certificate === null || key === null ? null : { certificate, key },
      readers: read('database.readers') as number,
      writers: read('database.writers') as number,
      statementTimeout: read('database.statement_timeout') as number,
      connectTimeout: read('database.connect_timeout') as number,
      patience: read('database.patience') as number,
      grace: read('database.grace') as number,
      whenCutOff: read('database.when_cut_off') as DatabaseSettings['whenCutOff'],
    },
    node: { name: (read('node.name') as string | null) ?? (named || 'node') },
  };
}

function withPassword(url: string, password: string): string {
  const [, scheme = '', user = 'postgres', rest = ''] = /^(\w+:\/\/)(?:([^:@/]*)(?::[^@/]*)?@)?(.*)$/.exec(url) ?? [];
  return `${scheme}${user}:${encodeURIComponent(password)}@${rest}`;
}

/** Whether all hosts of a URL are this machine: what is said to them crosses no network. */
function onThisMachine(url: string | null): boolean {
  const [, list = ''] = /^\w+:\/\/(?:[^@/]*@)?([^/]*)/.exec(url ?? '') ?? [];
  return list.split(',').every((host) => /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(host));
}
