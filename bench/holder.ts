// Devices that hold connections open and tell when each of them has ended: a process of its own, for bench/nodes.ts.

import { readFileSync } from 'node:fs';
import { connect } from 'node:tls';

/** What it is told, as JSON: so many connections for each device, spread over the ports. */
export interface Held {
  readonly host: string;
  readonly ports: readonly number[];
  /** Files with key and certificate; the password is empty. */
  readonly pkcs12: readonly string[];
  readonly each: number;
}

/** A connection has ended: of which device, by its place in the list, and when (milliseconds since 1970). */
export type Ended = readonly [device: number, at: number];

const atOnce = 32;

const { host, ports, pkcs12, each } = JSON.parse(process.argv[2]!) as Held;
const contexts = pkcs12.map((file) => readFileSync(file));
let next = 0;

async function work(): Promise<void> {
  while (next < contexts.length * each) {
    const n = next++;
    await hold(Math.floor(n / each), ports[n % ports.length]!);
  }
}

function hold(device: number, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({
    host: '127.0.0.1',
    port,
    servername: host,
    pfx: contexts[device],
    passphrase: '',
    // The server is our own.
    rejectUnauthorized: false,
  });
  socket.on('error', reject);
  socket.once('data', (reply) => {
    if (reply.toString('latin1').startsWith('HTTP/1.1 200')) resolve();
    else reject(new Error(reply.toString()));
  });
  socket.on('close', () => {
    reject(new Error('the connection has ended'));
    process.send?.([device, Date.now()] satisfies Ended);
  });
  socket.write(`GET /device HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  return promise;
}

await Promise.all(Array.from({ length: atOnce }, work));
process.send?.('held');
