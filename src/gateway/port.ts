// A port of the gateway, opened on its address; several processes may have the same one.

import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import { Problem } from '../problem.ts';

/** Who connects while nobody is taken in waits with the kernel, as many as it allows (net.core.somaxconn). */
const backlog = 65_535;

/** How a port is opened; 0 for a free one. */
export interface PortOptions {
  readonly port: number;
  readonly host: string;
  /** Whether other processes open it too (SO_REUSEPORT): the kernel gives each connection to one of them. */
  readonly reusePort: boolean;
}

/** Opens a port; `accept` gets its connections. Throws Problem `unavailable` where it is taken. */
export async function openPort(options: PortOptions, accept: (socket: Socket) => void): Promise<net.Server> {
  const { port, host } = options;
  const server = net.createServer({ noDelay: true }, accept);
  try {
    server.listen({ ...options, backlog });
    await once(server, 'listening');
    return server;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // Every address of a machine without IPv6.
    if (code === 'EAFNOSUPPORT' && host === '::') return openPort({ ...options, host: '0.0.0.0' }, accept);
    const reason = code === 'EADDRINUSE' ? 'it is in use' : message;
    const hint = 'Choose another with --gateway-port.';
    throw new Problem('unavailable', `The gateway cannot listen on port ${port}: ${reason}.`, hint, { cause: error });
  }
}
