// The console's page of credentials: a provisioning key made, its archive saved, its uses seen live, and its end.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { axe, Console } from '../support/console.ts';
import { Image } from '../support/image.ts';
import { makeOperator } from '../support/cookie-jar.ts';

describe('credentials', () => {
  let console: Console;

  before(async () => {
    console = await Console.open();
    await console.server.json('account', 'create', 'acme');
    await console.server.json('account', 'create', 'fleet', '--kind', 'production');
    await makeOperator(console.server, 'bob@acme.example');
    await console.server.json('operator', 'grant', 'bob@acme.example', 'acme', 'auditor');
  });
  after(() => console[Symbol.asyncDispose]());

  test('a key is made with its limits, the archive saved once, devices burn it down live, and it is disabled', async () => {
    const page = await console.page('/accounts/acme/credentials');
    await page.getByRole('heading', { name: 'There is no provisioning key yet' }).waitFor();
    assert.deepEqual(await axe(page), []);
    await page.getByRole('button', { name: 'Make credentials.zip' }).click();
    const form = page.getByRole('dialog');
    await form.getByLabel('Description').fill('October image');
    assert.deepEqual(await axe(page), []);
    await form.getByLabel('Number of uses').fill('2');
    await form.getByLabel('Pattern of device IDs').fill('gateway-[0-9');
    await form.getByLabel('Networks').fill('127.0.0.0/8\n10.0.0.0/8');
    await form.getByLabel('Until').fill('2099-12-31');
    await form.getByRole('button', { name: 'Make it' }).click();
    await form.getByRole('alert').getByText('is no regular expression').waitFor();
    assert.equal(await form.getByLabel('Description').inputValue(), 'October image');
    await form.getByLabel('Pattern of device IDs').fill('gateway-[0-9]+');
    await form.getByRole('button', { name: 'Make it' }).click();

    const made = page.getByRole('dialog', { name: 'credentials.zip is made' });
    await made.getByText('This is told once').waitFor();
    const saving = page.waitForEvent('download');
    await made.getByRole('button', { name: 'Save credentials.zip' }).click();
    const saved = await saving;
    assert.equal(saved.suggestedFilename(), 'credentials.zip');
    const zip = console.server.file('saved.zip');
    await saved.saveAs(zip);
    await made.getByRole('button', { name: 'I have it' }).click();

    const row = page.getByRole('row', { name: 'October image' });
    await row.getByText('0 of 2 used, 2 left').waitFor();
    await row.getByText('127.0.0.0/8, 10.0.0.0/8').waitFor();
    await page.locator('[data-live=live]').waitFor();
    const image = await Image.unpack(zip);
    await image.boot('gateway-1');
    await row.getByText('1 of 2 used, 1 left').waitFor();
    await row.getByRole('link', { name: '1 device' }).waitFor();
    await image.boot('gateway-2');
    await row.getByText('used up').waitFor();
    assert.deepEqual(await axe(page), []);

    await row.getByRole('button', { name: 'Disable' }).click();
    const dialog = page.getByRole('dialog', { name: 'Disable the provisioning key October image' });
    await dialog.getByText('Touches 2 devices').waitFor();
    const disable = dialog.getByRole('button', { name: 'Disable the provisioning key October image' });
    assert.equal(await disable.isDisabled(), true);
    await dialog.getByLabel('Type October image to go on').fill('October image');
    await disable.click();
    await row.getByText('disabled').waitFor();
    assert.equal((await image.provision('gateway-3')).status, 403);

    await row.getByRole('link', { name: '2 devices' }).click();
    await page.waitForURL(/\/devices\?provisioning_key=[0-9a-f-]{36}$/);
  });

  test('a production account has an archive without a key, and says why', async () => {
    const page = await console.page('/accounts/fleet/credentials');
    await page.getByRole('heading', { name: 'A production account has no provisioning keys' }).waitFor();
    await page.getByRole('button', { name: 'Make credentials.zip' }).click();
    const form = page.getByRole('dialog');
    await form.getByText('Without a provisioning key').waitFor();
    assert.equal(await form.getByLabel('Number of uses').count(), 0);
    await form.getByRole('button', { name: 'Make it' }).click();
    const made = page.getByRole('dialog', { name: 'credentials.zip is made' });
    await made.getByText('Nothing in it is secret').waitFor();
    assert.equal(await made.getByText('autoprov_credentials.p12').count(), 0);
    const saving = page.waitForEvent('download');
    await made.getByRole('button', { name: 'Save credentials.zip' }).click();
    assert.equal((await saving).suggestedFilename(), 'credentials.zip');
  });

  test('an auditor sees the keys and no way to make or disable one', async () => {
    await console.server.image('acme', '--description', 'For the bench');
    const page = await console.page('/accounts/acme/credentials', { name: 'bob@acme.example' });
    await page.getByRole('row', { name: 'For the bench' }).waitFor();
    assert.equal(await page.getByRole('button', { name: /Make|Disable/ }).count(), 0);
  });
});
