// The first start, as it is shown: from the link of the server to a device that is there.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { axe, Console } from '../support/console.ts';
import { goodPassword } from '../support/cookie-jar.ts';
import { execute, succeed } from '../support/process.ts';
import { needs } from '../support/require.ts';

const noFault = async (page: Page) => assert.deepEqual(await axe(page), []);
const heading = (page: Page, name: string) => page.getByRole('heading', { level: 1, name, exact: true });
const textOf = async (page: Page, label: string) => (await page.getByLabel(label, { exact: true }).textContent())!;
const said = (page: Page, text: string) => page.getByRole('status').filter({ hasText: text });

/** Presses the button that makes credentials.zip, and has the browser save it in a directory of its own. */
async function saved(console_: Console, page: Page): Promise<string> {
  const dir = console_.server.file(`shell-${crypto.randomUUID()}`);
  await mkdir(dir);
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Download credentials.zip' }).click(),
  ]);
  assert.equal(download.suggestedFilename(), 'credentials.zip');
  await download.saveAs(join(dir, 'credentials.zip'));
  return dir;
}

describe(
  'the first start in the console',
  { skip: needs('chromium', 'curl', 'openssl', 'unzip'), timeout: 300_000 },
  () => {
    test('leads from the link through the administrator and the first account to the first device', async () => {
      await using console_ = await Console.open({ administrator: false });
      const page = await (await console_.context()).newPage();
      const link = new URL(console_.server.server.firstAdministratorUrl!);
      await page.goto(link.pathname + link.hash);

      await heading(page, 'The first start').waitFor();
      assert.equal(await page.evaluate('location.href'), `${console_.url}/first-administrator`);
      await noFault(page);
      await page.getByLabel('Name').fill('Alice@acme.example');
      await page.getByLabel('New password').fill('password1234');
      await page.getByLabel('The same once more').fill('password1234');
      await page.getByRole('button', { name: 'Make the administrator' }).click();
      // What was typed stays with what the API said of it.
      await page.getByRole('alert').waitFor();
      assert.equal(await page.getByLabel('Name').inputValue(), 'Alice@acme.example');
      await page.getByLabel('New password').fill(goodPassword);
      await page.getByLabel('The same once more').fill(goodPassword);
      await page.getByRole('button', { name: 'Make the administrator' }).click();

      await heading(page, 'The first account').waitFor();
      // Whoever loads the page again goes on where they were.
      await page.reload();
      await heading(page, 'The first account').waitFor();
      await noFault(page);
      await page.getByLabel('Name').fill('acme');
      assert.ok(await page.getByRole('radio', { name: 'For trying out: a test account' }).isChecked());
      await page.getByRole('button', { name: 'Make the first account' }).click();

      await heading(page, 'The first device of acme').waitFor();
      await said(page, 'Waiting for the first device').waitFor();
      const dir = await saved(console_, page);
      await page.getByText('credentials.zip is made').waitFor();
      await noFault(page);
      for (const way of ['aktualizr', 'Yocto']) {
        await page.getByRole('tab', { name: way }).click();
        await noFault(page);
      }
      assert.match(
        await textOf(page, 'the lines for conf/local.conf'),
        /^SOTA_PACKED_CREDENTIALS = "\/path\/credentials\.zip"\n/,
      );
      await page.getByRole('tab', { name: 'curl' }).click();
      const commands = await textOf(page, 'the commands for curl');
      assert.match(await succeed('bash', ['-e', '-c', commands], { cwd: dir }), /"device_id":"my-first-device"/);

      await said(page, 'my-first-device is here').waitFor();
      assert.equal(await page.locator('[data-arrived=true]').count(), 1);
      await noFault(page);
      const [device] = await console_.server.json('device', 'list', 'acme');
      await page.getByRole('link', { name: 'Look at the device' }).click();
      await page.waitForURL(`**/accounts/acme/devices/*${device.uuid}`);
      await page.goto('/welcome/acme');
      await said(page, 'my-first-device is here').waitFor();
    });

    test('has nothing to do for who opens the page without the link, or with one that was used', async () => {
      await using console_ = await Console.open();
      const page = await (await console_.context()).newPage();
      await page.goto('/first-administrator');
      await page.getByRole('heading', { name: 'The link is not whole' }).waitFor();
      await noFault(page);
      await page.goto(`/first-administrator?again#${'A'.repeat(43)}`);
      await page.getByLabel('Name').fill('mallory');
      await page.getByLabel('New password').fill(goodPassword);
      await page.getByLabel('The same once more').fill(goodPassword);
      await page.getByRole('button', { name: 'Make the administrator' }).click();
      await page.getByRole('alert').filter({ hasText: 'link_invalid' }).waitFor();
    });

    test('leads with a production account over a Fleet Root CA of one’s own', async () => {
      await using console_ = await Console.open();
      const page = await console_.page('/accounts');
      await page.getByRole('heading', { name: 'There is no account yet' }).waitFor();
      await noFault(page);
      await page.getByRole('button', { name: 'Make the first account' }).click();
      await page.getByLabel('Name').fill('acme-production');
      await page.getByLabel('For a fleet: a production account').check();
      await noFault(page);
      await page.getByRole('dialog').getByRole('button', { name: 'Make an account' }).click();

      await heading(page, 'The first device of acme-production').waitFor();
      await said(page, 'Nobody is let in yet').waitFor();
      const root = await textOf(page, 'the commands that make a Fleet Root CA');
      const dir = await saved(console_, page);
      await noFault(page);
      await succeed('bash', ['-e', '-c', root], { cwd: dir });
      const commands = await textOf(page, 'the commands for curl');
      const early = await execute('bash', ['-e', '-c', commands], { cwd: dir });
      assert.match(early.stdout, /"code":"certificate_untrusted"/);
      await page.getByText('Somebody was turned away').waitFor();
      await noFault(page);

      await page.getByRole('button', { name: 'Register a Fleet Root CA' }).click();
      const dialog = page.getByRole('dialog', { name: 'Register a Fleet Root CA' });
      await dialog.locator('input[type=file]').setInputFiles(join(dir, 'pki/fleet-root.crt'));
      await dialog.getByRole('region', { name: 'What is in the file' }).getByText('CN=Fleet Root').waitFor();
      await noFault(page);
      await dialog.getByRole('button', { name: 'Register it' }).click();
      await dialog.waitFor({ state: 'detached' });
      await said(page, 'The account trusts 1 Fleet Root CA.').waitFor();
      await succeed('bash', ['-e', '-c', commands], { cwd: dir });
      await said(page, 'vehicle-1 is here').waitFor();
      assert.equal(await page.getByText('Somebody was turned away').count(), 0);
      for (const way of ['aktualizr-cert-provider', 'Yocto']) {
        await page.getByRole('tab', { name: way }).click();
        await noFault(page);
      }
      assert.match(await textOf(page, 'the lines for conf/local.conf'), /SOTA_CLIENT_PROV = "aktualizr-device-prov"/);

      await page.goto('/accounts');
      const row = page.getByRole('row').filter({ hasText: 'acme-production' });
      await row.getByRole('link', { name: '1 device of acme-production' }).waitFor();
      await noFault(page);
    });

    test('names the host that the device can reach', async () => {
      await using console_ = await Console.open();
      await console_.server.json('account', 'create', 'acme');
      const page = await console_.page('/welcome/acme', { viewport: { width: 360, height: 740 } });
      await page.getByText('This name means this computer').waitFor();
      await page.getByLabel('Another host').fill('127.0.0.1');
      await page.getByRole('button', { name: 'Add the host' }).click();
      await page.getByText('This name means this computer').waitFor({ state: 'hidden' });
      const dir = await saved(console_, page);
      assert.match(
        await succeed('unzip', ['-p', 'credentials.zip', 'autoprov.url'], { cwd: dir }),
        /^https:\/\/127\.0\.0\.1:/,
      );
      const wide = await page.evaluate('document.documentElement.scrollWidth');
      assert.equal(wide, 360);
    });
  },
);
