// What the hybrid key exchange that withstands quantum computers costs the gateway: X25519MLKEM768 beside X25519.

import { readFileSync } from 'node:fs';
import { connect, createSecureContext, type SecureContext } from 'node:tls';
import type { Figure } from './figures.ts';
import type { BenchAccount, Fleetroot } from './fleetroot.ts';
import type { Outcome } from './load.ts';
import { type Contender, measure, print } from './rounds.ts';

const atOnce = 32;

/** Measures whole TLS 1.3 handshakes with `GET /device`. Debian's libssl 3.0 does not know ML-KEM: Node is the client. */
export async function benchKeyExchange(
  { server, port }: Pick<Fleetroot, 'server' | 'port'>,
  { host, devices }: Pick<BenchAccount, 'host' | 'devices'>,
): Promise<Figure[]> {
  const contexts = devices.map(({ pkcs12 }) => createSecureContext({ pfx: readFileSync(pkcs12), passphrase: '' }));
  const contender = (group: string): Contender => ({
    name: group,
    server,
    load: { run: (requests) => run(requests, (n) => ask(host, port, contexts[n % contexts.length]!, group)) },
  });
  const results = await measure([contender('X25519'), contender('X25519MLKEM768')], { rounds: 9, requests: 1_000 });
  const what = 'full handshake + GET /device, TLS 1.3, X25519MLKEM768';
  print(what, results);
  const versions = `Node ${process.version} with OpenSSL ${process.versions.openssl}`;
  return [{ what, against: 'X25519', versions, ratio: results[1]!.ratio, aim: 0.9 }];
}

async function run(requests: number, make: (n: number) => Promise<void>): Promise<Outcome> {
  const began = performance.now();
  let next = 0;
  const work = async () => {
    while (next < requests) await make(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return { requests, errors: 0, seconds: (performance.now() - began) / 1_000 };
}

/** One request over a connection of its own, with the one group that the device has. Rejects where it is not answered. */
function ask(servername: string, port: number, secureContext: SecureContext, group: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // The server is our own.
  const options = { host: '127.0.0.1', port, servername, secureContext, ecdhCurve: group, rejectUnauthorized: false };
  const socket = connect(options, () => {
    socket.write(`GET /device HTTP/1.1\r\nHost: ${servername}\r\n\r\n`);
  });
  socket.once('error', reject);
  socket.once('data', (reply) => {
    socket.destroy();
    if (reply.toString('latin1').startsWith('HTTP/1.1 200')) resolve();
    else reject(new Error(reply.toString()));
  });
  return promise;
}
