// The settings of the audit log: where its checkpoints are pushed to.

import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { type Parse, text } from './value.ts';

/** Where checkpoints go beside the registry and the webhooks. */
export interface AuditSettings {
  /** A file that they are appended to, its absolute path; or null. */
  readonly checkpointFile: string | null;
  /** The receiver that they are sent to as messages of syslog (RFC 5424); or null. */
  readonly syslog: { readonly transport: 'udp' | 'tcp'; readonly host: string; readonly port: number } | null;
}

/** `udp://host:514` or `tcp://host:601`; the port may be left out, which is 514 then. */
const receiver: Parse = (value) => {
  const url = typeof value === 'string' ? URL.parse(value) : null;
  const transport = url?.protocol.slice(0, -1);
  const host = url?.hostname.replace(/^\[(.*)\]$/, '$1') ?? '';
  const bare = url !== null && !url.username && !url.password && !url.search && !url.hash && /^\/?$/.test(url.pathname);
  if (bare && (transport === 'udp' || transport === 'tcp') && (isIP(host) !== 0 || /^[A-Za-z0-9.-]+$/.test(host))) {
    return { transport, host, port: url.port === '' ? 514 : Number(url.port) };
  }
  throw new Error('is to be like "udp://logs.example:514" or "tcp://logs.example:601"');
};

/** Each setting: its key, how it is read, and its default. */
export const auditSettings = {
  'audit.checkpoint_file': [text, null],
  'audit.syslog': [receiver, null],
} as const satisfies Record<string, readonly [Parse, unknown]>;

/** Reads them. */
export function readAudit(read: (key: keyof typeof auditSettings) => unknown): AuditSettings {
  const file = read('audit.checkpoint_file') as string | null;
  return {
    checkpointFile: file === null ? null : resolve(file),
    syslog: read('audit.syslog') as AuditSettings['syslog'],
  };
}
