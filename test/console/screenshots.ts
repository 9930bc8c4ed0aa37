// `npm run screenshots [-- DIR]`: pictures of every page of the console, of a server with real devices, light and dark, wide and narrow.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Console } from '../support/console.ts';
import { eventually } from '../support/eventually.ts';
import { Fleet } from '../support/fleet.ts';
import { Pki } from '../support/pki.ts';

/** Those of the docs are 1280 px wide; the others are there to be looked at. */
const docs = join(import.meta.dirname, '../../docs/console');
const [elsewhere] = process.argv.slice(2);
const widths = elsewhere === undefined ? [1280] : [360, 1280, 2560];
const dir = elsewhere ?? docs;
mkdirSync(dir, { recursive: true });

await using console = await Console.open();
await using pki = await Pki.open();
const { server } = console;

const root = await pki.guideRoot('acme-vehicles');
const fleet = await Fleet.openTest(server, 'acme', root);
await server.json('account', 'set', 'acme', '--admission', 'approval');
for (const vin of ['WDB2034461A000001', 'WDB2034461A000002', 'WDB2034461A000003']) await fleet.image.boot(vin);
const image = await server.image('acme', '--description', 'Image of the October release', '--max-uses', '50');
for (let n = 1; n <= 12; n += 1) await image.boot(`gateway-${String(n).padStart(4, '0')}`);
for (const name of ['pump-17', 'pump-18', 'a-device-whose-name-somebody-made-as-long-as-a-name-may-be-00001']) {
  await fleet.connect(await root.guideDevice(name));
}
const strangers = await pki.guideRoot('nobody-we-know');
for (const name of ['pump-99', 'pump-98']) await fleet.connect(await strangers.guideDevice(name));
await server.command('device', 'suspend', 'acme', 'gateway-0003');
await server.command('device', 'revoke', 'acme', 'gateway-0004', '--yes');
await server.json('account', 'create', 'new-account');

const [device] = (await server.json('device', 'list', 'acme')) as { uuid: string }[];
const pages: Readonly<Record<string, string>> = {
  accounts: '/accounts',
  'first-device': '/welcome/new-account',
  overview: '/accounts/acme',
  devices: '/accounts/acme/devices',
  device: `/accounts/acme/devices/${device!.uuid}`,
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
      await page.goto(path);
      await page.getByRole('heading', { level: 1 }).waitFor();
      // The stream of events never ends, so the network is never idle: what is asked for has come when no placeholder is left.
      await eventually(async () => (await page.getByRole('status', { name: 'Loading' }).count()) === 0);
      const ending = elsewhere === undefined ? colorScheme : `${width}-${colorScheme}`;
      await page.screenshot({ path: join(dir, `${name}-${ending}.png`), fullPage: elsewhere !== undefined });
    }
    await page.context().close();
  }
}
