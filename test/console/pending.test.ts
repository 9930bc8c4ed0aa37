// The approval queue in the console: who waits and how to tell them apart, accepted and rejected by hand and by keyboard.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { parseCertificates } from '../../src/x509/certificate.ts';
import { commonName, encodeName } from '../../src/x509/name.ts';
import { axe, Console } from '../support/console.ts';
import { Fleet } from '../support/fleet.ts';
import { type Ca, type Credentials, deviceExtensions, Pki } from '../support/pki.ts';

describe('the approval queue in the console', () => {
  let console: Console;
  let pki: Pki;
  let root: Ca;

  before(async () => {
    [console, pki] = await Promise.all([Console.open(), Pki.open()]);
    root = await pki.guideRoot('acme-vehicles');
  });
  after(() => Promise.all([console[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  const open = async (account: string, ...policy: string[]): Promise<[Fleet, Page]> => {
    const fleet = await Fleet.open(console.server, account, root);
    await fleet.set(...policy);
    return [fleet, await console.page(`/accounts/${account}/pending`)];
  };

  test('a newcomer appears by itself, with all that tells it from others, and gets in once it is accepted', async () => {
    const [fleet, page] = await open('acme', '--admission', 'approval');
    await page.getByRole('heading', { name: 'Nothing waits' }).waitFor();
    assert.deepEqual(await axe(page), []);
    const pump = await root.guideDevice('pump-17');
    assert.equal(await fleet.arrive(pump), 'admission_pending');
    await page.getByRole('option', { name: /pump-17/ }).waitFor();
    const who = page.getByRole('region', { name: 'pump-17' });
    await who.getByText('CN=pump-17', { exact: true }).waitFor();
    await who.getByText('CN=acme-vehicles', { exact: true }).waitFor();
    await who.getByText('127.0.0.1').waitFor();
    await who.getByText('aaaa-00', { exact: false }).waitFor();
    assert.deepEqual(await axe(page), []);
    await who.getByRole('button', { name: 'Accept pump-17' }).click();
    await page.getByText('pump-17 is accepted').waitFor();
    await page.getByRole('heading', { name: 'Nothing waits' }).waitFor();
    assert.equal(await fleet.arrive(pump), 'in');
    await page.context().close();
  });

  test('many are gone through by keyboard alone: moved, selected, accepted and rejected', async () => {
    const [fleet, page] = await open('many', '--admission', 'approval');
    const names = ['a-1', 'a-2', 'a-3', 'a-4', 'z-9'];
    const devices = new Map<string, Credentials>();
    for (const name of names) {
      devices.set(name, await root.shapedDevice({ subject: name }));
      assert.equal((await fleet.connect(devices.get(name)!)).json.code, 'admission_pending');
    }
    await page.getByRole('option', { name: /z-9/ }).waitFor();
    const list = page.getByRole('listbox', { name: 'What waits' });
    const states = async (): Promise<Record<string, string>> =>
      Object.fromEntries((await fleet.devices()).map(({ device_id, state }) => [device_id, state]));

    await page.keyboard.press('a');
    assert.equal((await states())['a-1'], 'pending', 'keys count in the list alone');
    await list.focus();
    await page.keyboard.press('a');
    await page.getByText('a-1 is accepted').waitFor();
    await page.getByRole('option', { name: /a-1/ }).waitFor({ state: 'detached' });
    // What came in its place is current: a-2. a-2 and a-4 are selected, and accepted after a look.
    await page.keyboard.press('x');
    await page.keyboard.press('j');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Space');
    await page.getByText('4 wait, 2 are selected').waitFor();
    await page.keyboard.press('a');
    const accepting = page.getByRole('dialog', { name: 'Accept 2' });
    await accepting.getByText('2 new devices').waitFor();
    assert.deepEqual(await axe(page), []);
    await page.keyboard.press('Enter');
    await page.getByText('2 are accepted').waitFor();
    // The two that are left are rejected together: how many is typed.
    await list.focus();
    await page.getByText('2 wait', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Select all 2', exact: true }).click();
    await list.focus();
    await page.keyboard.press('r');
    const rejecting = page.getByRole('dialog', { name: 'Reject 2' });
    await rejecting.getByText('Touches 2 devices', { exact: false }).waitFor();
    await rejecting.getByLabel('Type 2 to go on').fill('2');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Nothing waits' }).waitFor();
    assert.deepEqual(await states(), {
      'a-1': 'active',
      'a-2': 'active',
      'a-3': 'revoked',
      'a-4': 'active',
      'z-9': 'revoked',
    });
    assert.equal(await fleet.arrive(devices.get('a-4')!), 'in');
    assert.equal(await fleet.arrive(devices.get('z-9')!), 'device_revoked');
    await page.context().close();
  });

  test('a new key of a known device stands beside the one that it has, and is rejected by its ID', async () => {
    const [fleet, page] = await open('rekeyed', '--rekey', 'approve');
    const [first, second] = [await root.guideDevice('car'), await root.guideDevice('car')];
    assert.equal(await fleet.arrive(first), 'in');
    assert.equal(await fleet.arrive(second), 'rekey_pending');
    const who = page.getByRole('region', { name: 'car', exact: true });
    await who.getByRole('heading', { name: 'The new key' }).waitFor();
    await who.getByRole('heading', { name: 'The key that it has' }).waitFor();
    await who.getByRole('button', { name: 'Reject car' }).click();
    const dialog = page.getByRole('dialog', { name: 'Reject car' });
    await dialog.getByText('The device goes on with the key that it has.', { exact: false }).waitFor();
    await dialog.getByLabel('Type car to go on').fill('car');
    await dialog.getByRole('button', { name: 'Reject car' }).click();
    await page.getByRole('heading', { name: 'Nothing waits' }).waitFor();
    assert.equal(await fleet.arrive(second), 'certificate_revoked');
    assert.equal(await fleet.arrive(first), 'in');
    await page.context().close();
  });

  test('of two new keys under one device ID the strange one is revoked before the other is accepted', async () => {
    const [fleet, page] = await open('doubled', '--rekey', 'approve');
    const [first, ours, strange] = [
      await root.guideDevice('car'),
      await root.guideDevice('car'),
      await root.guideDevice('car'),
    ];
    const outcomes = ['in', 'rekey_pending', 'rekey_pending'];
    for (const each of [first, ours, strange]) assert.equal(await fleet.arrive(each), outcomes.shift());
    const who = page.getByRole('region', { name: 'car', exact: true });
    await who.getByText('2 new keys wait under this device ID').waitFor();
    await who.getByRole('button', { name: 'Accept car' }).click();
    await page.getByRole('alert').locator('code').getByText('certificate revoke', { exact: true }).waitFor();

    await who.getByRole('link', { name: 'Look at the device' }).click();
    const fingerprint = await pki.openssl('x509', '-in', strange.certificate, '-noout', '-fingerprint', '-sha256');
    const short = fingerprint.trim().replace(/^.*=/, '').replaceAll(':', '').toLowerCase().slice(0, 16);
    await page.getByRole('button', { name: `Revoke the certificate ${short}` }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Type car to go on').fill('car');
    await dialog.getByRole('button', { name: `Revoke the certificate ${short}` }).click();
    await page.getByRole('row').filter({ hasText: short }).getByText('revoked', { exact: true }).waitFor();
    assert.equal(await fleet.arrive(strange), 'certificate_revoked');

    await page.goBack();
    await who.getByText('2 new keys wait').waitFor({ state: 'detached' });
    await who.getByRole('button', { name: 'Accept car' }).click();
    await page.getByText('car is accepted').waitFor();
    assert.equal(await fleet.arrive(ours), 'in');
    await page.context().close();
  });

  test('IDs that would look alike do not: spaces are seen, letters of other alphabets are told', async () => {
    const [fleet, page] = await open('alike', '--admission', 'approval');
    const ids = ['pump 17', 'pump  17', 'pump\u00a017', 'pump 17 ', 'рump 17'];
    for (const id of ids) await fleet.connect(await root.shapedDevice({ subject: id }));
    await page.getByRole('option').nth(4).waitFor();
    const shown = ['pump 17', 'pump␣␣17', 'pump‹U+00A0›17', 'pump 17␣', 'рump 17'];
    const list = page.getByRole('listbox', { name: 'What waits' });
    assert.deepEqual(await list.locator('.device-id').allTextContents(), shown);
    const stranger = page.getByRole('option').last();
    await stranger.getByText('Letters that are not ASCII: р (Cyrillic)').waitFor();
    assert.equal(await page.getByText('not ASCII').count(), 1);
    await stranger.click();
    await page.getByRole('region', { name: 'рump 17' }).getByText('‹Cyrillic›aaa 00 · 1 waits').waitFor();
    assert.deepEqual(await axe(page), []);
    // What is shown can be typed, and what no keyboard has can be copied.
    for (const [id, name] of [
      ['pump  17', 'pump␣␣17'],
      ['pump\u00a017', 'pump‹U+00A0›17'],
    ] as const) {
      await page.getByRole('option', { name }).click();
      await page.getByRole('button', { name: `Reject ${name}` }).click();
      const dialog = page.getByRole('dialog', { name: `Reject ${name}` });
      const typed = dialog.getByRole('textbox', { name: `Type ${name} to go on` });
      if (id === 'pump  17') await typed.fill(id);
      else {
        assert.deepEqual(await axe(page), []);
        await dialog.getByRole('button', { name: 'Copy what has to be typed' }).click();
        await dialog.getByRole('status').filter({ hasText: 'Copied' }).waitFor({ state: 'attached' });
        await typed.press('Control+V');
      }
      await dialog.getByRole('button', { name: `Reject ${name}` }).click();
      await page.getByText(`${name} is rejected`).waitFor();
    }
    const states = (await fleet.devices()).filter(({ state }) => state === 'revoked').map(({ device_id }) => device_id);
    assert.deepEqual(new Set(states), new Set(ids.slice(1, 3)));
    await page.goto('/accounts/alike/devices');
    for (const name of shown) await page.getByRole('link', { name, exact: true }).waitFor();
    await page.getByRole('link', { name: 'рump 17', exact: true }).click();
    await page.getByText('Letters that are not ASCII: р (Cyrillic)').waitFor();
    await page.context().close();
  });

  test('what a colleague decides does not put another under the hand', async () => {
    const [fleet, page] = await open('shared', '--admission', 'approval');
    const names = ['pump-1', 'pump-2', 'pump-3', 'pump-4', 'pump-5'];
    for (const subject of names) await fleet.connect(await root.shapedDevice({ subject }));
    await page.getByRole('option').nth(4).waitFor();
    const list = page.getByRole('listbox', { name: 'What waits' });
    const accepted = async (): Promise<string[]> =>
      (await fleet.devices()).filter(({ state }) => state === 'active').map(({ device_id }) => device_id);
    await list.focus();
    await fleet.device('approve', 'pump-1');
    await page.getByText('pump-1 was accepted or rejected by somebody else').waitFor();
    await page.keyboard.press('a');
    assert.equal(await page.getByRole('region', { name: /pump/ }).count(), 0, 'nobody is current');
    // Whoever moves sees who it is now. Caps Lock does not matter.
    await page.keyboard.press('J');
    await page.getByRole('region', { name: 'pump-2' }).waitFor();
    await page.keyboard.press('A');
    await page.getByText('pump-2 is accepted').waitFor();
    assert.deepEqual((await accepted()).toSorted(), ['pump-1', 'pump-2']);
    // One that was selected goes: the current one is not meant in its place.
    await page.getByRole('region', { name: 'pump-3' }).waitFor();
    await page.keyboard.press('x');
    await page.keyboard.press('j');
    await page.getByRole('region', { name: 'pump-4' }).waitFor();
    await fleet.device('reject', 'pump-3');
    await page.getByText('pump-3 was accepted or rejected by somebody else').waitFor();
    await page.keyboard.press('a');
    await page.keyboard.press('j');
    // After a decision by button the focus is in the queue, where the keys are.
    await page.getByRole('button', { name: 'Accept pump-5' }).click();
    await page.getByText('pump-5 is accepted').waitFor();
    await page.getByRole('region', { name: 'pump-4' }).waitFor();
    await page.locator('[role=listbox]:focus').waitFor();
    assert.deepEqual((await accepted()).toSorted(), ['pump-1', 'pump-2', 'pump-5']);
    await page.context().close();
  });

  test('of a queue that is long it says how many wait, not how many are loaded', async () => {
    const [fleet, page] = await open('long', '--admission', 'approval');
    for (const subject of ['a-1', 'a-2', 'a-3']) await fleet.connect(await root.shapedDevice({ subject }));
    await page.route(/\/devices\?.*limit=200/, (route) =>
      route.continue({ url: route.request().url().replace('limit=200', 'limit=2') }),
    );
    await page.reload();
    await page.getByText('3 wait, 2 are shown', { exact: true }).waitFor();
    await page.getByRole('region', { name: 'a-1' }).getByText('2 wait with an ID of this shape, of the 2').waitFor();
    await page.getByRole('button', { name: 'Select 2 of 3' }).click();
    await page.getByText('3 wait, 2 are shown, 2 are selected', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Load more' }).click();
    await page.getByText('3 wait, 2 are selected', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Select all 3' }).waitFor();
    await page.context().close();
  });

  test('no value in a certificate passes for a name of several parts, or is unseen', async () => {
    const [fleet, page] = await open('named', '--admission', 'approval');
    const subject = encodeName([
      { type: '2.5.4.10', value: ' #ACME Fleet Root,O=ACME\u202e\u200b\\ ' },
      { type: '2.5.4.12', value: 'a+b "c" <d>; =e' },
      { type: commonName, value: 'pump, O=ACME' },
    ]);
    const names = '[alt]\nDNS.1="one.example, DNS:two.example"';
    await fleet.connect(await root.shapedDevice({ subject }));
    const other = await root.device('other', { extensions: [...deviceExtensions, 'subjectAltName=@alt', names] });
    await fleet.connect(other);
    const [{ certificate }] = (await fleet.fleetroot.json('device', 'show', 'named', 'pump, O=ACME')).certificates;
    const said = parseCertificates(Buffer.from(certificate))[0]!.subject.text;
    assert.match(said, /^CN=pump\\, O\\=ACME,title=.*\\u\{202e\}\\u\{200b\}/);
    await page.getByRole('region', { name: 'pump, O=ACME' }).getByText(said, { exact: true }).waitFor();
    await page.getByRole('option', { name: 'other' }).click();
    await page.getByText('DNS:one.example, DNS:two.example', { exact: true }).waitFor();
    await page.context().close();
  });
});
