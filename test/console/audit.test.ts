// The console's audit log and custody: who did what, whether the log is whole, where every key lies.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { axe, Console } from '../support/console.ts';
import { makeOperator } from '../support/cookie-jar.ts';

describe('the audit log and custody in the console', () => {
  let console: Console;
  before(async () => {
    console = await Console.open();
    const { server } = console;
    await server.json('account', 'create', 'acme');
    await makeOperator(server, 'audrey@acme.example');
    await server.json('operator', 'grant', 'audrey@acme.example', 'acme', 'auditor');
  });
  after(() => console[Symbol.asyncDispose]());

  const entries = (page: Page) => page.getByRole('region', { name: 'Entries, the latest first' });

  test('says who did what, as it was and as it is, and finds it by filters that are in the address', async () => {
    const page = await console.page('/accounts/acme/audit');
    // A change, and an attempt that is refused, by two people.
    const { request } = page.context();
    const headers = { 'x-fleetroot': '1' };
    assert.ok((await request.patch('/api/v1/accounts/acme', { data: { admission: 'approval' }, headers })).ok());
    const hers = await console.page('/accounts/acme/audit', { name: 'audrey@acme.example' });
    await hers.context().request.patch('/api/v1/accounts/acme', { data: { admission: 'automatic' }, headers });

    await page.getByRole('button', { name: 'Look again' }).click();
    const refused = entries(page).getByRole('row', { name: /audrey@acme\.example .*api\.refused .*forbidden/ });
    await refused.waitFor();
    await page.getByLabel('Who', { exact: true }).fill('alice@acme.example');
    await page.getByLabel('What was done').fill('account.set');
    await page.getByRole('button', { name: 'Show these' }).click();
    await page.waitForURL(/actor=alice%40acme\.example&action=account\.set/);
    const row = entries(page).getByRole('row', {
      name: /alice@acme\.example operator from .*account\.set acme account done/,
    });
    await row.waitFor();
    await refused.waitFor({ state: 'detached' });
    await row.getByRole('button', { name: /^Details of account\.set/ }).click();
    const difference = page.getByRole('table', { name: 'What changed' });
    await difference.getByRole('row', { name: 'admission automatic approval' }).waitFor();
    assert.deepEqual(await axe(page), []);
    await entries(page).getByRole('button', { name: 'Copy the request ID' }).click();
    const copied = await page.evaluate<string>('navigator.clipboard.readText()');
    assert.match(copied, /^[0-9a-f-]{36}$/);

    // What is looked at can be sent to a colleague, who sees the same.
    await hers.goto(new URL(page.url()).pathname + new URL(page.url()).search);
    await entries(hers)
      .getByRole('row', { name: /account\.set/ })
      .waitFor();
    await hers.getByText('An administrator of the server can verify that').waitFor();
    assert.equal(await hers.getByRole('link', { name: 'Export the log' }).count(), 0);
    await hers.getByLabel('What was done').fill('no.such');
    await hers.getByRole('button', { name: 'Show these' }).click();
    await hers.getByRole('heading', { name: 'No entry is like that' }).waitFor();
    await hers.getByRole('button', { name: 'Show all' }).click();
    await entries(hers)
      .getByRole('row', { name: /account\.create/ })
      .waitFor();
    await hers.context().close();
  });

  test('says how far the log is intact and confirmed, and gives what proves a copy', async () => {
    const { server } = console;
    const page = await console.page('/server/audit');
    await page.getByRole('button', { name: 'Sign a checkpoint now' }).click();
    await page.getByText(/^A checkpoint over number \d+ is signed\.$/).waitFor();
    await page.getByText(/^Intact to number \d+: all entries fit each other\.$/).waitFor();
    assert.deepEqual(await axe(page), []);
    const save = async (role: 'button' | 'link', name: string): Promise<string> => {
      const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole(role, { name }).click()]);
      const path = server.file(file.suggestedFilename());
      await file.saveAs(path);
      return path;
    };
    const log = await save('link', 'Export the log');
    const checkpoint = await save('button', 'Save the latest checkpoint');
    const publicKey = await save('button', 'Save the public key');
    const { code, stdout } = await server.command(
      'audit',
      'verify',
      log,
      '--checkpoint',
      checkpoint,
      '--public-key',
      publicKey,
    );
    assert.equal(code, 0, stdout);
    const { number } = JSON.parse(await readFile(checkpoint, 'utf8'));
    assert.match(stdout, new RegExp(`confirms them up to entry ${number}\\.`));
  });

  test('loads further entries of a long log', async () => {
    const page = await console.page('/server/audit');
    const { request } = page.context();
    for (let n = 0; n < 55; n += 1) {
      await request.patch('/api/v1/accounts/acme', {
        data: { admission: n % 2 === 0 ? 'automatic' : 'approval' },
        headers: { 'x-fleetroot': '1' },
      });
    }
    await page.getByRole('button', { name: 'Look again' }).click();
    await page.getByRole('button', { name: 'Load more' }).click();
    await entries(page)
      .getByRole('row', { name: /account\.create acme/ })
      .waitFor();
  });

  test('names the first entry that does not fit, where somebody has changed the log', async () => {
    const page = await console.page('/');
    await page.route('**/api/v1/audit/verification', (route) =>
      route.fulfill({
        json: {
          ok: false,
          log: '9a42e660-82c7-4d1f-ad66-130fc2230251',
          intact_to: 4,
          confirmed_to: 0,
          last_checkpoint: null,
          first_misfit: { number: 5, sentence: 'Entry 5 has been changed: its hash is another.' },
          at: new Date().toISOString(),
        },
      }),
    );
    await page.goto('/server/audit');
    const alert = page.getByRole('alert');
    await alert.getByText('The log does not fit from number 5 on').waitFor();
    await alert.getByText('Entry 5 has been changed').waitFor();
  });

  test('shows where every key lies, that each signs, and that nothing is amiss', async () => {
    const page = await console.page('/server/custody');
    await page.getByText('All is well: devices are served, and nothing is amiss.').waitFor();
    const keys = page.getByRole('region', { name: 'Keys' });
    await keys.getByRole('row', { name: /acme Fleet Root CA .* held/ }).waitFor();
    await page.getByText('This server is alone').waitFor();
    await page.getByRole('button', { name: 'Check every key' }).click();
    await page.getByText(/keys looked at: each that is held signs\.$/).waitFor();
    assert.deepEqual(await axe(page), []);
    await page.getByLabel('Find a key').fill('gateway');
    await keys.getByRole('row', { name: /Fleet Root CA/ }).waitFor({ state: 'detached' });
    assert.match(page.url(), /key=gateway/);
  });

  test('tells of a node that is gone, which is forgotten by its name', async () => {
    const page = await console.page('/');
    const node = {
      id: crypto.randomUUID(),
      node: crypto.randomUUID(),
      name: 'node-2',
      version: '0.8.0',
      started_at: new Date().toISOString(),
      silent_seconds: 600,
      this: false,
    };
    let nodes = [{ ...node, id: crypto.randomUUID(), name: 'node-1', silent_seconds: 0, this: true }, node];
    await page.route('**/api/v1/nodes', (route) => route.fulfill({ json: nodes }));
    await page.route(`**/api/v1/nodes/${node.id}`, (route) => {
      nodes = nodes.slice(0, 1);
      return route.fulfill({ json: { forgotten: 1 } });
    });
    await page.goto('/server/custody');
    await page
      .getByRole('row', { name: /node-2 .* 10 min ago/ })
      .getByRole('button', { name: 'Forget node-2' })
      .click();
    const dialog = page.getByRole('dialog', { name: 'Forget node-2' });
    await dialog.getByLabel('Type node-2 to go on').fill('node-2');
    await dialog.getByRole('button', { name: 'Forget node-2' }).click();
    await page.getByRole('row', { name: /node-2/ }).waitFor({ state: 'detached' });
  });
});
