// Many streams of events in a process of its own, so that both ends of them stay within one process's limit of files.

import { once } from 'node:events';
import { request } from 'node:http';

const [socketPath, path, count, type] = process.argv.slice(2) as [string, string, string, string];
const atOnce = 50;
const statuses = new Map<number, number>();
const heard = new Set<number>();

async function follow(index: number): Promise<void> {
  const asked = request({ socketPath, path, headers: { accept: 'text/event-stream' }, agent: false }).end();
  const [response] = await once(asked, 'response');
  statuses.set(response.statusCode, (statuses.get(response.statusCode) ?? 0) + 1);
  response.on('data', (part: Buffer) => {
    if (!part.includes(`event: ${type}`) || heard.has(index)) return;
    heard.add(index);
    if (heard.size === Number(count)) process.stdout.write('all have heard\n');
  });
  response.on('error', () => {});
}

for (let at = 0; at < Number(count); at += atOnce) {
  await Promise.all(Array.from({ length: atOnce }, (_, index) => follow(at + index)));
}
process.stdout.write(`open ${JSON.stringify([...statuses])}\n`);
