// The console's factory: manifests imported by dropping them, devices and a stranger counted, what is let in, the allow-list.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { actions } from '../../src/factory/actions.ts';
import { axe, Console } from '../support/console.ts';
import { makeOperator } from '../support/cookie-jar.ts';
import { startLine, type TestLine } from '../support/factory.ts';
import { Fleet } from '../support/fleet.ts';
import { exportManifest, LineDevices } from '../support/line-devices.ts';
import type { Credentials } from '../support/pki.ts';

describe('the factory in the console', () => {
  let console: Console;
  let line: TestLine;
  let fleet: Fleet;
  let device: Credentials;
  let stranger: Credentials;
  /** What the line has exported, in its order. */
  const manifests: string[] = [];

  const exported = async () => manifests.push((await readFile((await exportManifest(line)).file, 'utf8')).trim());
  before(async () => {
    [console, line] = await Promise.all([Console.open(), startLine({ site: 'Graz', quota: 25, pattern: 'dev-.*' })]);
    const { server } = console;
    fleet = await Fleet.open(server, 'fleet');
    await fleet.fleetRoot('register', line.rootFile, '--name', 'acme-root');
    for (const role of ['factory', 'auditor']) {
      await makeOperator(server, `${role}@acme.example`);
      await server.json('operator', 'grant', `${role}@acme.example`, 'fleet', role);
    }
    {
      await using making = await LineDevices.open(line);
      device = await making.make('dev-1');
      await making.make('dev-2');
      stranger = await making.steal('dev-99');
      for (const { id } of await actions.listWindows(making.factory, { all: false }))
        await actions.closeWindow(making.factory, { id });
    }
    await exported();
    await exported();
    {
      await using making = await LineDevices.open(line, { order: 'order-2' });
      await making.make('dev-3');
    }
    await exported();
  });
  after(() => Promise.all([console[Symbol.asyncDispose](), line[Symbol.asyncDispose]()]));

  /** Drops a file into the dialog that imports manifests. */
  const drop = (page: Page, ...lines: string[]) =>
    page.getByLabel('Drop a manifest here').setInputFiles({
      name: 'week-47.jws',
      mimeType: 'application/jose',
      buffer: Buffer.from(`${lines.join('\n')}\n`),
    });

  test('whoever is of the factory drops a manifest, and it is imported line by line up to the first that is refused', async () => {
    const page = await console.page('/accounts/fleet/factory', { name: 'factory@acme.example' });
    await page.getByRole('heading', { name: 'No line has told of anything yet' }).waitFor();
    assert.deepEqual(await axe(page), []);
    await page.getByRole('button', { name: 'Import a manifest' }).first().click();
    const dialog = page.getByRole('dialog', { name: 'Import a manifest' });
    await drop(page, manifests[0]!, manifests[2]!);
    await dialog.getByText('Refused at line 2 of 2; what stood before it is imported').waitFor();
    await dialog.getByText(/those between are missing/).waitFor();
    await dialog.getByText('Imported so far').waitFor();
    await dialog.getByText('2 certificates made and 0 withdrawn; 0 of these were in use, and are revoked.').waitFor();
    assert.deepEqual(await axe(page), []);

    await drop(page, ...manifests);
    await dialog.getByText('The manifest is imported').waitFor();
    await dialog.getByText('1 certificate made and 0 withdrawn').waitFor();
    const verdicts = dialog.getByRole('region', { name: 'What came of each line of the file' });
    assert.equal(await verdicts.getByRole('row').count(), 4);
    await verdicts.getByRole('row', { name: /^1 line-1 at Graz known already/ }).waitFor();
    await verdicts.getByRole('row', { name: /^3 line-1 at Graz .* 1 0 0 0$/ }).waitFor();
    await dialog.getByRole('button', { name: 'Close' }).last().click();

    await page.getByRole('heading', { name: 'line-1' }).waitFor();
    await page.getByText('3 made: 0 seen, 3 never seen, 0 withdrawn.').waitFor();
    await page.getByText('3 of 25 used, 22 left').waitFor();
    await page.getByRole('progressbar', { name: /^How much of the mandate .* of line-1 is used$/ }).waitFor();
    await page.getByRole('region', { name: 'never seen' }).getByRole('row', { name: /dev-3/ }).waitFor();
    assert.equal(await page.getByText('What is let in').count(), 0);
    assert.deepEqual(await axe(page), []);
    await page.context().close();
  });

  test('one order is looked at alone, and the address says so', async () => {
    const page = await console.page('/accounts/fleet/factory', { name: 'auditor@acme.example' });
    await page.getByRole('button', { name: 'Show the order order-2 alone' }).click();
    await page.waitForURL(/order=order-2/);
    await page.getByRole('heading', { name: 'The order order-2' }).waitFor();
    const list = page.getByRole('region', { name: 'never seen' });
    await list.getByRole('row', { name: /dev-1/ }).waitFor({ state: 'detached' });
    assert.equal(await list.getByRole('row').count(), 2);
    await page.reload();
    await page.getByRole('button', { name: 'All orders' }).click();
    await list.getByRole('row', { name: /dev-1/ }).waitFor();
    for (const button of ['Import a manifest', 'Let in by manifest under acme-root']) {
      assert.equal(await page.getByRole('button', { name: button }).count(), 0, button);
    }
    await page.getByRole('tab', { name: 'Allow-list' }).click();
    await page.getByRole('region', { name: 'Allow-list' }).getByText('dev-2').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Import device IDs' }).count(), 0);
    assert.equal(await page.getByRole('checkbox').count(), 0);
  });

  test('devices that come are seen, and one that nobody has made is a stranger once the next manifest is there', async () => {
    const page = await console.page('/accounts/fleet/factory');
    await page.getByText('3 made: 0 seen').waitFor();
    assert.equal(await fleet.arrive(device), 'in');
    assert.equal(await fleet.arrive(stranger), 'in');
    await exported();
    await page.getByRole('button', { name: 'Import a manifest' }).click();
    await drop(page, manifests.at(-1)!);
    await page.getByText('The manifest is imported').waitFor();
    await page.keyboard.press('Escape');
    await page.getByText('3 made: 1 seen, 2 never seen, 0 withdrawn.').waitFor();
    await page.getByRole('button', { name: /^1\s*strangers/ }).click();
    await page.waitForURL(/list=strangers/);
    await page
      .getByRole('region', { name: 'strangers' })
      .getByRole('row', { name: /dev-99.*line-1.*got in/ })
      .waitFor();
    await page.getByText('the line has not made them').waitFor();
    assert.deepEqual(await axe(page), []);

    // Of many the first come with the numbers, and all by pages.
    const listed = await page.request.get('/api/v1/accounts/fleet/manifests/strangers?limit=1');
    assert.deepEqual(
      ((await listed.json()) as { device_id: string }[]).map(({ device_id }) => device_id),
      ['dev-99'],
    );
    const next = /<([^>]+)>; *rel="next"/.exec(listed.headers()['link'] ?? '')![1]!;
    assert.deepEqual(await (await page.request.get(next)).json(), []);
    await page.route('**/reconciliation', async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, json: { ...(await response.json()), strangers: { count: 2, first: [] } } });
    });
    await page.reload();
    await page.getByRole('button', { name: 'Show all 2' }).click();
    await page
      .getByRole('region', { name: 'strangers' })
      .getByRole('row', { name: /dev-99/ })
      .waitFor();
  });

  test('manifests alone let in under a Fleet Root CA, once it was typed who is refused by that', async () => {
    const page = await console.page('/accounts/fleet/factory');
    await page.getByRole('button', { name: 'Let in by manifest under acme-root' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('1 device that gets in now would be refused from then on.').waitFor();
    await dialog.getByText('dev-99').waitFor();
    await dialog.getByLabel('Type acme-root to go on').fill('acme-root');
    await dialog.getByRole('button', { name: 'Let in by manifest under acme-root' }).click();
    await page.getByRole('row', { name: /acme-root.*only a factory’s manifest/ }).waitFor();
    assert.equal(await fleet.arrive(device), 'in');
    assert.notEqual(await fleet.arrive(stranger), 'in');
  });

  test('device IDs come from a file, whose wrong rows are told before; they are filtered, and removed', async () => {
    const page = await console.page('/accounts/fleet/factory?part=allow-list');
    await page.getByRole('button', { name: 'Import device IDs' }).click();
    const dialog = page.getByRole('dialog', { name: 'Import device IDs' });
    const content = `device_id,Batch\nbench-1,b1\n${'x'.repeat(300)},b1\nbench-2,b2\n`;
    await dialog
      .getByLabel('Drop a file with device IDs here')
      .setInputFiles({ name: 'bench.csv', mimeType: 'text/csv', buffer: Buffer.from(content) });
    await dialog.getByText('What would come of it').waitFor();
    await dialog.getByText('3 rows: 2 added, 0 there already (0 with other labels).').waitFor();
    await dialog.getByRole('region').getByRole('row', { name: /^3 x+/ }).waitFor();
    assert.deepEqual(await axe(page), []);
    await dialog.getByRole('button', { name: 'Import 2 rows' }).click();
    await dialog.getByText('The device IDs are imported').waitFor();
    await dialog.getByRole('button', { name: 'Close' }).last().click();

    const list = page.getByRole('region', { name: 'Allow-list' });
    await list.getByRole('row', { name: /bench-1 has not joined never batch: b1/ }).waitFor();
    await page.getByText('joined', { exact: true }).click();
    await page.waitForURL(/seen=joined/);
    await list.getByRole('row', { name: /bench-1/ }).waitFor({ state: 'detached' });
    await list.getByRole('row', { name: /dev-1 active/ }).waitFor();
    await page.getByText('all', { exact: true }).click();
    await list.getByRole('checkbox', { name: 'Choose bench-1' }).check();
    await list.getByRole('checkbox', { name: 'Choose bench-2' }).check();
    assert.deepEqual(await axe(page), []);
    await page.getByRole('button', { name: 'Remove 2 device IDs' }).click();
    const removal = page.getByRole('dialog', { name: 'Remove 2 device IDs' });
    await removal.getByLabel('Type 2 to go on').fill('2');
    await removal.getByRole('button', { name: 'Remove 2 device IDs' }).click();
    await list.getByRole('row', { name: /bench-1/ }).waitFor({ state: 'detached' });
    assert.equal((await console.server.json('allow-list', 'list', 'fleet')).length, 3);
  });
});
