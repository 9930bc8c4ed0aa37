// How long a connection outlives its device's revocation: from the operator's call to the end of the open connection.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type TLSSocket } from 'node:tls';
import { at } from '../src/cli/client.ts';
import type { BenchAccount, Fleetroot } from './fleetroot.ts';
import type { Identity } from './load.ts';

/** Opens a connection for each device, revokes one device after the other, then disables the rest's Fleet Root CA. */
export async function benchRevocation(fleetroot: Fleetroot, { devices }: BenchAccount, name: string): Promise<void> {
  const lines = await Promise.all(devices.map((device) => open(fleetroot, device)));
  const half = Math.floor(lines.length / 2);
  const single: number[] = [];
  for (const { socket, deviceId } of lines.slice(0, half)) {
    const began = performance.now();
    const ended = once(socket, 'close').then(() => performance.now() - began);
    await fleetroot.api.post(at`/accounts/${name}/devices/${deviceId}/revoke?confirm=1`);
    single.push(await ended);
  }
  const rest = lines.slice(half);
  const began = performance.now();
  const ended = rest.map(({ socket }) => once(socket, 'close').then(() => performance.now() - began));
  await fleetroot.api.post(at`/accounts/${name}/fleet-root-cas/generated/disable?confirm=1000000`);
  const together = await Promise.all(ended);
  console.log(`\nRevoked means gone: from the operator's call to the end of the open connection, ${lines.length} open`);
  console.log(`  device revoke, one after the other: ${spread(single)}`);
  console.log(`  fleet-root disable, ${rest.length} connections at once: ${spread(together)}`);
}

async function open(
  fleetroot: Fleetroot,
  { host, pkcs12 }: Identity,
): Promise<{ socket: TLSSocket; deviceId: string }> {
  const socket = connect({
    host: '127.0.0.1',
    port: fleetroot.port,
    servername: host,
    pfx: readFileSync(pkcs12),
    passphrase: '',
    // The server is our own.
    rejectUnauthorized: false,
  });
  socket.on('error', () => undefined);
  socket.write(`GET /device HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const [reply] = (await once(socket, 'data')) as [Buffer];
  const deviceId = /"device_id":"([^"]+)"/.exec(reply.toString())?.[1];
  if (deviceId === undefined) throw new Error(`GET /device was answered: ${reply.toString()}`);
  return { socket, deviceId };
}

function spread(times: readonly number[]): string {
  const sorted = times.toSorted((one, other) => one - other);
  const at = (share: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0).toFixed(1);
  return `median ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`;
}
