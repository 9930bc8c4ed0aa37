// `npm run screenshots [-- DIR]`: the pictures of docs/console.md, of a server with real devices; into DIR those of every page of the
// console, light and dark, narrow and wide.

import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Console } from '../support/console.ts';
import { makeOperator } from '../support/cookie-jar.ts';
import { eventually } from '../support/eventually.ts';
import { startLine } from '../support/factory.ts';
import { Fleet } from '../support/fleet.ts';
import { exportManifest, LineDevices } from '../support/line-devices.ts';
import { type Credentials, Pki } from '../support/pki.ts';

/** Those of the docs are 1280 px wide; the others are there to be looked at. */
const docs = join(import.meta.dirname, '../../docs/console');
const shown = new Set(readFileSync(`${docs}.md`, 'utf8').match(/(?<=console\/)[\w-]+(?=\.png)/g));
const [elsewhere] = process.argv.slice(2);
const widths = elsewhere === undefined ? [1280] : [360, 1280, 2560];
const dir = elsewhere ?? docs;
mkdirSync(dir, { recursive: true });

/** How far the server's clock is behind, in milliseconds: what the overview draws has come over an hour, not at once. */
let behind = 58 * 60_000;
await using console = await Console.open({ clock: () => Date.now() - behind });
await using pki = await Pki.open();
const { server } = console;

const root = await pki.guideRoot('acme-vehicles');
const fleet = await Fleet.openTest(server, 'acme', root);
const image = await server.image('acme', '--description', 'Image of the October release', '--max-uses', '50');
for (let n = 1; n <= 30; n += 1) {
  behind -= n % 7 === 0 ? 0 : 80_000;
  const device = await image.boot(`gateway-${String(n).padStart(4, '0')}`);
  if (n % 5 !== 0) await device.whoAmI();
}
for (const vin of ['WDB2034461A000001', 'WDB2034461A000002', 'WDB2034461A000003']) {
  behind -= 180_000;
  await (await fleet.image.boot(vin)).whoAmI();
}
behind = 0;
const system = await image.boot('gateway-0031');
await system.call('/system_info', {
  method: 'PUT',
  body: JSON.stringify({ id: 'gateway', class: 'system', description: 'Computer', product: 'Raspberry Pi 4 Model B' }),
});
await server.command('device', 'suspend', 'acme', 'gateway-0003', '--yes');
await server.command('device', 'revoke', 'acme', 'gateway-0004', '--yes');
await server.json('account', 'set', 'acme', '--admission', 'approval', '--yes');
for (const name of ['pump-17', 'pump-18', 'a-device-whose-name-somebody-made-as-long-as-a-name-may-be-00001'])
  await fleet.connect(await root.guideDevice(name));
const strangers = await pki.guideRoot('nobody-we-know');
for (const name of ['pump-99', 'pump-98']) await fleet.connect(await strangers.guideDevice(name));

await using line = await startLine({ site: 'Graz', quota: 25, pattern: 'dev-.*' });
await server.json('fleet-root', 'register', 'acme', line.rootFile, '--name', 'graz');
const made: Credentials[] = [];
{
  await using making = await LineDevices.open(line);
  for (const id of ['dev-1', 'dev-2', 'dev-3']) made.push(await making.make(id));
  made[2] = await making.steal('dev-99');
}
await server.json('manifest', 'import', 'acme', (await exportManifest(line)).file);
for (const credentials of made) await fleet.connect(credentials);

for (const [name, role] of [
  ['owner', 'owner'],
  ['line', 'factory'],
  ['auditor', 'auditor'],
] as const) {
  await makeOperator(server, `${name}@acme.example`);
  await server.json('operator', 'grant', `${name}@acme.example`, 'acme', role);
}
await server.json('token', 'create', 'acme', '--role', 'auditor', '--description', 'The nightly inventory');
await server.json(
  'webhook',
  'create',
  'acme',
  '--to',
  'https://hooks.example/fleet',
  '--description',
  'Who is on call',
);
await server.json('account', 'create', 'new-account');

const found = async (id: string): Promise<string> =>
  ((await server.json('device', 'list', 'acme', '--prefix', id)) as { uuid: string }[])[0]!.uuid;
const pages: Readonly<Record<string, string>> = {
  accounts: '/accounts',
  'first-device': '/welcome/new-account',
  overview: '/accounts/acme',
  devices: '/accounts/acme/devices',
  device: `/accounts/acme/devices/${await found('gateway-0031')}`,
  'device-suspended': `/accounts/acme/devices/${await found('gateway-0003')}`,
  pending: '/accounts/acme/pending',
  refusals: '/accounts/acme/refusals',
  explain: '/accounts/acme/explain',
  credentials: '/accounts/acme/credentials',
  'fleet-root-cas': '/accounts/acme/fleet-root-cas',
  factory: '/accounts/acme/factory',
  settings: '/accounts/acme/settings',
  operators: '/accounts/acme/operators',
  tokens: '/accounts/acme/tokens',
  webhooks: '/accounts/acme/webhooks',
  audit: '/accounts/acme/audit',
  'my-login': '/me',
  'server-operators': '/server/operators',
  'server-audit': '/server/audit',
  custody: '/server/custody',
  'empty-overview': '/accounts/new-account',
  'empty-devices': '/accounts/new-account/devices',
};

for (const colorScheme of ['light', 'dark'] as const) {
  for (const width of widths) {
    const page = await console.page('/', { colorScheme, viewport: { width, height: 900 } });
    for (const [name, path] of Object.entries(pages)) {
      if (elsewhere === undefined && !shown.has(`${name}-${colorScheme}`)) continue;
      await page.goto(path);
      await page.getByRole('heading', { level: 1 }).waitFor();
      // The stream of events never ends, so the network is never idle: what is asked for has come when no placeholder is left.
      await eventually(async () => (await page.locator('[data-asking]').count()) === 0);
      const ending = elsewhere === undefined ? colorScheme : `${width}-${colorScheme}`;
      await page.screenshot({ path: join(dir, `${name}-${ending}.png`), fullPage: elsewhere !== undefined });
    }
    await page.context().close();
  }
}
