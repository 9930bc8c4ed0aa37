// Where the audit log's checkpoints are pushed to, so that whoever takes the server over cannot sign a new history unseen.

import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { appendFile, open } from 'node:fs/promises';
import { connect } from 'node:net';
import { hostname } from 'node:os';
import { finished } from 'node:stream/promises';
import type { SignedCheckpoint } from '../registry/audit-chain.ts';

/** A syslog receiver, as `audit.syslog` names it. */
export interface SyslogReceiver {
  readonly transport: 'udp' | 'tcp';
  readonly host: string;
  readonly port: number;
}

/** One place that checkpoints are pushed to. */
export interface CheckpointTarget {
  /** As the log names it. */
  readonly name: string;
  /** Gives a checkpoint over. Rejects where it could not be. */
  push(checkpoint: SignedCheckpoint): Promise<void>;
}

/** How long a receiver may take, in milliseconds. */
const patience = 3_000;
/** Octets at the end of a file in which its last line is looked for: more than any checkpoint has. */
const longestLine = 4_096;
/** Facility 13 (log audit), severity 5 (notice): RFC 5424 §6.2.1. */
const priority = 13 * 8 + 5;

/** The places that are configured. */
export function checkpointTargets({
  file,
  syslog,
}: {
  file: string | null;
  syslog: SyslogReceiver | null;
}): CheckpointTarget[] {
  return [...(file === null ? [] : [fileTarget(file)]), ...(syslog === null ? [] : [syslogTarget(syslog)])];
}

/** Appends each checkpoint as one line of JSON, durably; one that is the last line already is not repeated. */
function fileTarget(path: string): CheckpointTarget {
  return {
    name: path,
    async push(checkpoint) {
      const line = JSON.stringify(checkpoint);
      if ((await lastLine(path)) === line) return;
      await appendFile(path, `${line}\n`, { mode: 0o600, flush: true });
    },
  };
}

async function lastLine(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path);
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read({
      position: Math.max(0, size - longestLine),
      buffer: Buffer.alloc(longestLine),
    });
    return buffer.toString('utf8', 0, bytesRead).trimEnd().split('\n').at(-1);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function syslogTarget(receiver: SyslogReceiver): CheckpointTarget {
  const { transport, host, port } = receiver;
  const send = transport === 'udp' ? sendDatagram : sendOverTcp;
  return {
    name: `${transport}://${host}:${port}`,
    push: (checkpoint) => send(receiver, Buffer.from(syslogMessage(checkpoint))),
  };
}

/** RFC 5424 §6: no structured data, and the checkpoint, which is ASCII, as the message. */
function syslogMessage(checkpoint: SignedCheckpoint): string {
  const machine =
    hostname()
      .replaceAll(/[^\x21-\x7e]/g, '')
      .slice(0, 255) || '-';
  return `<${priority}>1 ${checkpoint.at} ${machine} fleetroot ${process.pid} audit-checkpoint - ${JSON.stringify(checkpoint)}`;
}

/** RFC 5426: one datagram a message. That it has arrived, nobody says. */
async function sendDatagram({ host, port }: SyslogReceiver, message: Buffer): Promise<void> {
  const { address, family } = await lookup(host);
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('error', reject);
  socket.send(message, port, address, (error) => (error ? reject(error) : resolve()));
  try {
    await promise;
  } finally {
    socket.close();
  }
}

/** RFC 6587 §3.4.1: each message is preceded by its length in octets. */
async function sendOverTcp({ host, port }: SyslogReceiver, message: Buffer): Promise<void> {
  const socket = connect({ host, port });
  const enough = setTimeout(() => socket.destroy(new Error(`not taken within ${patience} ms`)), patience);
  try {
    await once(socket, 'connect');
    socket.resume().end(Buffer.concat([Buffer.from(`${message.length} `), message]));
    await finished(socket, { readable: false });
  } finally {
    clearTimeout(enough);
    socket.destroy();
  }
}
