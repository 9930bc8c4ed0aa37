// Signing in to the console, one's own login, and a session that ends in the middle of work.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Locator, Page } from 'playwright-core';
import { axe, Console } from '../support/console.ts';
import { goodPassword, makeOperator } from '../support/cookie-jar.ts';
import { needs } from '../support/require.ts';
import { secretOfUri, totpAt } from '../support/totp.ts';

const noFault = async (page: Page) => assert.deepEqual(await axe(page), []);
const heading = (page: Page, name: string) => page.getByRole('heading', { level: 1, name, exact: true });
const alert = (page: Page, text: string) => page.getByRole('alert').filter({ hasText: text });
const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click();

async function signIn(page: Page, name: string, password = goodPassword): Promise<void> {
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(password);
  await press(page, 'Sign in');
}

/** Ends a session of one's own: typed, not clicked. */
async function end(page: Page, row: Locator): Promise<void> {
  await row.getByRole('button', { name: /^End the session of/ }).click();
  const dialog = page.getByRole('dialog', { name: /^End the session of/ });
  const label = (await dialog.locator('label').innerText()).trim();
  await dialog.getByRole('textbox').fill(/^Type (.*) to go on$/.exec(label)![1]!);
  await dialog.getByRole('button', { name: /^End the session of/ }).click();
}

async function codesToldOnce(page: Page): Promise<string[]> {
  const codes = (await page.getByLabel('the recovery codes', { exact: true }).textContent())!.split('\n');
  assert.equal(codes.length, 10);
  await noFault(page);
  await press(page, 'I have it');
  return codes;
}

describe('signing in to the console', { skip: needs('chromium'), timeout: 300_000 }, () => {
  let console_: Console;
  /** The server's clock: a code of an authenticator app counts once. */
  let later = 0;

  before(async () => {
    console_ = await Console.open({ clock: () => Date.now() + later });
    await console_.server.json('account', 'create', 'acme');
  });
  after(() => console_[Symbol.asyncDispose]());

  const visitor = async (path: string) => {
    const page = await (await console_.context()).newPage();
    await page.goto(path);
    return page;
  };

  test('shows the page that one came for, and says what was wrong before', async () => {
    const page = await visitor('/me?from=a-colleague');
    await heading(page, 'Sign in').waitFor();
    await noFault(page);
    await signIn(page, 'alice@acme.example', 'not it at all');
    await alert(page, 'The name, the password or the code is wrong.').waitFor();
    assert.equal(await page.getByLabel('Name').inputValue(), 'alice@acme.example');
    await press(page, 'Sign in at your identity provider');
    await alert(page, 'This server has no identity provider.').waitFor();
    await signIn(page, 'Alice@acme.example');
    await heading(page, 'My login').waitFor();
    assert.equal(new URL(page.url()).search, '?from=a-colleague');
    await page.getByText('You administer the server').waitFor();
    await page.getByText('this one', { exact: true }).waitFor();
    await noFault(page);
  });

  test('keeps what was typed when a session ends in the middle of a form', async () => {
    await makeOperator(console_.server, 'emma', '--administrator');
    const page = await console_.page('/accounts', { name: 'emma' });
    await press(page, 'Make an account');
    await page.getByLabel('Name').fill('half-typed');
    await page.getByLabel('For a fleet: a production account').check();
    await console_.server.json('operator', 'end-sessions', 'emma');
    await page.getByRole('dialog').getByRole('button', { name: 'Make an account' }).click();

    const ended = page.getByRole('dialog', { name: 'Your session has ended' });
    await ended.waitFor();
    await noFault(page);
    await page.keyboard.press('Escape');
    assert.equal(await ended.getByLabel('Name').inputValue(), 'emma');
    await ended.getByLabel('Password').fill('not it at all');
    await ended.getByRole('button', { name: 'Sign in', exact: true }).click();
    await ended.getByRole('alert').filter({ hasText: 'wrong' }).waitFor();
    await ended.getByLabel('Password').fill(goodPassword);
    await ended.getByRole('button', { name: 'Sign in', exact: true }).click();
    await ended.waitFor({ state: 'hidden' });

    assert.equal(await page.getByLabel('Name').inputValue(), 'half-typed');
    assert.ok(await page.getByLabel('For a fleet: a production account').isChecked());
    await page.getByRole('dialog').getByRole('button', { name: 'Make an account' }).click();
    await heading(page, 'The first device of half-typed').waitFor();
    const made = await console_.server.json('account', 'show', 'half-typed');
    assert.equal(made.kind, 'production');
  });

  test('says before a session ends that it does, and goes on by a key', async () => {
    await makeOperator(console_.server, 'willy');
    const page = await console_.page('/me', { name: 'willy' });
    await page.clock.install();
    await page.reload();
    await page.getByText('this one', { exact: true }).waitFor();
    const warning = alert(page, 'Your session ends soon');
    later += 28 * 60_000;
    await page.clock.fastForward('28:00');
    await warning.waitFor();
    await noFault(page);
    await page.keyboard.press('Shift');
    await warning.waitFor({ state: 'hidden' });
    later += 28 * 60_000;
    assert.equal((await page.request.get('/api/v1/session')).status(), 200);
  });

  test('signs out to the plain sign-in, whatever is being asked for', async () => {
    const page = await console_.page('/accounts/acme');
    await page.locator('[data-live=live]').waitFor();
    await page.getByRole('button', { name: 'My login' }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await heading(page, 'Sign in').waitFor();
    await page.waitForLoadState('networkidle');
    assert.equal(await page.getByText('Your session has ended').count(), 0);
    assert.equal(new URL(page.url()).pathname, '/');
  });

  test('asks for the code of an authenticator app that was set up here, and takes a recovery code in its place', async () => {
    await makeOperator(console_.server, 'tom');
    const page = await console_.page('/me', { name: 'tom' });
    await page.getByText('You have no role in any account yet.').waitFor();
    await press(page, 'Set up an authenticator app');
    await page.getByRole('dialog').getByLabel('Present password').fill('not it at all');
    await press(page, 'Go on');
    await alert(page, 'The present password is wrong.').waitFor();
    await page.getByRole('dialog').getByLabel('Present password').fill(goodPassword);
    await press(page, 'Go on');
    const uri = (await page.getByLabel('Or open this address with the app', { exact: true }).textContent())!;
    const secret = secretOfUri(uri);
    const typed = (await page.getByLabel('Type this secret into the app', { exact: true }).textContent())!;
    assert.equal(new URL(uri).searchParams.get('secret'), typed);
    await noFault(page);
    await page.getByLabel('The code that the app shows now').fill(totpAt(secret, Date.now() + later));
    await press(page, 'Put it in use');
    const [, recovery = ''] = await codesToldOnce(page);

    for (const code of [() => totpAt(secret, Date.now() + later), () => recovery]) {
      later += 60_000;
      const again = await visitor('/me');
      await signIn(again, 'tom');
      const field = again.getByLabel('Code of your authenticator app, or a recovery code');
      await field.waitFor();
      await noFault(again);
      await field.fill(code());
      await press(again, 'Sign in');
      await heading(again, 'My login').waitFor();
    }
    await page.reload();
    await press(page, 'Do without the app');
    await page.getByRole('dialog').getByLabel('Present password').fill(goodPassword);
    await page.getByRole('dialog').getByRole('button', { name: 'Do without the app' }).click();
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    const last = await visitor('/me');
    await signIn(last, 'tom');
    await heading(last, 'My login').waitFor();
  });

  test('takes a passkey, for which a session has to be new', async () => {
    await makeOperator(console_.server, 'petra');
    const page = await console_.page('/me', { name: 'petra' });
    const devtools = await page.context().newCDPSession(page);
    await devtools.send('WebAuthn.enable');
    await devtools.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    });
    later += 20 * 60_000;
    await press(page, 'Add a passkey');
    await page.getByLabel('What to call it').fill('work laptop');
    await page.getByRole('dialog').getByLabel('Present password').fill(goodPassword);
    await page.getByRole('dialog').getByRole('button', { name: 'Add a passkey' }).click();
    await alert(page, 'sign_in_again').waitFor();
    await press(page, 'Sign in again');
    const again = page.getByRole('dialog', { name: 'Sign in again' });
    await again.getByLabel('Password').fill(goodPassword);
    await again.getByRole('button', { name: 'Sign in', exact: true }).click();
    await again.waitFor({ state: 'hidden' });
    assert.equal(await page.getByLabel('What to call it').inputValue(), 'work laptop');
    await page.getByRole('dialog').getByRole('button', { name: 'Add a passkey' }).click();
    await codesToldOnce(page);
    const remove = page.getByRole('button', { name: 'Remove the passkey work laptop' });
    await remove.waitFor();
    await noFault(page);

    await page.getByRole('button', { name: 'My login' }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await heading(page, 'Sign in').waitFor();
    await press(page, 'Sign in with a passkey');
    await heading(page, 'Sign in').waitFor({ state: 'hidden' });
    await page.goto('/me');
    await page.getByText('with a passkey').first().waitFor();
    await remove.click();
    const dialog = page.getByRole('dialog');
    assert.ok(await dialog.getByRole('button', { name: 'Remove' }).isDisabled());
    await dialog.getByLabel('Type work laptop to go on').fill('work laptop');
    await dialog.getByRole('button', { name: 'Remove' }).click();
    await page.getByText('You have no passkey yet.').waitFor();
  });

  test('begins with an invitation’s link, whose secret leaves the address bar', async () => {
    const { invitation } = await console_.server.json('operator', 'invite', 'ines', 'acme', 'auditor');
    const page = await visitor(`/invitation#${invitation.secret}`);
    await heading(page, 'Your invitation').waitFor();
    assert.equal(new URL(page.url()).hash, '');
    await noFault(page);
    await page.getByLabel('New password').fill(goodPassword);
    await page.getByLabel('The same once more').fill('mill otter vivit');
    await page.getByText('The two are not the same.').waitFor();
    await page.getByLabel('The same once more').fill(goodPassword);
    await press(page, 'Set the password and sign in');
    await page.waitForURL('**/accounts/acme');
    await page.goto('/accounts');
    await page.getByRole('link', { name: 'acme', exact: true }).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Make an account' }).count(), 0);
    await page.goto('/invitation');
    await page.getByRole('heading', { name: 'The link is not whole' }).waitFor();
  });

  test('has its password changed, whereupon other sessions end', async () => {
    await makeOperator(console_.server, 'chris');
    const page = await console_.page('/me', { name: 'chris' });
    await console_.page('/', { name: 'chris' });
    const other = await console_.page('/me', { name: 'chris' });
    await other
      .getByRole('button', { name: /^End the session of/ })
      .nth(2)
      .waitFor();
    await page.reload();
    await page
      .getByRole('button', { name: /^End the session of/ })
      .nth(2)
      .waitFor();
    const row = page.getByRole('row').filter({ hasText: 'Chrome' }).filter({ hasNotText: 'this one' }).first();
    await end(page, row);
    await page
      .getByRole('button', { name: /^End the session of/ })
      .nth(2)
      .waitFor({ state: 'hidden' });

    const fresh = 'harbour kettle thirteen';
    await page.getByLabel('Present password').fill(goodPassword);
    await page.getByLabel('New password').fill(fresh);
    await page.getByLabel('The same once more').fill(fresh);
    await press(page, 'Change the password');
    await page.getByText('The password is changed.').waitFor();
    await page
      .getByRole('button', { name: /^End the session of/ })
      .nth(1)
      .waitFor({ state: 'hidden' });
    await other.reload();
    await signIn(other, 'chris', fresh);
    await heading(other, 'My login').waitFor();
    await page.reload();
    const own = page.getByRole('row').filter({ hasText: 'this one' });
    await end(page, own);
    await heading(page, 'Sign in').waitFor();
    assert.equal(await page.getByRole('dialog').count(), 0);
  });
});
