// The server of the stories, on free ports, and its gateway as a device's image knows it.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import { at, type Client } from '../cli/client.ts';
import { loadConfig } from '../config.ts';
import { openLog } from '../log.ts';
import { type Server, startServer } from '../server.ts';
import type { Trusted } from './device.ts';

/** Starts a server on a data directory of its own. */
export function startDemoServer(dataDir: string): Promise<Server> {
  const config = loadConfig({
    dataDir,
    options: { 'gateway.port': [0], 'gateway.workers': 1, 'operator.port': 0, 'log.level': 'warn' },
    env: {},
  });
  return startServer(config, { log: openLog(config.log.level) });
}

/** An account as the API shows it. */
export interface AccountJson {
  readonly id: string;
  readonly name: string;
}

/** Makes credentials.zip, keeps it beside the data where a directory is given, and opens it as an image does. */
export async function openGateway(
  api: Client,
  account: AccountJson,
  server: Server,
  directory: string | null = null,
): Promise<Trusted & { readonly entries: ReadonlyMap<string, Buffer> }> {
  const made = await api.post<{ readonly zip: string }>(at`/accounts/${account.name}/credentials`, {});
  const zip = Buffer.from(made.zip, 'base64');
  if (directory !== null) await writeFile(join(directory, `${account.name}-credentials.zip`), zip, { mode: 0o600 });
  const entries = new Map(Object.entries(unzipSync(zip)).map(([name, bytes]) => [name, Buffer.from(bytes)]));
  const url = new URL(entries.get('autoprov.url')?.toString('utf8') ?? '');
  return { host: url.hostname, port: server.gatewayPorts[0] ?? 0, ca: entries.get('server_ca.pem') ?? '', entries };
}
