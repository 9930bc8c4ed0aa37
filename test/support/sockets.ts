// Which process has which connections of a port, as Linux tells it.

import { readdir, readFile, readlink } from 'node:fs/promises';

const established = '01';

/** How many established connections to a local port a process holds. */
export async function connectionsOf(pid: number, port: number): Promise<number> {
  const inodes = await inodesOf(port);
  const files = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const targets = await Promise.all(files.map((file) => readlink(`/proc/${pid}/fd/${file}`).catch(() => '')));
  return targets.filter((target) => inodes.has(/^socket:\[(\d+)\]$/.exec(target)?.[1] ?? '')).length;
}

/** The sockets (proc(5), /proc/net/tcp) whose own end has that port. */
async function inodesOf(port: number): Promise<Set<string>> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8').catch(() => '')),
  );
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = tables.flatMap((table) => table.split('\n').slice(1)).map((row) => row.trim().split(/\s+/));
  return new Set(
    rows.filter(([, own, , state]) => own?.endsWith(local) && state === established).map((row) => row[9]!),
  );
}
