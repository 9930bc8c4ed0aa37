// What is done to one device on its own page, after which the device itself does as it was told; and all of it by keyboard.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Locator, Page } from 'playwright-core';
import { axe, Console } from '../support/console.ts';
import { goodPassword } from '../support/cookie-jar.ts';
import { Fleet } from '../support/fleet.ts';
import { type Ca, Pki } from '../support/pki.ts';

describe('what is done to a device in the console', () => {
  let console: Console;
  let pki: Pki;
  let root: Ca;
  let acme: Fleet;

  before(async () => {
    [console, pki] = await Promise.all([Console.open(), Pki.open()]);
    root = await pki.guideRoot('acme-vehicles');
    acme = await Fleet.openTest(console.server, 'acme', root);
  });
  after(() => Promise.all([console[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  const pageOf = async (fleet: Fleet, deviceId: string): Promise<Page> =>
    console.page(`/accounts/${fleet.account}/devices/${(await fleet.device('show', deviceId)).uuid}`);
  const more = async (page: Page, what: string): Promise<void> => {
    await page.getByRole('button', { name: 'More' }).click();
    await page.getByRole('menuitem', { name: what }).click();
    await page.getByRole('menu').waitFor({ state: 'detached' });
  };
  const typed = async (page: Page, title: string, word: string): Promise<void> => {
    const dialog = page.getByRole('dialog', { name: title });
    await dialog.getByLabel(`Type ${word} to go on`).fill(word);
    await dialog.getByRole('button', { name: title }).click();
    await dialog.waitFor({ state: 'detached' });
  };

  const focused = (page: Page, wanted: Locator): Promise<void> => wanted.and(page.locator(':focus')).waitFor();

  test('one that waits is approved and gets in; another is rejected and does not', async () => {
    const fleet = await Fleet.open(console.server, 'gate', root);
    await fleet.set('--admission', 'approval');
    const [good, bad] = [await root.guideDevice('good'), await root.guideDevice('bad')];
    for (const each of [good, bad]) assert.equal(await fleet.arrive(each), 'admission_pending');

    const page = await pageOf(fleet, 'good');
    await page.getByText('It waits for somebody to let it in').waitFor();
    await page.getByRole('button', { name: 'Approve' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Approve good' }).click();
    await page.getByRole('button', { name: 'Suspend' }).waitFor();
    await page.getByText('It was approved').waitFor();
    assert.equal(await fleet.arrive(good), 'in');
    await page.context().close();

    const other = await pageOf(fleet, 'bad');
    await other.getByRole('button', { name: 'Reject' }).click();
    await typed(other, 'Reject bad', 'bad');
    await other.getByText('It was rejected').waitFor();
    assert.equal(await fleet.arrive(bad), 'device_revoked');
    assert.equal(await other.getByRole('button', { name: /Approve|Reject|Suspend/ }).count(), 0);
    await other.context().close();
  });

  test('a new key of a known device is approved on its page, and waits there until then', async () => {
    const fleet = await Fleet.open(console.server, 'keys', root);
    await fleet.set('--rekey', 'approve');
    const [first, second] = [await root.guideDevice('car'), await root.guideDevice('car')];
    assert.equal(await fleet.arrive(first), 'in');
    const page = await pageOf(fleet, 'car');
    await page.getByRole('button', { name: 'Suspend' }).waitFor();
    await page.locator('[data-live=live]').waitFor();
    assert.equal(await fleet.arrive(second), 'rekey_pending');
    await page.getByText('A new key of it waits for somebody to let it in').waitFor();
    await page.getByRole('button', { name: 'Approve' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Approve car' }).click();
    await page.getByText('A new key of it waits').waitFor({ state: 'detached' });
    assert.equal(await fleet.arrive(second), 'in');
    await page.context().close();
  });

  test('a device that was wiped is given a certificate once more, and what it had is refused', async () => {
    const before = await acme.image.boot('wiped-1');
    assert.equal((await before.whoAmI()).status, 200);
    assert.equal((await acme.image.provision('wiped-1')).json.code, 'device_already_registered');
    const page = await pageOf(acme, 'wiped-1');
    await more(page, 'Let it be provisioned again');
    await page.getByRole('dialog').getByRole('button', { name: 'Let wiped-1 be provisioned again' }).click();
    await page.getByText('It may be given a certificate once more').waitFor();
    await page.getByText('It may be provisioned again').waitFor();
    await page.locator('[data-live=live]').waitFor();
    const now = await acme.image.boot('wiped-1');
    assert.equal((await now.whoAmI()).status, 200);
    assert.equal((await before.whoAmI()).json.code, 'certificate_revoked');
    await page.getByText('It may be given a certificate once more').waitFor({ state: 'detached' });
    const certificates = page.getByRole('region', { name: 'Certificates' });
    await certificates.getByText('revoked').waitFor();
    await certificates.getByText('current').waitFor();
    await page.context().close();
  });

  test('a device that may move comes in under the other Fleet Root CA, and belongs there', async () => {
    const other = await pki.guideRoot('acme-trucks');
    const fleet = await Fleet.open(console.server, 'mixed', root, other);
    assert.equal(await fleet.arrive(await root.guideDevice('truck-1')), 'in');
    const moved = await other.guideDevice('truck-1');
    assert.equal(await fleet.arrive(moved), 'device_id_conflict');
    const page = await pageOf(fleet, 'truck-1');
    await more(page, 'Allow a move of Fleet Root CA');
    const dialog = page.getByRole('dialog', { name: 'Allow a move of Fleet Root CA' });
    await dialog.getByLabel('Fleet Root CA').selectOption('acme-trucks');
    assert.deepEqual(await axe(page), []);
    await dialog.getByRole('button', { name: 'Go on' }).click();
    // From one dialog to the next, and back to where both began.
    await focused(page, page.getByLabel('Type truck-1 to go on'));
    await page.keyboard.press('Escape');
    await focused(page, page.getByRole('button', { name: 'More' }));
    await more(page, 'Allow a move of Fleet Root CA');
    await dialog.getByLabel('Fleet Root CA').selectOption('acme-trucks');
    await dialog.getByRole('button', { name: 'Go on' }).click();
    await typed(page, 'Let truck-1 move to acme-trucks', 'truck-1');
    await page.getByText('It may move to another Fleet Root CA').first().waitFor();
    await page.locator('[data-live=live]').waitFor();
    assert.equal(await fleet.arrive(moved), 'in');
    await page.getByRole('link', { name: 'acme-trucks' }).waitFor();
    await page.getByRole('heading', { name: 'Fleet Root CA acme-trucks' }).waitFor();
    await page.context().close();
  });

  test('one certificate of a device is revoked: it is refused at once, another is not, and the page tells both', async () => {
    const fleet = await Fleet.open(console.server, 'leaked', root);
    const [lost, kept] = [await root.guideDevice('pump'), await root.guideDevice('pump')];
    for (const each of [lost, kept]) assert.equal(await fleet.arrive(each), 'in');
    const der = await pki.openssl('x509', '-in', lost.certificate, '-noout', '-fingerprint', '-sha256');
    const short = der.trim().replace(/^.*=/, '').replaceAll(':', '').toLowerCase().slice(0, 16);
    const page = await pageOf(fleet, 'pump');
    await page.locator('[data-live=live]').waitFor();
    await page.getByRole('button', { name: `Revoke the certificate ${short}` }).click();
    await page.getByRole('dialog').getByText('With another certificate it gets in.').waitFor();
    await typed(page, `Revoke the certificate ${short}`, 'pump');
    assert.equal(await fleet.arrive(lost), 'certificate_revoked');
    assert.equal(await fleet.arrive(kept), 'in');
    const row = page.getByRole('row').filter({ hasText: short });
    await row.getByText('revoked', { exact: true }).waitFor();
    const timeline = page.getByRole('region', { name: 'What happened to it' });
    await timeline.getByText('A certificate of it was revoked').waitFor();
    await timeline.getByText('by alice@acme.example').first().waitFor();
    await timeline.getByText('It was turned away').waitFor();
    await timeline.getByText('(certificate_revoked)').waitFor();
    await page.context().close();
  });

  /** Presses Tab until something has the focus, which is seen all the way. */
  const tabTo = async (page: Page, wanted: Locator): Promise<void> => {
    for (let steps = 0; steps < 60; steps += 1) {
      if ((await wanted.and(page.locator(':focus')).count()) > 0) return;
      await page.keyboard.press('Tab');
      assert.equal(await page.locator(':focus-visible:visible').count(), 1, 'what has the focus is seen');
    }
    assert.fail(`Tab does not lead to ${String(wanted)}`);
  };
  test('by keyboard alone: signed in, the device found, opened and suspended; Escape leads back to where one was', async () => {
    for (const id of ['robot-1', 'robot-2']) await acme.image.boot(id);
    const page = await (await console.context()).newPage();
    await page.goto('/accounts/acme/devices');
    await page.getByLabel('Name').waitFor();
    await tabTo(page, page.getByLabel('Name'));
    await page.keyboard.type('alice@acme.example');
    await tabTo(page, page.getByLabel('Password'));
    await page.keyboard.type(goodPassword);
    await page.keyboard.press('Enter');
    await focused(page, page.getByRole('heading', { level: 1, name: 'Devices' }));

    await tabTo(page, page.getByLabel('Search device IDs'));
    await page.keyboard.type('robot-2');
    await page.getByText('1 device fits the filter').waitFor();
    await page.getByRole('link', { name: 'robot-1' }).waitFor({ state: 'detached' });
    await tabTo(page, page.getByRole('link', { name: 'robot-2' }));
    await page.keyboard.press('Enter');
    await focused(page, page.getByRole('heading', { level: 1, name: 'robot-2' }));

    const suspend = page.getByRole('button', { name: 'Suspend', exact: true });
    await tabTo(page, suspend);
    await page.keyboard.press('Enter');
    const wanted = page.getByRole('dialog').getByLabel('Type robot-2 to go on');
    await focused(page, wanted);
    await page.keyboard.press('Escape');
    await focused(page, suspend);
    // A dialog that was opened from a menu leads back to the menu's button.
    await tabTo(page, page.getByRole('button', { name: 'More' }));
    await page.keyboard.press('Enter');
    await focused(page, page.getByRole('menuitem').first());
    await page.keyboard.press('ArrowUp');
    await focused(page, page.getByRole('menuitem', { name: 'Delete' }));
    await page.keyboard.press('Enter');
    await focused(page, wanted);
    await page.keyboard.press('Escape');
    await focused(page, page.getByRole('button', { name: 'More' }));

    await page.keyboard.press('Shift+Tab');
    await focused(page, suspend);
    await page.keyboard.press('Enter');
    await focused(page, wanted);
    await page.keyboard.type('robot-2');
    await page.keyboard.press('Enter');
    const resume = page.getByRole('button', { name: 'Resume' });
    await resume.waitFor();
    await focused(page, page.getByRole('heading', { level: 1, name: 'robot-2' }));
    assert.equal((await acme.device('show', 'robot-2')).state, 'suspended');
    await tabTo(page, resume);
    await page.context().close();
  });
});
