// The first bytes of a TLS client, for whoever sends them and does nothing more.

import { once } from 'node:events';
import net from 'node:net';
import { connect, type ConnectionOptions } from 'node:tls';

/** What Node's own client sends first. */
export async function clientHello(options: ConnectionOptions): Promise<Buffer> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const client = connect({ ...options, host: '127.0.0.1', port });
  client.on('error', () => undefined);
  const [accepted] = (await once(server, 'connection')) as [net.Socket];
  const [bytes] = (await once(accepted, 'data')) as [Buffer];
  accepted.destroy();
  client.destroy();
  server.close();
  return bytes;
}
