// Ports that several processes of one server share: whether this system has that, and whether nobody else has them.

import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { openPort } from '../gateway/port.ts';

/** Whether two may listen on one port (SO_REUSEPORT), each connection going to one of them: macOS and Windows have no such thing. */
export async function canSharePorts(): Promise<boolean> {
  const host = '127.0.0.1';
  const first = net.createServer();
  const second = net.createServer();
  try {
    first.listen({ port: 0, host, reusePort: true });
    await once(first, 'listening');
    second.listen({ port: (first.address() as AddressInfo).port, host, reusePort: true });
    await once(second, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    first.close();
    second.close();
  }
}

/**
 * Throws Problem `unavailable` for a port that somebody has: a second server of the same user could else share it unseen,
 * and devices would come now to one and now to the other.
 */
export async function requireFreePorts(ports: readonly number[], host: string): Promise<void> {
  for (const port of ports.filter((each) => each !== 0)) {
    const probe = await openPort({ port, host, reusePort: false }, (socket) => socket.destroy());
    await new Promise((resolve) => probe.close(resolve));
  }
}
