// Real load balancers in front, as docs/load-balancers.md has them: HAProxy, which asks /readyz, and nginx' stream module.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { valueOf } from '../support/exposition.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { call, type Device, type Image } from '../support/image.ts';
import { configurationOf, RunningBalancer } from '../support/load-balancers.ts';
import { needs } from '../support/require.ts';

/** From where the balancers of this machine call the node, and the clients of these stories call them. */
const balancers = '127.0.0.1';
const client = '127.0.0.61';
const from = (address: string) => ({ curl: ['--interface', address] });
/** Nothing listens there. */
const down = '127.0.0.62:9';

/** Has a page's configuration run here: every place in it is replaced once, and must be there. */
function fit(configuration: string, places: Readonly<Record<string, string>>): string {
  let fitted = configuration;
  for (const [place, here] of Object.entries(places)) {
    assert.ok(fitted.includes(place), `there is no ${place} on the page`);
    fitted = fitted.replaceAll(place, here);
  }
  return fitted;
}

const programs = needs('openssl', 'curl', 'unzip', 'haproxy', 'nginx-stream');

describe('load balancers', { skip: programs, timeout: 120_000 }, () => {
  let fleetroot: Fleetroot;
  let image: Image;
  let ofClient: Image;
  let device: Device;

  before(async () => {
    fleetroot = await Fleetroot.start({
      options: { 'gateway.proxies': [balancers], 'operator.hosts': ['node.fleetroot.example'] },
    });
    await fleetroot.json('account', 'create', 'acme');
    image = await fleetroot.image('acme');
    ofClient = await fleetroot.image('acme', '--network', `${client}/32`);
  });
  after(() => fleetroot[Symbol.asyncDispose]());

  const node = () => `127.0.0.1:${fleetroot.port}`;
  const startHaproxy = async () => {
    const configuration = await configurationOf('haproxy');
    return RunningBalancer.start(
      (port, dir) =>
        fit(configuration, {
          'bind :443': `bind 127.0.0.1:${port}`,
          '10.0.0.11:8443': node(),
          '10.0.0.12:8443': down,
          'port 8080': `port ${fleetroot.server.operatorPort}`,
          '/etc/haproxy/fleetroot-operator-ca.crt': join(dir, 'ca.crt'),
          'maxconn 100000': `maxconn 1000\n    stats socket ${join(dir, 'stats')}`,
        }),
      (file) => ['sh', '-c', `cp "$1" "$(dirname "$2")/ca.crt" && exec haproxy -db -f "$2"`, 'sh', operatorCa(), file],
    );
  };
  const operatorCa = () => join(fleetroot.dir, 'operator-ca.crt');
  const startNginx = async () => {
    const configuration = await configurationOf('nginx');
    return RunningBalancer.start(
      (port, dir) =>
        `load_module /usr/lib/nginx/modules/ngx_stream_module.so;
         daemon off; master_process off; pid ${dir}/nginx.pid; error_log ${dir}/error.log; events {}
         ${fit(configuration, { 'listen 443': `listen 127.0.0.1:${port}`, '10.0.0.11:8443': node(), '10.0.0.12:8443': down })}`,
      (file, dir) => ['nginx', '-p', dir, '-c', file],
    );
  };

  for (const [name, start] of [
    ['HAProxy', startHaproxy],
    ['nginx', startNginx],
  ] as const) {
    test(`${name}: a device is provisioned and served from where it is, past a node that is down`, async () => {
      await using balancer = await start();
      // HAProxy takes a node for well until its first checks; whoever is sent to the other meanwhile tries again.
      const pkcs12 = await eventually(async () => {
        const answer = await ofClient.at(balancer).provision(`dev-${name}`, from(client));
        return answer.status === 200 && answer.body;
      });
      device = (await image.device(pkcs12)).at(balancer);
      for (let n = 0; n < 4; n += 1) {
        const { json } = await eventually(async () => {
          const answer = await device.whoAmI(from(client));
          return answer.status === 200 && answer;
        });
        assert.equal(json.device_id, `dev-${name}`);
      }
      const elsewhere = await ofClient.at(balancer).provision('dev-elsewhere', from('127.0.0.63'));
      assert.equal(elsewhere.json.code, 'network_not_allowed');
      await call(image.at(balancer).stranger, '/device', from(`127.0.0.${name.length + 70}`));
      await eventually(async () => {
        const all = await fleetroot.json('refusal', 'list', 'acme', '--code', 'certificate_required');
        return all.some(({ address }: { address: string }) => address === `127.0.0.${name.length + 70}`);
      });
    });
  }

  test("HAProxy's checks of /readyz say which node is well; they are no connections of devices, and refused by nobody", async () => {
    await using balancer = await startHaproxy();
    // proxy,server,…,status,…,check_status (HAProxy's Management Guide, 9.1).
    const checkOf = async (server: string) => {
      const [names = '', ...rows] = (await balancer.ask('stats', 'show stat')).split('\n');
      const row = rows.find((each) => each.startsWith(`nodes,${server},`))?.split(',') ?? [];
      return `${row[names.split(',').indexOf('status')]} ${row[names.split(',').indexOf('check_status')]}`;
    };
    await eventually(async () => (await checkOf('node-2')) === 'DOWN L4CON');
    await eventually(async () => (await checkOf('node-1')) === 'UP L7OK');
    assert.deepEqual(await fleetroot.json('refusal', 'list', '--unassigned'), []);
    assert.equal(valueOf(await fleetroot.metrics(), 'fleetroot_proxy_headers_refused_total'), 0);
  });
});
