// Refusals in the console: a device is turned away, the page says so at once, one click mends it, and the device is let in.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { axe, Console } from '../support/console.ts';
import { makeOperator } from '../support/cookie-jar.ts';
import { Fleet } from '../support/fleet.ts';
import { type Ca, Pki } from '../support/pki.ts';

describe('refusals in the console', () => {
  let console: Console;
  let pki: Pki;
  let root: Ca;

  before(async () => {
    [console, pki] = await Promise.all([Console.open(), Pki.open()]);
    root = await pki.guideRoot('acme-vehicles');
  });
  after(() => Promise.all([console[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  test('a device under a CA that nobody registered is seen at once, mended by one click, and let in', async () => {
    const fleet = await Fleet.open(console.server, 'acme', root);
    const own = await pki.guideRoot('acme-boats');
    const boat = await pki.chain(await own.guideDevice('boat-7'), own.certificate);
    const page = await console.page('/accounts/acme/refusals');
    await page.getByRole('heading', { name: 'Nobody was turned away' }).waitFor();

    assert.equal((await fleet.connect(boat)).json.code, 'certificate_untrusted');
    const card = page.getByRole('article', { name: 'boat-7' });
    const { rule, remedy } = await fleet.refusal({ device_id: 'boat-7' });
    await card.getByText(rule).waitFor();
    await card.getByText(remedy.replaceAll('`', '')).waitFor();
    await card.locator('code').getByText('fleet-root register', { exact: true }).waitFor();
    await card.getByText('127.0.0.1', { exact: true }).waitFor();
    await card.getByText('What it showed: 2 certificates').click();
    await card.getByText('CN=acme-boats', { exact: true }).first().waitFor();
    assert.deepEqual(await axe(page), []);

    await card.getByRole('button', { name: 'Would it get in now?' }).click();
    await card.getByText('It would be turned away').waitFor();

    await card.getByRole('button', { name: 'Register this Fleet Root CA' }).click();
    const dialog = page.getByRole('dialog');
    const fingerprint = await pki.openssl('x509', '-in', own.certificate, '-noout', '-fingerprint', '-sha256');
    const sha256 = fingerprint.trim().replace(/^.*=/, '').replaceAll(':', '').toLowerCase();
    await dialog.getByText(sha256).waitFor();
    const register = dialog.getByRole('button', { name: 'Register this Fleet Root CA' });
    assert.equal(await register.isEnabled(), false, 'not before it was compared');
    assert.deepEqual(await axe(page), []);
    await dialog.getByRole('checkbox').check();
    await register.click();
    await card.getByText('The Fleet Root CA is registered').waitFor();
    await card.getByRole('button', { name: 'Would it get in now?' }).click();
    await card.getByText('It would get in').waitFor();

    assert.equal(await fleet.arrive(boat), 'in');
    await card.getByText('boat-7 is in now.').waitFor();
    await page.context().close();
  });

  test('a suspended device is resumed, and a move of Fleet Root CA allowed once its ID is typed', async () => {
    const other = await pki.guideRoot('acme-trucks');
    const fleet = await Fleet.open(console.server, 'mixed', root, other);
    const [car, truck] = [await root.guideDevice('car-1'), await root.guideDevice('truck-1')];
    assert.deepEqual([await fleet.arrive(car), await fleet.arrive(truck)], ['in', 'in']);
    await fleet.device('suspend', 'car-1');
    assert.equal(await fleet.arrive(car), 'device_suspended');
    const moved = await other.guideDevice('truck-1');
    assert.equal(await fleet.arrive(moved), 'device_id_conflict');

    const page = await console.page('/accounts/mixed/refusals');
    const ofCar = page.getByRole('article', { name: 'car-1' });
    await ofCar.getByRole('button', { name: 'Resume' }).click();
    await page.getByRole('dialog', { name: 'Resume car-1' }).getByRole('button', { name: 'Resume' }).click();
    await ofCar.getByText('It is resumed').waitFor();
    assert.equal(await fleet.arrive(car), 'in');

    const ofTruck = page.getByRole('article', { name: 'truck-1' });
    await ofTruck.getByRole('button', { name: 'Allow the move' }).click();
    // It is the one that the certificate leads to.
    await page.getByRole('dialog', { name: 'Allow a move' }).getByRole('button', { name: 'Go on' }).click();
    const dialog = page.getByRole('dialog', { name: 'Let truck-1 move to acme-trucks' });
    await dialog.getByLabel('Type truck-1 to go on').fill('truck-1');
    await dialog.getByRole('button', { name: 'Let truck-1 move to acme-trucks' }).click();
    await ofTruck.getByText('The move is allowed').waitFor();
    assert.equal(await fleet.arrive(moved), 'in');
    await page.context().close();
  });

  test('what waits, what is not listed and what was wiped gets in by one click each, once it comes again', async () => {
    const fleet = await Fleet.openTest(console.server, 'mended', root);
    await fleet.set('--rekey', 'approve');
    const page = await console.page('/accounts/mended/refusals');
    await page.locator('[data-live=live]').waitFor();
    const mend = async (device: string, button: string, done: string): Promise<void> => {
      const card = page.getByRole('article', { name: device });
      await card.getByRole('button', { name: button }).click();
      await page.getByRole('dialog', { name: device }).getByRole('button', { name: button }).click();
      await card.getByText(done).waitFor();
    };
    const [first, second] = [await root.guideDevice('car'), await root.guideDevice('car')];
    assert.deepEqual([await fleet.arrive(first), await fleet.arrive(second)], ['in', 'rekey_pending']);
    await mend('car', 'Accept', 'It is accepted');
    assert.equal(await fleet.arrive(second), 'in');

    await fleet.image.boot('wiped');
    assert.equal((await fleet.image.provision('wiped')).json.code, 'device_already_registered');
    await mend('wiped', 'Let it provision once more', 'It may provision once more.');
    assert.equal((await (await fleet.image.boot('wiped')).whoAmI()).json.device_id, 'wiped');

    await fleet.set('--admission', 'allow-list');
    const unlisted = await root.guideDevice('unlisted');
    assert.equal(await fleet.arrive(unlisted), 'device_id_not_allowed');
    await mend('unlisted', 'Put it on the allow-list', 'It is on the allow-list');
    assert.equal(await fleet.arrive(unlisted), 'in');
    await page.getByText('unlisted is in now.').waitFor();

    await fleet.set('--admission', 'approval');
    const patient = await root.guideDevice('patient');
    assert.equal(await fleet.arrive(patient), 'admission_pending');
    await page.getByRole('article', { name: 'patient' }).locator('code').getByText('device approve').waitFor();
    await mend('patient', 'Accept', 'It is accepted');
    await page.getByText('patient is let in from now on.').waitFor();
    assert.equal(await fleet.arrive(patient), 'in');
    assert.deepEqual(await axe(page), []);
    await page.context().close();
  });

  test('filters live in the address; an auditor sees all of it and may mend nothing', async () => {
    const fleet = await Fleet.open(console.server, 'watched', root);
    const stranger = await pki.guideRoot('stranger');
    for (const name of ['pump-1', 'pump-2']) {
      const device = await pki.chain(await stranger.guideDevice(name), stranger.certificate);
      assert.equal(await fleet.arrive(device), 'certificate_untrusted');
    }
    await fleet.refusal({ device_id: 'pump-2' });
    await makeOperator(console.server, 'audrey@acme.example');
    await console.server.json('operator', 'grant', 'audrey@acme.example', 'watched', 'auditor');
    const page = await console.page('/accounts/watched/refusals?code=certificate_untrusted', {
      name: 'audrey@acme.example',
    });
    await page.getByRole('article', { name: 'pump-1' }).waitFor();
    await page.getByRole('searchbox', { name: 'Device ID' }).fill('pump-2');
    await page.getByRole('article', { name: 'pump-1' }).waitFor({ state: 'detached' });
    await page.waitForURL(/device=pump-2/);
    await page.getByRole('article', { name: 'pump-2' }).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Register this Fleet Root CA' }).count(), 0);
    assert.equal(await page.getByRole('tab').count(), 0, 'what belongs to no account is for administrators');
    await page.getByRole('searchbox', { name: 'Device ID' }).fill('nobody');
    await page.getByRole('heading', { name: 'Nothing fits the filters' }).waitFor();
    await page.getByRole('button', { name: 'Without filters' }).first().click();
    await page.getByRole('article', { name: 'pump-1' }).waitFor();
    await page.context().close();
  });

  test('an administrator sees those that belong to no account too', async () => {
    const fleet = await Fleet.open(console.server, 'there', root);
    const lost = await root.guideDevice('lost-1');
    const elsewhere = `https://elsewhere.example:${new URL(fleet.image.url).port}/device`;
    const words = ['--insecure', '--silent', '--cert', lost.certificate, '--key', lost.key];
    await pki.shell(
      `curl ${words.join(' ')} --resolve elsewhere.example:${new URL(elsewhere).port}:127.0.0.1 ${elsewhere} || true`,
    );
    const page = await console.page('/accounts/there/refusals');
    await page.getByRole('tab', { name: 'Of no account' }).click();
    await page.getByText('elsewhere.example').first().waitFor();
    await page.waitForURL(/of=none/);
    assert.deepEqual(await axe(page), []);
    await page.context().close();
  });
});
