// The approval queue in the console: who waits and how to tell them apart, accepted and rejected by hand and by keyboard.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { axe, Console } from '../support/console.ts';
import { Fleet } from '../support/fleet.ts';
import { type Ca, type Credentials, Pki } from '../support/pki.ts';

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
      devices.set(name, await root.guideDevice(name));
      assert.equal(await fleet.arrive(devices.get(name)!), 'admission_pending');
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
    await page.getByRole('button', { name: 'Select all', exact: true }).click();
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
});
