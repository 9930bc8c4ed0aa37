// What is done is what was shown, and to the next who sits down at the same browser nothing is shown of who was there before.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { Console } from '../support/console.ts';
import { goodPassword, makeOperator } from '../support/cookie-jar.ts';
import { needs } from '../support/require.ts';

describe('a browser that two operators share', { skip: needs('chromium'), timeout: 300_000 }, () => {
  let console: Console;

  before(async () => {
    console = await Console.open();
    const { server } = console;
    await server.json('account', 'create', 'acme');
    await server.json('account', 'create', 'other');
    const image = await server.image('acme', '--description', 'Image of the October release');
    for (const id of ['alpha-1', 'alpha-2', 'beta-1', 'beta-2']) await image.boot(id);
    await makeOperator(server, 'bob@acme.example');
    await server.json('operator', 'grant', 'bob@acme.example', 'other', 'auditor');
  });
  after(() => console[Symbol.asyncDispose]());

  async function signIn(within: Pick<Page, 'getByLabel' | 'getByRole'>, name: string): Promise<void> {
    await within.getByLabel('Name').fill(name);
    await within.getByLabel('Password', { exact: true }).fill(goodPassword);
    await within.getByRole('button', { name: 'Sign in', exact: true }).click();
  }

  test('shows the second nothing of what the first has seen, however he goes back', async () => {
    const page = await console.page('/accounts/acme/credentials');
    await page.getByText('Image of the October release').waitFor();
    await page.getByRole('link', { name: 'Audit log' }).first().click();
    await page
      .getByRole('cell', { name: /^credentials\.create|^provisioning_key\./ })
      .first()
      .waitFor();
    await page.getByRole('button', { name: /^My login/ }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    assert.equal(await page.getByRole('dialog').count(), 0, 'whoever signs out is not told that the session has ended');
    await signIn(page, 'bob@acme.example');
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    for (let back = 0; back < 2; back += 1) {
      await page.goBack();
      await page.getByRole('heading', { level: 1 }).waitFor();
      const shown = await page.locator('body').innerText();
      assert.doesNotMatch(shown, /October|alpha-1|alice/);
    }
  });

  test('covers a secret that the first was told when her session ends, and gives it to nobody else', async () => {
    await makeOperator(console.server, 'carol', '--administrator');
    const page = await console.page('/accounts/acme/tokens', { name: 'carol' });
    await page.getByRole('button', { name: 'New token' }).first().click();
    const dialog = page.getByRole('dialog', { name: 'New token' });
    await dialog.getByLabel('What it is for').fill('nightly report');
    await dialog.getByLabel('auditor').check();
    await dialog.getByRole('button', { name: 'Make the token' }).click();
    const secret = page.getByLabel('the token', { exact: true });
    const token = (await secret.innerText()).trim();
    await console.server.json('operator', 'end-sessions', 'carol');
    // She comes back to the tab.
    await page.evaluate(`document.dispatchEvent(new Event('visibilitychange'))`);
    const ended = page.getByRole('dialog', { name: 'Your session has ended' });
    await ended.waitFor();
    const cover = `[...document.querySelectorAll('.mantine-Modal-overlay')].at(-1)`;
    const colour = String(await page.evaluate(`getComputedStyle(${cover}).backgroundColor`));
    assert.doesNotMatch(colour, /^rgba|\/ /, 'nothing shows through what lies over the token');
    await signIn(ended, 'bob@acme.example');
    await ended.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: /bob@acme\.example/ }).waitFor();
    assert.ok(!(await page.content()).includes(token));
  });

  test('a dialog does what its dry run showed, whatever the page beneath has come to show', async () => {
    const page = await console.page('/accounts/acme/devices?text=beta');
    await page.getByText('2 devices fit the filter').waitFor();
    const search = page.getByLabel('Search device IDs');
    const dialog = page.getByRole('dialog');
    const open = async () => {
      await page.getByRole('button', { name: 'Change all that fit' }).click();
      await page.getByRole('menuitem', { name: 'Suspend' }).click();
    };
    // A dry run whose answer is late, of a dialog that is closed before it comes.
    let late!: () => void;
    const held = new Promise<void>((resolve) => (late = resolve));
    let first = true;
    await page.route(/dry_run=true/, async (route) => {
      if (first) {
        first = false;
        await held;
      }
      await route.continue();
    });
    await open();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await search.fill('alpha');
    await page.getByRole('link', { name: 'alpha-1' }).waitFor();
    await open();
    late();
    await dialog.getByText('alpha-1, alpha-2').waitFor();

    await page.evaluate(`history.pushState(null, '', '/accounts/acme/devices?text=beta')`);
    await page.getByRole('link', { name: 'beta-1', includeHidden: true }).waitFor();
    await dialog.getByText('alpha-1, alpha-2').waitFor();
    await dialog.getByLabel('Type 2 to go on').fill('2');
    await dialog.getByRole('button', { name: /^Suspend/ }).click();
    await dialog.waitFor({ state: 'detached' });
    const states = (await console.server.json('device', 'list', 'acme')) as { device_id: string; state: string }[];
    assert.deepEqual(
      states.map(({ device_id, state }) => `${device_id} ${state}`),
      ['alpha-1 suspended', 'alpha-2 suspended', 'beta-1 active', 'beta-2 active'],
    );
  });
});
