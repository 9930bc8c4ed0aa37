// What a provisioning and a device's call cost a node on PostgreSQL, and what they cost PostgreSQL: for docs/scaling.md.

import { startCluster } from './cluster.ts';
import { Load } from './load.ts';

const rounds = 5;
const devices = 50;
const provisionings = 1_500;
const calls = 1_500;

/** Measures and prints, with one node and with two, all on the same cores. */
export async function benchNodeCosts(program: string, dir: string): Promise<void> {
  await using held = new AsyncDisposableStack();
  const { nodes, databaseCpuSeconds, databaseBytes } = await startCluster(held, dir, 2);
  const [account] = await nodes[0]!.fill(1, devices);
  const { provisioner, devices: own } = account!;
  console.log('\nA node on PostgreSQL, in CPU-milliseconds for each');
  for (const count of [1, 2]) {
    const serving = nodes.slice(0, count);
    const provisioning = serving.map(({ port }) => held.use(new Load(program, port, [provisioner], 'provision', 32)));
    const calling = serving.map(({ port }) => held.use(new Load(program, port, own, 'device', 32)));
    for (const [what, loads, requests] of [
      ['shared provisioning, new connection', provisioning, provisionings],
      ['full handshake + GET /device', calling, calls],
    ] as const) {
      await Promise.all(loads.map((load) => load.run(requests)));
      const cpu = () => nodes.reduce((sum, { server }) => sum + server.cpuSeconds(), 0);
      const [before, beforeDatabase, bytes] = [cpu(), databaseCpuSeconds(), await databaseBytes()];
      let done = 0;
      for (let round = 0; round < rounds; round += 1) {
        for (const outcome of await Promise.all(loads.map((load) => load.run(requests)))) {
          if (outcome.errors > 0) throw new Error(`${outcome.errors} errors: these figures count for nothing.`);
          done += outcome.requests;
        }
      }
      const each = (seconds: number) => ((seconds * 1_000) / done).toFixed(2);
      const grown = ((await databaseBytes()) - bytes) / done;
      console.log(
        `  ${what}, ${count} node(s): node ${each(cpu() - before)} ms, PostgreSQL ${each(databaseCpuSeconds() - beforeDatabase)} ms, ${grown.toFixed(0)} bytes, ${done} made`,
      );
    }
  }
}
