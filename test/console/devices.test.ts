// The devices of an account in the console: found, filtered, changed together; and one device, with all that is known of it.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { axe, Console } from '../support/console.ts';
import { makeOperator } from '../support/cookie-jar.ts';
import { eventually } from '../support/eventually.ts';
import { Fleet } from '../support/fleet.ts';
import { Pki } from '../support/pki.ts';

describe('devices in the console', () => {
  let console: Console;
  let pki: Pki;
  let fleet: Fleet;

  const uuidOf = async (deviceId: string): Promise<string> =>
    (await console.server.json('device', 'show', 'acme', deviceId)).uuid;
  const deviceAt = async (deviceId: string) => console.page(`/accounts/acme/devices/${await uuidOf(deviceId)}`);

  before(async () => {
    [console, pki] = await Promise.all([Console.open(), Pki.open()]);
    const root = await pki.guideRoot('acme-vehicles');
    fleet = await Fleet.openTest(console.server, 'acme', root);
    for (const id of ['gateway-01', 'gateway-02', 'pump-01', 'pump-02', 'pump-03']) await fleet.image.boot(id);
    const own = await root.guideDevice('own-01');
    assert.equal(await fleet.arrive(own), 'in');
    await console.server.json('device', 'suspend', 'acme', 'pump-03');
  });
  after(async () => {
    await console[Symbol.asyncDispose]();
    await pki[Symbol.asyncDispose]();
  });

  test('an operator finds devices by what they type; the filter is in the address, and the way back to all is one press', async () => {
    const page = await console.page('/accounts/acme/devices');
    const list = page.getByRole('table', { name: 'Devices' });
    await list.getByRole('link', { name: 'own-01' }).waitFor();
    assert.equal(await list.getAttribute('aria-rowcount'), '7');
    await page.getByLabel('Search device IDs').fill('PUMP');
    await page.getByText('3 devices fit the filter').waitFor();
    await list.getByRole('link', { name: 'gateway-01' }).waitFor({ state: 'detached' });
    assert.match(page.url(), /text=PUMP/);
    await page.getByLabel('suspended').check();
    await page.getByText('1 device fits the filter').waitFor();
    const colleague = await console.page(page.url());
    await colleague.getByText('1 device fits the filter').waitFor();
    assert.equal(await colleague.getByLabel('Search device IDs').inputValue(), 'PUMP');
    await page.getByRole('button', { name: 'Clear all filters' }).click();
    await list.getByRole('link', { name: 'gateway-01' }).waitFor();
    assert.equal(await page.getByLabel('Search device IDs').inputValue(), '');
    await page.getByRole('button', { name: 'More filters' }).click();
    await page.getByRole('combobox', { name: 'Credentials' }).selectOption('device');
    await page.getByText('1 device fits the filter').waitFor();
    assert.deepEqual(await axe(page), []);
  });

  test('devices of a filter are suspended together once their number is typed, and what exports them is the same filter', async () => {
    const page = await console.page('/accounts/acme/devices?prefix=gateway-');
    await page.getByText('2 devices fit the filter').waitFor();
    await page.getByRole('button', { name: 'Change all that fit' }).click();
    await page.getByRole('menuitem', { name: 'Suspend' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('Touches 2 devices').waitFor();
    const suspend = dialog.getByRole('button', { name: 'Suspend all that fit the filter' });
    assert.ok(await suspend.isDisabled());
    await dialog.getByLabel('Type 2 to go on').fill('2');
    await suspend.click();
    await dialog.waitFor({ state: 'detached' });
    const list = page.getByRole('table', { name: 'Devices' });
    await eventually(async () => (await list.getByText('suspended').count()) === 2);
    assert.equal((await console.server.json('device', 'show', 'acme', 'pump-01')).state, 'active');

    await page.getByRole('button', { name: 'Change all that fit' }).click();
    await page.getByRole('menuitem', { name: 'Resume' }).click();
    await dialog.getByText('Touches 2 devices').waitFor();
    await dialog.getByRole('button', { name: 'Resume all that fit the filter' }).click();
    await eventually(async () => (await list.getByText('active').count()) === 2);

    await page.getByRole('button', { name: 'Export' }).click();
    const download = page.waitForEvent('download');
    await page.getByRole('menuitem', { name: 'CSV' }).click();
    const csv = await (await (await download).createReadStream()).toArray();
    assert.equal(Buffer.concat(csv).toString().trim().split('\n').length, 3);
  });

  test('a device that joins, and one that is suspended elsewhere, are seen without a reload', async () => {
    const page = await console.page('/accounts/acme/devices?prefix=late-');
    await page.getByText('No device fits').waitFor();
    await page.locator('[data-live=live]').waitFor();
    await fleet.image.boot('late-01');
    const list = page.getByRole('table', { name: 'Devices' });
    await list.getByRole('link', { name: 'late-01' }).waitFor();
    await console.server.json('device', 'suspend', 'acme', 'late-01');
    await list.getByText('suspended').waitFor();
    await list.getByRole('link', { name: 'late-01' }).click();
    await page.getByRole('heading', { level: 1, name: 'late-01' }).waitFor();
  });

  test('a device shows who it is, its certificate path up to the Fleet Root CA, and what happened to it', async () => {
    const page = await deviceAt('own-01');
    const path = page.getByRole('list', { name: 'Certificate path' });
    await path.getByRole('heading', { name: 'Fleet Root CA acme-vehicles' }).waitFor();
    assert.equal(await path.getByRole('listitem').count(), 2);
    assert.match((await path.getByRole('listitem').first().textContent()) ?? '', /CN=own-01.*EC P-256/);
    const [{ sha256 }] = (await console.server.json('device', 'show', 'acme', 'own-01')).certificates;
    await path.getByText(sha256).waitFor();
    await page.getByText('It joined').waitFor();
    await page.getByText('With a certificate of its own, from outside the server.').waitFor();
  });

  test('what a device tells of itself is shown: its ECUs, its system, and its configuration without secrets', async () => {
    const device = await fleet.image.boot('gateway-7');
    const ecu = {
      ecu_serial: 'ecu-1',
      hardware_identifier: 'qemux86-64',
      clientKey: { keytype: 'RSA', keyval: { public: 'PEM' } },
    };
    const camera = { ...ecu, ecu_serial: 'camera', clientKey: { keytype: 'ED25519', keyval: { public: 'PEM' } } };
    const page = await deviceAt('gateway-7');
    await page.getByText('It has reported nothing yet.').waitFor();
    await page.locator('[data-live=live]').waitFor();
    // As aktualizr sends it when it starts.
    const sent = [
      ['POST', '/director/ecus', JSON.stringify({ primary_ecu_serial: 'ecu-1', ecus: [ecu, camera] }), 'json'],
      ['PUT', '/system_info', '{"id":"machine","product":"Board 7"}', 'json'],
      ['POST', '/system_info/config', '[provision]\np12_password = "hunter2"\nserver = "https://x"\n', 'toml'],
    ] as const;
    for (const [method, path, body, type] of sent) {
      const answer = await device.call(path, { method, body, contentType: `application/${type}` });
      assert.equal(answer.status, 200, `${path}: ${answer.body}`);
    }
    await page.reload();
    const ecus = page.getByRole('region', { name: 'ECUs' });
    assert.match((await ecus.getByRole('row').nth(1).textContent()) ?? '', /ecu-1.*qemux86-64.*primary.*RSA/);
    assert.match((await ecus.getByRole('row').nth(2).textContent()) ?? '', /camera.*secondary.*ED25519/);
    await page.getByRole('button', { name: /^System information/ }).click();
    await page.getByText('"product": "Board 7"').waitFor();
    await page.getByRole('button', { name: /^Configuration of its client/ }).click();
    await page.getByText('server = "https://x"').waitFor();
    assert.equal((await page.locator('body').innerText()).includes('hunter2'), false);
    assert.deepEqual(await axe(page), []);
    await page.context().close();
  });

  test('labels are edited, and lead to the devices that have them', async () => {
    const page = await deviceAt('pump-01');
    await page.getByRole('button', { name: 'Edit labels' }).click();
    await page.getByLabel('Name').fill('site');
    await page.getByLabel('Value').fill('Kiel: north');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('link', { name: 'site: Kiel: north' }).click();
    await page.getByText('1 device fits the filter').waitFor();
    await page.getByRole('table', { name: 'Devices' }).getByRole('link', { name: 'pump-01' }).waitFor();
  });

  test('a device is suspended, resumed and deleted, by its ID typed; what was typed stays when it is refused', async () => {
    const page = await deviceAt('pump-02');
    await page.getByRole('button', { name: 'Suspend' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Type pump-02 to go on').fill('pump-02');
    await dialog.getByRole('button', { name: 'Suspend pump-02' }).click();
    await page.getByRole('button', { name: 'Resume' }).click();
    await dialog.getByRole('button', { name: 'Resume pump-02' }).click();
    await page.getByRole('button', { name: 'Suspend' }).waitFor();
    await page.getByText('It was suspended').waitFor();
    await page.getByRole('button', { name: 'More' }).click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await dialog.getByLabel('Type pump-02 to go on').fill('pump-02');
    await page.route('**/api/v1/accounts/**', (route) =>
      route.request().method() === 'DELETE' ? route.abort() : route.continue(),
    );
    await dialog.getByRole('button', { name: 'Delete pump-02' }).click();
    await dialog.getByText('The server cannot be reached.').waitFor();
    assert.equal(await dialog.getByLabel('Type pump-02 to go on').inputValue(), 'pump-02');
    await page.unroute('**/api/v1/accounts/**');
    await dialog.getByRole('button', { name: 'Delete pump-02' }).click();
    await page.getByRole('heading', { level: 1, name: 'Devices' }).waitFor();
    await page.getByRole('link', { name: 'gateway-01' }).waitFor();
    assert.equal(await page.getByRole('link', { name: 'pump-02' }).count(), 0);
  });

  test('an auditor reads all of it and is offered nothing to change; an account without devices says how they come', async () => {
    await makeOperator(console.server, 'audrey@acme.example');
    await console.server.json('operator', 'grant', 'audrey@acme.example', 'acme', 'auditor');
    const page = await console.page('/accounts/acme/devices', { name: 'audrey@acme.example' });
    await page.getByRole('table', { name: 'Devices' }).getByRole('link', { name: 'own-01' }).click();
    await page.getByRole('heading', { level: 1, name: 'own-01' }).waitFor();
    assert.equal(await page.getByRole('button', { name: /Suspend|More|Edit labels|Revoke/ }).count(), 0);
    await console.server.json('account', 'create', 'empty');
    const empty = await console.page('/accounts/empty/devices');
    await empty.getByText('No device yet').waitFor();
    assert.deepEqual(await axe(empty), []);
  });
});
