// What Fleetroot is measured against: Debian's nginx, and Node's own https server, both with a static reply.

import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { loadCore, Pinned } from './pinned.ts';
import type { PlainNodeOptions } from './plain-node.ts';

export const referenceHost = 'reference.localhost';

/** A server and where it listens. */
export interface Served {
  readonly server: Pinned;
  readonly port: number;
}

/** Which nginx it is, and on which OpenSSL. */
export function nginxVersion(): string {
  const { stderr } = spawnSync('nginx', ['-V'], { encoding: 'utf8' });
  const [, version = ''] = /nginx version: (\S+)/.exec(stderr) ?? [];
  const [, openssl = ''] = /built with (OpenSSL \S+)/.exec(stderr) ?? [];
  return `${version} (${openssl})`;
}

/** A P-256 certificate for the references, sent with its CA as Fleetroot sends its own; files in `dir`. */
export function makeServerCertificate(dir: string): { certificate: string; key: string } {
  const script = `
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -days 30 -subj /CN=ca
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj /CN=server
    printf 'subjectAltName=DNS:${referenceHost}' >san
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile san -out server.crt
    cat server.crt ca.crt >chain.crt`;
  execFileSync('sh', ['-euc', script], { cwd: dir, stdio: 'pipe' });
  return { certificate: join(dir, 'chain.crt'), key: join(dir, 'server.key') };
}

/**
 * nginx with one worker, verifying clients, without session cache, tickets and access log. What nginx calls tickets off
 * leaves two for each TLS 1.3 handshake that nobody can use; `more` are further lines of its configuration. What is asked
 * for under /proxied goes to `backEnd`, a port of this machine.
 */
export async function startNginx(dir: string, options: PlainNodeOptions, more = '', backEnd = 1): Promise<Served> {
  const port = await freePort();
  const file = join(dir, `nginx-${port}.conf`);
  writeFileSync(
    file,
    `worker_processes 1;
     daemon off;
     pid nginx-${port}.pid;
     error_log stderr error;
     events { worker_connections 1024; }
     http {
       access_log off;
       keepalive_requests 1000000;
       upstream back_end { server 127.0.0.1:${backEnd}; keepalive 64; keepalive_requests 1000000; }
       server {
         listen ${port} ssl;
         server_name ${referenceHost};
         ssl_certificate ${options.certificate};
         ssl_certificate_key ${options.key};
         ssl_protocols TLSv1.2 TLSv1.3;
         ssl_verify_client on;
         ssl_client_certificate ${options.clientCa};
         ssl_session_cache off;
         ssl_session_tickets off;
         ${more}
         default_type application/json;
         location = /device { return 200 '${options.reply}'; }
         location /proxied/ { proxy_pass http://back_end; proxy_http_version 1.1; proxy_set_header Connection ''; }
       }
     }`,
  );
  const server = new Pinned(['nginx', '-p', dir, '-c', file]);
  while (!(await isOpen(port))) await setTimeout(20);
  return { server, port };
}

/** back-end.ts, on the load's core. */
export async function startBackEnd(reply: string): Promise<Served> {
  const program = new URL('back-end.ts', import.meta.url).pathname;
  const server = new Pinned([process.execPath, program, reply], {}, `${loadCore}`);
  const [, port] = await server.says(/ready on port (\d+)/);
  return { server, port: Number(port) };
}

/** plain-node.ts */
export async function startPlainNode(options: PlainNodeOptions): Promise<Served> {
  const program = new URL('plain-node.ts', import.meta.url).pathname;
  const server = new Pinned([process.execPath, program, JSON.stringify(options)]);
  const [, port] = await server.says(/ready on port (\d+)/);
  return { server, port: Number(port) };
}

/** nginx has to be told its port. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
