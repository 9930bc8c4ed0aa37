// The console's operators, tokens and webhooks: an auditor who is invited and may change nothing, a token that works, a webhook that is sent.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { Webhook } from 'standardwebhooks';
import { BackEnd } from '../support/back-end.ts';
import { axe, Console } from '../support/console.ts';
import { goodPassword, makeOperator } from '../support/cookie-jar.ts';
import { eventually } from '../support/eventually.ts';
import { execute, succeed } from '../support/process.ts';

describe('administration in the console', () => {
  let console: Console;
  before(async () => {
    console = await Console.open({ options: { 'outbound.allow': ['127.0.0.1'] } });
    await console.server.json('account', 'create', 'acme');
  });
  after(() => console[Symbol.asyncDispose]());

  /** Chooses from the menu of a row. */
  const choose = async (page: Page, menu: string, action: string): Promise<void> => {
    await page.getByRole('button', { name: menu, exact: true }).click();
    await page.getByRole('menuitem', { name: action, exact: true }).click();
  };
  /** Types what a grave act asks for, and does it. */
  const confirm = async (page: Page, title: string, typed: string): Promise<void> => {
    const dialog = page.getByRole('dialog', { name: title });
    const act = dialog.getByRole('button', { name: title, exact: true });
    await dialog.getByLabel(`Type ${typed} to go on`).fill(typed.slice(0, -1));
    assert.equal(await act.isDisabled(), true);
    await dialog.getByLabel(`Type ${typed} to go on`).fill(typed);
    await act.click();
    await dialog.waitFor({ state: 'hidden' });
  };

  test('an auditor is invited, makes a password by the link, and may change nothing', async () => {
    const page = await console.page('/accounts/acme/operators');
    await page.getByRole('heading', { name: 'Nobody has a role here yet' }).waitFor();
    await page.getByRole('button', { name: 'Invite an operator' }).first().click();
    const dialog = page.getByRole('dialog', { name: 'Invite an operator' });
    await dialog.getByLabel('Name').fill('audrey@acme.example');
    await dialog.getByLabel('auditor').check();
    await dialog.getByRole('button', { name: 'Give the role' }).click();
    const link = await page.getByLabel('the invitation link', { exact: true }).innerText();
    await page.getByRole('button', { name: 'I have it' }).click();
    const row = page.getByRole('row', { name: /audrey@acme\.example/ });
    await row.getByText('auditor').waitFor();
    assert.ok(!(await page.content()).includes(new URL(link).hash.slice(1)));
    assert.deepEqual(await axe(page), []);

    const context = await console.context();
    const hers = await context.newPage();
    const { pathname, hash } = new URL(link);
    await hers.goto(`${pathname}${hash}`);
    await hers.getByLabel('New password').fill(goodPassword);
    await hers.getByLabel('The same once more').fill(goodPassword);
    await hers.getByRole('button', { name: 'Set the password and sign in' }).click();
    await hers.waitForURL(/\/accounts\/acme/);

    for (const [path, heading, buttons] of [
      ['operators', 'Operators', ['Invite an operator', 'What can be done with audrey@acme.example']],
      ['tokens', 'Tokens', ['New token']],
      ['webhooks', 'Webhooks', ['New webhook']],
    ] as const) {
      await hers.goto(`/accounts/acme/${path}`);
      await hers.getByRole('heading', { name: heading, level: 1 }).waitFor();
      await hers.locator('[data-asking]').waitFor({ state: 'detached' });
      for (const name of buttons) assert.equal(await hers.getByRole('button', { name }).count(), 0, name);
    }
    // What the page does not offer the API refuses.
    const refused = await context.request.post('/api/v1/accounts/acme/tokens', {
      data: { role: 'auditor', description: 'of her own' },
      headers: { 'x-fleetroot': '1' },
    });
    assert.deepEqual([refused.status(), (await refused.json()).code], [403, 'forbidden']);
    await context.close();
  });

  test('a role is changed and withdrawn; somebody who is known needs no link', async () => {
    await makeOperator(console.server, 'bob@acme.example');
    const page = await console.page('/accounts/acme/operators');
    await page.getByRole('button', { name: 'Invite an operator' }).first().click();
    await page.getByRole('dialog').getByLabel('Name').fill('bob@acme.example');
    await page.getByRole('button', { name: 'Give the role' }).click();
    await page.getByText('bob@acme.example has a login here already, and is operator now.').waitFor();
    await choose(page, 'What can be done with bob@acme.example', 'Make them owner');
    await confirm(page, 'Make bob@acme.example owner', 'bob@acme.example');
    await page.getByRole('row', { name: /bob@acme\.example owner/ }).waitFor();
    // An owner sees the same, and takes the role from himself: then there is nothing to see.
    await choose(page, 'What can be done with bob@acme.example', 'Withdraw the role');
    await page.getByText('1 role: owner of acme: bob@acme.example').waitFor();
    await confirm(page, 'Withdraw the role of bob@acme.example', 'bob@acme.example');
    await page.getByRole('row', { name: /bob@acme\.example/ }).waitFor({ state: 'detached' });
  });

  test('an administrator makes an operator, disables, resets and deletes the login', async () => {
    const page = await console.page('/server/operators');
    await page.getByRole('row', { name: /alice@acme\.example \(you\) active administrator/ }).waitFor();
    await page.getByRole('button', { name: 'New operator' }).click();
    const dialog = page.getByRole('dialog', { name: 'New operator' });
    await dialog.getByLabel('Name').fill('carol@acme.example');
    await dialog.getByLabel('You choose it here').check();
    await dialog.locator('input[type=password]').fill('short');
    await dialog.getByRole('button', { name: 'Make the operator' }).click();
    await dialog.getByRole('alert').waitFor();
    assert.equal(await dialog.getByLabel('Name').inputValue(), 'carol@acme.example');
    await dialog.locator('input[type=password]').fill(goodPassword);
    await dialog.getByRole('button', { name: 'Make the operator' }).click();
    const row = page.getByRole('row', { name: /carol@acme\.example/ });
    await row.getByText('password').waitFor();
    const menu = 'What can be done with carol@acme.example';
    const hers = await console.page('/', { name: 'carol@acme.example' });
    await choose(page, menu, 'Disable');
    await page.getByText('1 session').waitFor();
    await confirm(page, 'Disable carol@acme.example', 'carol@acme.example');
    await row.getByText('disabled').waitFor();
    assert.equal((await hers.context().request.get('/api/v1/session')).status(), 401);
    await choose(page, menu, 'Enable');
    await row.getByText('active').waitFor();
    await choose(page, menu, 'Reset the login');
    await confirm(page, 'Reset the login of carol@acme.example', 'carol@acme.example');
    await page
      .getByRole('dialog', { name: 'The invitation of carol@acme.example' })
      .getByRole('button', { name: 'I have it' })
      .click();
    await row.getByText('nothing yet').waitFor();
    assert.deepEqual(await axe(page), []);
    await choose(page, menu, 'Delete');
    await confirm(page, 'Delete carol@acme.example', 'carol@acme.example');
    await row.waitFor({ state: 'detached' });
    await hers.context().close();
  });

  test('a token is told once, works with the command beside it, shows its use, and is revoked', async () => {
    const page = await console.page('/accounts/acme/tokens');
    await page.getByRole('button', { name: 'New token' }).first().click();
    const dialog = page.getByRole('dialog', { name: 'New token' });
    await dialog.getByLabel('What it is for').fill('nightly report');
    await dialog.getByLabel('auditor').check();
    await dialog.getByLabel('It ends after').selectOption('7 days');
    await dialog.getByRole('button', { name: 'Make the token' }).click();
    const token = await page.getByLabel('the token', { exact: true }).innerText();
    assert.match(token.trim(), /^frt_[0-9A-Za-z]{49}$/);
    const command = await page.getByLabel('the command that uses the token', { exact: true }).innerText();
    const run = () =>
      execute('sh', ['-c', command.replace('curl', 'curl --silent')], {
        env: { ...process.env, FLEETROOT_TOKEN: token.trim() },
      });
    assert.equal(JSON.parse((await run()).stdout).devices, 0);
    await page.getByRole('button', { name: 'I have it' }).click();
    assert.ok(!(await page.content()).includes(token.trim()));

    await page.reload();
    await page.getByText('1 token ends within two weeks').waitFor();
    const row = page.getByRole('row', { name: /nightly report/ });
    await row.getByText(/^from .*127\.0\.0\.1$|^from ::1$/).waitFor();
    assert.deepEqual(await axe(page), []);
    await row.getByRole('button', { name: 'Revoke nightly report' }).click();
    await confirm(page, 'Revoke nightly report', 'nightly report');
    await page.getByRole('heading', { name: 'There is no token yet' }).waitFor();
    assert.equal(JSON.parse((await run()).stdout).code, 'unauthenticated');
  });

  test('a token of the server for Prometheus reads /metrics', async () => {
    const page = await console.page('/server/tokens');
    await page.getByRole('button', { name: 'New token' }).first().click();
    const dialog = page.getByRole('dialog', { name: 'New token' });
    await dialog.getByLabel('What it is for').fill('Prometheus');
    await dialog.getByRole('button', { name: 'Make the token' }).click();
    const token = (await page.getByLabel('the token', { exact: true }).innerText()).trim();
    const command = await page.getByLabel('the command that uses the token', { exact: true }).innerText();
    assert.match(
      await succeed('sh', ['-c', command], { env: { ...process.env, FLEETROOT_TOKEN: token } }),
      /^# HELP /m,
    );
    await page.getByRole('button', { name: 'I have it' }).click();
    await page.getByRole('row', { name: /Prometheus the server metrics/ }).waitFor();
    assert.deepEqual(await axe(page), []);
  });

  test('a webhook is sent what happens, says when nothing arrives, and sends again', async () => {
    await using receiver = await BackEnd.open();
    const page = await console.page('/accounts/acme/webhooks');
    await page.getByRole('heading', { name: 'There is no webhook yet' }).waitFor();
    await page.getByRole('button', { name: 'New webhook' }).first().click();
    const dialog = page.getByRole('dialog', { name: 'New webhook' });
    // What is not opened by outbound.allow is refused, and stays to be mended.
    await dialog.getByLabel('URL').fill('http://10.1.2.3/hook');
    await dialog.getByLabel('What it is for').fill('the ERP');
    await dialog.getByLabel('These:').check();
    await dialog.getByRole('button', { name: 'Make the webhook' }).click();
    await dialog.getByText('Choose one type of event or more').waitFor();
    await dialog.getByLabel('fleet_root_ca.changed').check();
    assert.deepEqual(await axe(page), []);
    await dialog.getByRole('button', { name: 'Make the webhook' }).click();
    await dialog.getByRole('alert').getByText('outbound.allow').waitFor();
    await dialog.getByLabel('URL').fill(`http://127.0.0.1:${receiver.port}/hook`);
    await dialog.getByRole('button', { name: 'Make the webhook' }).click();
    const secret = (await page.getByLabel('the secret', { exact: true }).innerText()).trim();
    await page.getByRole('button', { name: 'I have it' }).click();
    const card = page.getByRole('region', { name: `http://127.0.0.1:${receiver.port}/hook` }).first();
    await card.getByText('fleet_root_ca.changed').waitFor();

    receiver.answer = (_, response) => void response.writeHead(500).end();
    await console.server.json('fleet-root', 'close', 'acme', 'generated');
    await card.getByRole('button', { name: 'Deliveries' }).click();
    await card.getByRole('row', { name: /fleet_root_ca\.changed .* status 500/ }).waitFor();
    await page.reload();
    await card.getByText('No message has arrived since').waitFor();
    assert.deepEqual(await axe(page), []);
    const { body, headers } = await eventually(() => receiver.asked[0] ?? null);
    new Webhook(secret).verify(body, headers as Record<string, string>);

    receiver.answer = (_, response) => void response.writeHead(204).end();
    await card.getByRole('button', { name: 'Send a test' }).click();
    await card.getByRole('row', { name: /webhook\.test .* delivered 1 status 204/ }).waitFor();
    await card.getByText('delivered', { exact: true }).first().click();
    await page.waitForURL(/state=delivered/);
    await card
      .getByRole('row', { name: /webhook\.test/ })
      .getByRole('button', { name: /^Send again / })
      .click();
    await eventually(() => receiver.asked.filter(({ body }) => body.includes('webhook.test')).length === 2);

    const host = `127.0.0.1:${receiver.port}`;
    await card.getByRole('button', { name: 'Another secret' }).click();
    await confirm(page, `Give ${host} another secret`, host);
    assert.notEqual((await page.getByLabel('the secret', { exact: true }).innerText()).trim(), secret);
    await page.getByRole('button', { name: 'I have it' }).click();
    await card.getByRole('button', { name: 'Disable' }).click();
    await confirm(page, `Disable ${host}`, host);
    await card.getByRole('button', { name: 'Enable' }).waitFor();
    await card.getByRole('button', { name: 'Delete' }).click();
    await confirm(page, `Delete ${host}`, host);
    await page.getByRole('heading', { name: 'There is no webhook yet' }).waitFor();
  });
});
