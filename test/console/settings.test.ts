// The console's page of an account itself: its policies by what they would do, hosts, files, back ends, the keys that count, its end.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { axe, Console } from '../support/console.ts';
import { makeOperator } from '../support/cookie-jar.ts';
import { execute } from '../support/process.ts';

describe('the settings of an account in the console', () => {
  let console: Console;
  before(async () => {
    console = await Console.open();
    const { server } = console;
    await server.json('account', 'create', 'acme');
    await server.json('account', 'create', 'fleet', '--kind', 'production');
    for (const role of ['owner', 'auditor', 'factory']) {
      await makeOperator(server, `${role}@acme.example`);
      await server.json('operator', 'grant', `${role}@acme.example`, 'acme', role);
    }
  });
  after(() => console[Symbol.asyncDispose]());

  /** Types what a destructive act asks for, and does it. */
  const confirm = async (page: Page, title: string, typed: string): Promise<void> => {
    const dialog = page.getByRole('dialog', { name: title });
    await dialog.getByLabel(`Type ${typed} to go on`).fill(typed);
    await dialog.getByRole('button', { name: title, exact: true }).click();
    await dialog.waitFor({ state: 'hidden' });
  };
  const part = (page: Page, heading: string) =>
    page.locator('section', { has: page.getByRole('heading', { name: heading, exact: true }) });

  test('a policy is changed once its dry run was seen and the account typed; what was typed stays when it is refused', async () => {
    const page = await console.page('/accounts/acme/settings', { name: 'owner@acme.example' });
    const policies = part(page, 'Policies');
    await policies.getByLabel('Admission of newcomers').click();
    await page.getByRole('option', { name: 'wait for approval' }).click();
    await policies.getByLabel('Device IDs').fill('dev-[');
    await policies.getByText('2 changes are not made yet.').waitFor();
    await policies.getByRole('button', { name: 'See what it would do' }).click();
    await page.getByRole('dialog').getByText('invalid_request').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
    assert.equal(await policies.getByLabel('Device IDs').inputValue(), 'dev-[');

    await policies.getByLabel('Device IDs').fill('dev-.*');
    await policies.getByRole('button', { name: 'See what it would do' }).click();
    await page.getByText('Newcomers wait for approval (admission_pending).').waitFor();
    assert.deepEqual(await axe(page), []);
    await confirm(page, 'Change the policies of acme', 'acme');
    await policies.getByText('not made yet').waitFor({ state: 'detached' });
    const { admission, device_id_pattern } = await console.server.json('account', 'show', 'acme');
    assert.deepEqual([admission, device_id_pattern], ['approval', 'dev-.*']);
    await page.getByText('One key. Who controls this server can make devices with it.').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Add the host' }).count(), 0);
    assert.equal(await page.getByRole('heading', { name: 'Delete the account' }).count(), 0);
    assert.deepEqual(await axe(page), []);
  });

  test('a production account says that no key of this server can make a device', async () => {
    const page = await console.page('/accounts/fleet/settings');
    await page.getByText('None. This server cannot make a device of this account.').waitFor();
    assert.equal(await page.getByLabel('Key type').count(), 0);
    assert.deepEqual(await axe(page), []);
  });

  test('hosts, files of credentials.zip and back ends are set and removed', async () => {
    const page = await console.page('/accounts/acme/settings');
    const hosts = part(page, 'Hosts');
    await hosts.getByLabel('Another host').fill('gateway.acme.example');
    await hosts.getByRole('button', { name: 'Add the host' }).click();
    await hosts.getByRole('button', { name: 'Remove gateway.acme.example' }).click();
    await confirm(page, 'Remove gateway.acme.example', 'gateway.acme.example');
    await hosts.getByText('gateway.acme.example').waitFor({ state: 'detached' });

    const files = part(page, 'Files of credentials.zip');
    await files.getByRole('button', { name: 'Set a file' }).click();
    const dialog = page.getByRole('dialog', { name: 'Set a file' });
    await dialog
      .getByLabel('Drop the file here')
      .setInputFiles({ name: 'treehub.json', mimeType: 'application/json', buffer: Buffer.from('{}') });
    await dialog.getByLabel('Entry name').and(page.locator('[value="treehub.json"]')).waitFor();
    await dialog.getByRole('button', { name: 'Set the file' }).click();
    await files.getByRole('row', { name: 'treehub.json' }).waitFor();
    const zip = console.server.file('credentials.zip');
    await console.server.json('credentials', 'create', 'acme', '-o', zip);
    assert.match((await execute('unzip', ['-l', zip])).stdout, / treehub\.json\n/);
    await files.getByRole('button', { name: 'Set a file' }).click();
    await dialog.getByRole('button', { name: 'Set the file' }).click();
    await dialog.getByRole('alert').getByText('Drop a file first').waitFor();
    await dialog
      .getByLabel('Drop the file here')
      .setInputFiles({ name: 'treehub.json', mimeType: 'application/json', buffer: Buffer.from('{"no": "auth"}') });
    await dialog.getByLabel('Entry name').and(page.locator('[value="treehub.json"]')).waitFor();
    await dialog.getByRole('button', { name: 'Set the file' }).click();
    await confirm(page, 'Replace treehub.json', 'treehub.json');
    const next = console.server.file('next.zip');
    await console.server.json('credentials', 'create', 'acme', '-o', next);
    assert.match((await execute('unzip', ['-p', next, 'treehub.json'])).stdout, /no.*auth/);
    await files.getByRole('button', { name: 'Remove treehub.json' }).click();
    await confirm(page, 'Remove treehub.json', 'treehub.json');
    await files.getByText('None: each archive').waitFor();

    const backEnds = part(page, 'Back ends');
    await backEnds.getByRole('button', { name: 'Set a back end' }).click();
    const form = page.getByRole('dialog', { name: 'Set a back end' });
    await form.getByRole('textbox', { name: 'Path', exact: true }).fill('/director');
    await form.getByRole('textbox', { name: 'URL', exact: true }).fill('https://director.example');
    assert.deepEqual(await axe(page), []);
    await form.getByRole('button', { name: 'Set the back end' }).click();
    await backEnds.getByRole('row', { name: /\/director.*https:\/\/director\.example/ }).waitFor();
    await backEnds.getByRole('button', { name: 'Change /director' }).click();
    const change = page.getByRole('dialog', { name: 'Change /director' });
    await change.getByRole('textbox', { name: 'URL', exact: true }).fill('https://next.example');
    await change.getByRole('button', { name: 'Set the back end' }).click();
    await change.getByText('Calls of devices went to https://director.example').waitFor();
    await confirm(page, 'Change /director', '/director');
    await backEnds.getByRole('row', { name: /\/director.*https:\/\/next\.example/ }).waitFor();
    await backEnds.getByRole('button', { name: 'OTA Community Edition' }).click();
    await page.getByRole('textbox', { name: 'Base URL' }).fill('http://{service}.ota.ce');
    await page.getByRole('button', { name: 'See what it would do' }).last().click();
    await page.getByText('/director to https://next.example').waitFor();
    await confirm(page, 'Set the back ends of OTA Community Edition', 'acme');
    await backEnds.getByRole('row', { name: /\/treehub.*http:\/\/treehub\.ota\.ce/ }).waitFor();
    await backEnds.getByRole('button', { name: 'Remove /events' }).click();
    await confirm(page, 'Remove /events', '/events');
    await backEnds.getByRole('button', { name: 'Remove /events' }).waitFor({ state: 'detached' });
  });

  test('the key of the standby gateway CA is given out and erased; the gateway is switched once it is back', async () => {
    const page = await console.page('/accounts/acme/settings', { name: 'owner@acme.example' });
    const cas = part(page, 'Gateway CAs');
    const passphrase = 'three random words';
    await cas.getByRole('button', { name: 'Export the standby’s key' }).click();
    const form = page.getByRole('dialog', { name: 'Export the private key of acme-standby-gateway-ca' });
    await form.getByLabel('Passphrase', { exact: true }).fill(passphrase);
    await form.getByLabel('The passphrase once more').fill(passphrase);
    await form.getByRole('button', { name: 'Export the key' }).click();
    const told = page.getByRole('dialog', { name: 'The private key of acme-standby-gateway-ca' });
    const [key] = await Promise.all([
      page.waitForEvent('download'),
      told.getByRole('button', { name: 'Save the key' }).click(),
    ]);
    assert.equal(key.suggestedFilename(), 'acme-standby-gateway-ca.key');
    await told.getByRole('button', { name: 'I have it' }).click();
    await cas.getByRole('button', { name: 'Erase the standby’s key' }).click();
    await confirm(page, 'Erase the key of the standby gateway CA', 'acme');
    await cas.getByText('./fleetroot account gateway-ca import acme standby.key').waitFor();
    await cas.getByRole('button', { name: 'Switch to the standby' }).waitFor({ state: 'detached' });
    assert.deepEqual(await axe(page), []);
    console.server.typed.push(passphrase);
    await console.server.json('account', 'gateway-ca', 'import', 'acme', await key.path());
    await page.reload();
    const [saved] = await Promise.all([
      page.waitForEvent('download'),
      cas.getByRole('button', { name: 'Save the certificate of the standby gateway CA' }).click(),
    ]);
    const shown = await execute('openssl', ['x509', '-in', await saved.path(), '-noout', '-fingerprint', '-sha256']);
    await cas.getByRole('button', { name: 'Switch to the standby' }).click();
    await page.getByText('Images from now on pin the gateway CA that signs from then on, and a new standby.').waitFor();
    await confirm(page, 'Switch to the standby gateway CA', 'acme');
    await cas.getByRole('row', { name: /^retired/ }).waitFor();
    const { gateway_cas } = await console.server.json('account', 'show', 'acme');
    const active = gateway_cas.find(({ state }: { state: string }) => state === 'active');
    assert.equal(shown.stdout.split('=')[1]!.trim().replaceAll(':', '').toLowerCase(), active.sha256);
  });

  test('an auditor reads all of it and may change nothing; the factory’s people are not shown it', async () => {
    const page = await console.page('/accounts/acme/settings', { name: 'auditor@acme.example' });
    await part(page, 'Policies').getByText('wait for approval').waitFor();
    await part(page, 'Back ends').getByText('http://treehub.ota.ce').waitFor();
    const buttons = await page
      .locator('main')
      .getByRole('button')
      .evaluateAll((all) => all.map((each) => each.ariaLabel ?? each.textContent));
    assert.deepEqual(
      buttons.filter((name) => !/^(Copy|Save) /.test(name ?? '')),
      [],
    );
    assert.equal(await page.locator('main').getByRole('textbox').count(), 0);
    assert.deepEqual(await axe(page), []);

    const other = await console.page('/accounts/acme/factory', { name: 'factory@acme.example' });
    await other.getByRole('heading', { name: 'Factory' }).waitFor();
    await other.getByRole('link', { name: 'Factory' }).waitFor();
    assert.equal(await other.getByRole('link', { name: 'Account', exact: true }).count(), 0);
  });

  test('an administrator deletes the account, by typing its name', async () => {
    const page = await console.page('/accounts/acme/settings');
    await page.getByRole('button', { name: 'Delete acme' }).click();
    await page.getByText('The gateway answers nobody under the hosts of this account.').waitFor();
    await confirm(page, 'Delete acme', 'acme');
    await page.waitForURL(/\/accounts$/);
    const accounts = await console.server.json('account', 'list');
    assert.deepEqual(
      accounts.map(({ name }: { name: string }) => name),
      ['fleet'],
    );
  });
});
