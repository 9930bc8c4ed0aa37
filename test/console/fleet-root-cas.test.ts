// The console's page of Fleet Root CAs: registered by dropping a file, weighed before they are shut, their keys and certificates.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { axe, Console } from '../support/console.ts';
import { makeOperator } from '../support/cookie-jar.ts';
import { Fleet } from '../support/fleet.ts';
import { Owner } from '../support/owner.ts';
import { Pki } from '../support/pki.ts';
import { succeed } from '../support/process.ts';

describe('Fleet Root CAs', () => {
  let console: Console;
  let pki: Pki;

  before(async () => {
    [console, pki] = await Promise.all([Console.open(), Pki.open()]);
    await makeOperator(console.server, 'bob@acme.example');
  });
  after(() => Promise.all([console[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  /** Chooses what is done to a CA in its menu. */
  const choose = async (page: Page, ca: string, action: string): Promise<void> => {
    await page.getByRole('button', { name: `Change ${ca}` }).click();
    await page.getByRole('menuitem', { name: action }).click();
  };

  test('what is no CA is refused in place, a CA is registered, a device under it is counted live, and it is disabled', async () => {
    const fleet = await Fleet.open(console.server, 'fleet');
    const root = await pki.guideRoot('vehicles');
    const page = await console.page('/accounts/fleet/fleet-root-cas');
    await page.getByRole('heading', { name: 'No Fleet Root CA is trusted yet' }).waitFor();
    assert.deepEqual(await axe(page), []);

    await page.getByRole('button', { name: 'Register a Fleet Root CA' }).click();
    const dialog = page.getByRole('dialog', { name: 'Register a Fleet Root CA' });
    const file = dialog.locator('input[type=file]');
    const register = dialog.getByRole('button', { name: 'Register it' });
    await dialog.getByLabel('Name').fill('Vehicles of 2026');
    await file.setInputFiles({ name: 'ca.key', mimeType: 'text/plain', buffer: await readFile(root.key) });
    await dialog.getByText('ca.key holds a private key').waitFor();
    assert.equal(await register.isDisabled(), true);
    const der = pki.file('.der');
    await pki.openssl('pkcs8', '-topk8', '-nocrypt', '-in', root.key, '-outform', 'der', '-out', der);
    await file.setInputFiles({ name: 'ca.der', mimeType: 'text/plain', buffer: await readFile(der) });
    await dialog.getByText('ca.der holds a private key').waitFor();
    assert.equal(await register.isDisabled(), true);

    const leaf = await root.guideDevice('vin-0001');
    await file.setInputFiles({ name: 'leaf.crt', mimeType: 'text/plain', buffer: await readFile(leaf.certificate) });
    await register.click();
    const refused = await fleet.registerRefused(leaf.certificate);
    const words = refused.stderr.split('\n')[0]!.replace(/^.*?: /, '');
    await dialog.getByRole('alert').getByText('certificate_unfit').waitFor();
    assert.ok((await dialog.getByRole('alert').innerText()).includes(words), words);
    assert.equal(await dialog.getByLabel('Name').inputValue(), 'Vehicles of 2026');

    const sha256 = (await pki.openssl('x509', '-in', root.certificate, '-noout', '-fingerprint', '-sha256'))
      .trim()
      .replace(/^.*=/, '')
      .replaceAll(':', '')
      .toLowerCase();
    // As PEM or DER: what is in it is there to be compared.
    const inFile = dialog.getByRole('region', { name: 'What is in the file' });
    await pki.openssl('x509', '-in', root.certificate, '-outform', 'der', '-out', der);
    for (const path of [root.certificate, der]) {
      await file.setInputFiles({ name: 'leaf.crt', mimeType: 'text/plain', buffer: await readFile(leaf.certificate) });
      await inFile.getByText('CN=vin-0001').first().waitFor();
      await file.setInputFiles({ name: 'root.crt', mimeType: 'text/plain', buffer: await readFile(path) });
      await inFile.getByText(sha256).waitFor();
      await inFile.getByText('CN=vehicles').waitFor();
    }
    assert.deepEqual(await axe(page), []);
    await register.click();
    await page.getByText('Vehicles of 2026 is registered. Devices under it are taken from now on.').waitFor();
    const card = page.getByRole('region', { name: 'Vehicles of 2026' });
    await card.getByText('no device hangs on it').waitFor();
    await card.getByText('Not here: it is yours.').waitFor();

    await page.locator('[data-live=live]').waitFor();
    assert.equal(await fleet.arrive(leaf), 'in');
    await card.getByRole('link', { name: '1 device' }).waitFor();
    await card.getByText('1 certificate', { exact: true }).click();
    await card.getByText(sha256).waitFor();
    const saving = page.waitForEvent('download');
    await card.getByRole('button', { name: /^Save as PEM/ }).click();
    const saved = await (await saving).path();
    const key = (path: string) => pki.openssl('x509', '-in', path, '-noout', '-serial', '-fingerprint');
    assert.equal(await key(saved), await key(root.certificate));

    await choose(page, 'Vehicles of 2026', 'Disable');
    const disabling = page.getByRole('dialog', { name: 'Disable Vehicles of 2026' });
    await disabling.getByText('1 device that gets in now would be refused from then on.').waitFor();
    await disabling.getByText('fleet_root_ca_disabled', { exact: true }).waitFor();
    const disable = disabling.getByRole('button', { name: 'Disable Vehicles of 2026' });
    await disabling.getByLabel('Type Vehicles of 2026 to go on').fill('Vehicles');
    assert.equal(await disable.isDisabled(), true);
    await disabling.getByLabel('Type Vehicles of 2026 to go on').fill('Vehicles of 2026');
    await disable.click();
    await card.getByText('Nobody under it is taken.').waitFor();
    assert.equal(await fleet.arrive(leaf), 'fleet_root_ca_disabled');

    await choose(page, 'Vehicles of 2026', 'Activate');
    const activating = page.getByRole('dialog', { name: 'Activate Vehicles of 2026' });
    await activating.getByLabel('Type Vehicles of 2026 to go on').fill('Vehicles of 2026');
    await activating.getByRole('button', { name: 'Activate Vehicles of 2026' }).click();
    await card.getByText('Known devices and newcomers under it are taken.').waitFor();
    assert.equal(await fleet.arrive(leaf), 'in');
  });

  test('an intermediate is added, its key distrusted and trusted again; manifests and a successor are weighed first', async () => {
    const [old, next] = [await pki.guideRoot('old'), await pki.guideRoot('next')];
    const line = await old.intermediate('line-1');
    const fleet = await Fleet.open(console.server, 'lines', old, next);
    const device = await line.device('vin-0002');
    const page = await console.page('/accounts/lines/fleet-root-cas');
    const card = page.getByRole('region', { name: 'old' });

    await choose(page, 'old', 'Add intermediates');
    const adding = page.getByRole('dialog', { name: 'Add intermediates of old' });
    await adding.locator('input[type=file]').setInputFiles(line.certificate);
    await adding.getByRole('button', { name: 'Add them' }).click();
    await page.getByText('old has 1 intermediate more.').waitFor();
    assert.equal(await fleet.arrive(device), 'in');

    await card.getByText('2 certificates').click();
    await card.getByRole('button', { name: 'Distrust the key of CN=line-1' }).click();
    const distrusting = page.getByRole('dialog', { name: 'Distrust the key of CN=line-1' });
    await distrusting.getByText('1 device that gets in now would be refused').waitFor();
    await distrusting.getByLabel('Type distrust to go on').fill('distrust');
    await distrusting.getByRole('button', { name: 'Distrust the key of CN=line-1' }).click();
    await page.getByText('The key of CN=line-1 is distrusted.').waitFor();
    assert.deepEqual(await axe(page), []);
    assert.notEqual(await fleet.arrive(device), 'in');
    await page.getByRole('button', { name: 'Trust again the key of CN=line-1' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Trust again', exact: true }).click();
    await page.getByText('No key is distrusted.').waitFor();
    assert.equal(await fleet.arrive(device), 'in');

    await choose(page, 'old', 'Let in only what a manifest holds');
    const manifest = page.getByRole('dialog', { name: 'Let in by manifest under old' });
    await manifest.getByText('1 device that gets in now would be refused').waitFor();
    await manifest.getByRole('button', { name: 'Cancel' }).click();

    await choose(page, 'old', 'Set a successor');
    await page.getByRole('dialog').getByLabel('Successor').selectOption('next (active)');
    await page.getByRole('button', { name: 'See what that would do' }).click();
    const succeeding = page.getByRole('dialog', { name: 'Let next succeed old' });
    await succeeding.getByText('None that gets in now would be refused.').waitFor();
    await succeeding.getByLabel('Type old to go on').fill('old');
    await succeeding.getByRole('button', { name: 'Let next succeed old' }).click();
    await card.getByText('next: devices that come under it are the same devices').waitFor();
  });

  test('the key of a generated one is given out once, encrypted under a passphrase', async () => {
    await console.server.json('account', 'create', 'bench');
    const page = await console.page('/accounts/bench/fleet-root-cas');
    await page.getByText('Here, sealed in the registry').waitFor();
    await choose(page, 'generated', 'Export the private key');
    const form = page.getByRole('dialog', { name: 'Export the private key of generated' });
    await form.getByLabel('Passphrase', { exact: true }).fill('short');
    await form.getByLabel('The passphrase once more').fill('short');
    await form.getByRole('button', { name: 'Export the key' }).click();
    await form.getByRole('alert').waitFor();
    const passphrase = 'three random words';
    await form.getByLabel('Passphrase', { exact: true }).fill(passphrase);
    await form.getByLabel('The passphrase once more').fill(passphrase);
    await form.getByRole('button', { name: 'Export the key' }).click();
    const told = page.getByRole('dialog', { name: 'The private key of generated' });
    const saving = page.waitForEvent('download');
    await told.getByRole('button', { name: 'Save the key' }).click();
    const saved = await saving;
    assert.equal(saved.suggestedFilename(), 'generated.key');
    const key = await succeed('openssl', [
      'pkey',
      '-in',
      await saved.path(),
      '-passin',
      `pass:${passphrase}`,
      '-pubout',
    ]);
    assert.match(key, /BEGIN PUBLIC KEY/);
    await told.getByRole('button', { name: 'I have it' }).click();
    await told.waitFor({ state: 'detached' });
  });

  test('what waits for the owner is shown, with the commands that have it signed', async () => {
    const owner = await Owner.open(pki);
    const fleet = await Fleet.openOwned(console.server, 'owned', owner.publicKey, await pki.guideRoot('owned-root'));
    const page = await console.page('/accounts/owned/fleet-root-cas');
    const signature = page.getByRole('region', { name: 'The owner’s signature' });
    await signature.getByText('Nothing is signed yet: nobody is let in.').waitFor();
    await signature.getByText('owned-root', { exact: false }).first().waitFor();
    await signature.getByText('./fleetroot fleet-root changes owned -o set-1.json').waitFor();
    await page.getByRole('region', { name: 'owned-root' }).getByText('waits for the owner').waitFor();
    assert.deepEqual(await axe(page), []);
    await page.locator('[data-live=live]').waitFor();
    await owner.apply(fleet, await owner.draw(fleet));
    await signature.getByText('Nothing waits for a signature.').waitFor();
  });

  test('an auditor sees all of it and no button that changes anything', async () => {
    await Fleet.open(console.server, 'audited', await pki.guideRoot('looked-at'));
    await console.server.json('operator', 'grant', 'bob@acme.example', 'audited', 'auditor');
    const page = await console.page('/accounts/audited/fleet-root-cas', { name: 'bob@acme.example' });
    await page.getByRole('region', { name: 'looked-at' }).waitFor();
    assert.equal(await page.getByRole('button', { name: /Register|Change|Distrust|Trust/ }).count(), 0);
  });
});
