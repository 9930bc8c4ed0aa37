// The overview of an account, watched by its operators while real devices come, are turned away, and the stream is cut.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Locator, Page } from 'playwright-core';
import { axe, Console } from '../support/console.ts';
import { makeOperator } from '../support/cookie-jar.ts';
import { eventually } from '../support/eventually.ts';
import { Fleet } from '../support/fleet.ts';
import { Pki } from '../support/pki.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

/** A number of the overview, by what it counts. */
const figure = (page: Page, label: string): Locator => page.locator('.figure').filter({ hasText: label });
const happened = (page: Page, sentence: string): Locator => page.getByRole('log').getByText(sentence, { exact: true });
const sign = (page: Page, is: 'live' | 'cut' | 'paused'): Locator => page.locator(`[data-live=${is}]`);

const total = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);

describe('the overview', () => {
  let console: Console;
  let pki: Pki;
  let fleet: Fleet;

  before(async () => {
    [console, pki] = await Promise.all([Console.open(), Pki.open()]);
    const { server } = console;
    fleet = await Fleet.openTest(server, 'acme', await pki.guideRoot('ours'));
    for (const [name, role] of [
      ['olga@acme.example', 'operator'],
      ['fred@acme.example', 'factory'],
    ] as const) {
      await makeOperator(server, name);
      await server.json('operator', 'grant', name, 'acme', role);
    }
  });
  after(async () => {
    await Promise.all([console[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]);
  });

  /** The overview of the account, live, in a browser of somebody's own. */
  async function watch(options: Parameters<Console['page']>[1] = {}): Promise<Page & Disposable> {
    const page = await console.page('/accounts/acme', options);
    await sign(page, 'live').waitFor();
    return Object.assign(page, { [Symbol.dispose]: () => void page.context().close() });
  }

  test('an account that no device has come to teaches how the first one does', async () => {
    using page = await watch();
    await page.getByText('No device has come yet').waitFor();
    await page.getByText('Nobody was turned away.').waitFor();
    assert.deepEqual(await axe(page), []);
    await page.getByRole('link', { name: 'Bring in the first device' }).click();
    await page.waitForURL('**/welcome/acme');
  });

  test('two people watch: a device that boots is there for both, counted and told of, without a reload', async () => {
    using alice = await watch();
    using olga = await watch({ name: 'olga@acme.example' });
    const device = await fleet.image.boot('vin-1');
    for (const page of [alice, olga]) {
      await happened(page, 'vin-1 came for the first time').waitFor();
      await figure(page, 'all devices').getByText('1', { exact: true }).waitFor();
      await figure(page, 'never connected').getByText('1', { exact: true }).waitFor();
    }
    assert.equal((await device.whoAmI()).status, 200);
    await fleet.device('suspend', 'vin-1');
    for (const page of [alice, olga]) await happened(page, 'vin-1 is suspended now; it was active').waitFor();
    await fleet.device('resume', 'vin-1');
    await figure(olga, 'Online now').getByText('1', { exact: true }).waitFor();
  });

  test('a stranger is turned away: the rule is there with its number, and leads to the refusals of that rule', async () => {
    using page = await watch({ name: 'olga@acme.example' });
    const stranger = await pki.guideRoot('nobody-we-know');
    assert.equal((await fleet.connect(await stranger.guideDevice('pump-1'))).status, 403);
    const rules = page.locator('section').filter({ has: page.getByRole('heading', { name: 'Refusals by rule' }) });
    const rule = rules.getByRole('listitem').first();
    await rule.getByText('1', { exact: true }).waitFor();
    await rule.getByRole('link').click();
    await page.waitForURL('**/accounts/acme/refusals?code=*&within=day');
  });

  test('the numbers lead to their lists', async () => {
    using page = await watch();
    for (const [label, address] of [
      ['all devices', '/accounts/acme/devices'],
      ['pending', '/accounts/acme/devices?state=pending'],
      ['never connected', '/accounts/acme/devices?never_seen=true'],
      ['Online now', '/accounts/acme/devices?last_seen_after='],
    ] as const) {
      const href = await figure(page, label).getAttribute('href');
      assert.ok(href === address || (address.endsWith('=') && href?.startsWith(address)), `${label}: ${href}`);
    }
    await figure(page, 'active').click();
    await page.waitForURL('**/accounts/acme/devices?state=active');
  });

  test('what came is drawn by minutes, hours or days, and shown as a table to who wants to read it', async () => {
    using page = await watch();
    await page.getByRole('figure', { name: /^The last hour, by the minute: 1 device that came, 1 refusal$/ }).waitFor();
    await page.locator('.chart canvas').waitFor();
    const answer = await page.request.get('/api/v1/accounts/acme/activity?step=hour&buckets=3');
    const { buckets } = (await answer.json()) as { buckets: { at: string; added: number; refused: number }[] };
    assert.deepEqual(
      [buckets.length, total(buckets.map(({ added }) => added)), total(buckets.map(({ refused }) => refused))],
      [3, 1, 1],
    );
    assert.ok(buckets.every(({ at }) => at.endsWith(':00:00.000Z')));
    await page.getByText('Days', { exact: true }).click();
    await page.waitForURL('**/accounts/acme?step=day');
    await page
      .getByRole('figure', { name: /^The last 30 days, by the day of UTC: 1 device that came, 1 refusal$/ })
      .waitFor();
    await page.getByRole('button', { name: 'Show as a table' }).click();
    const table = page.getByRole('region', { name: /^The last 30 days/ });
    const counts = await Promise.all([2, 3].map((column) => table.locator(`td:nth-child(${column})`).allInnerTexts()));
    assert.deepEqual(
      counts.map((column) => [column.length, total(column.map(Number))]),
      [
        [30, 1],
        [30, 1],
      ],
    );
    assert.deepEqual(await axe(page), []);
    // Who came that day: by the table's link, and by a click on the bar.
    const led = () => page.waitForURL(/\/devices\?first_seen_after=.*T00%3A00%3A00\.000Z&first_seen_before=/);
    await table.getByRole('link', { name: /^Devices that came, .*: 1$/ }).click();
    await led();
    await page.getByText('vin-1', { exact: true }).waitFor();
    await page.goBack();
    const bars = page.locator('.chart .u-over');
    // There is none while it is drawn anew.
    const { x, y, width } = await eventually(() => bars.boundingBox());
    await page.mouse.click(x + width - 2, y + 100);
    await led();
    await page.getByText('vin-1', { exact: true }).waitFor();
  });

  test('the stream is cut and says so; once it is back, what happened meanwhile is there', async () => {
    await using proxy = await TcpProxy.to(console.server.server.operatorPort);
    using page = await watch({ baseURL: `http://localhost:${proxy.port}` });
    proxy.cut();
    await sign(page, 'cut').waitFor();
    await fleet.image.boot('vin-2');
    proxy.resume();
    await sign(page, 'live').waitFor();
    await happened(page, 'vin-2 came for the first time').waitFor();
    await figure(page, 'all devices').getByText('2', { exact: true }).waitFor();
  });

  test('what changes by itself is paused, and asked for again when it goes on', async () => {
    using alice = await watch();
    using olga = await watch({ name: 'olga@acme.example' });
    await happened(alice, 'vin-2 came for the first time').waitFor();
    await sign(alice, 'live').click();
    await sign(alice, 'paused').waitFor();
    assert.deepEqual(await axe(alice), []);
    await fleet.device('suspend', 'vin-2');
    const sentence = 'vin-2 is suspended now; it was active';
    await happened(olga, sentence).waitFor();
    await figure(olga, 'suspended').getByText('1', { exact: true }).waitFor();
    assert.equal(await happened(alice, sentence).count(), 0);
    assert.equal(await figure(alice, 'suspended').getByText('0', { exact: true }).count(), 1);
    // It stays so from page to page.
    await alice.getByRole('link', { name: 'Devices', exact: true }).click();
    await sign(alice, 'paused').waitFor();
    await alice.goBack();
    await sign(alice, 'paused').press('Enter');
    await sign(alice, 'live').waitFor();
    await happened(alice, sentence).waitFor();
    await figure(alice, 'suspended').getByText('1', { exact: true }).waitFor();
  });

  test("the server's pages are live too: the audit log tells of what has come to it", async () => {
    const page = await console.page('/server/audit');
    await sign(page, 'live').waitFor();
    await page.getByRole('heading', { name: 'Audit log of the server', level: 1 }).waitFor();
    await page
      .getByRole('row', { name: /device\.suspend/ })
      .first()
      .waitFor();
    await fleet.device('resume', 'vin-2');
    await page.getByText(/\d new entr/).waitFor();
    await page.getByRole('button', { name: 'Show what is new' }).click();
    await page.getByRole('row', { name: /device\.resume.*vin-2/ }).waitFor();
    assert.equal(await page.title(), 'Audit log of the server · Fleetroot');
    // A button whose call is under way has the focus again afterwards.
    const again = page.getByRole('button', { name: 'Look again' });
    await page.route('/api/v1/audit?*', (route) => setTimeout(() => void route.continue(), 200));
    await again.press('Enter');
    await eventually(async () => (await again.getAttribute('data-loading')) !== null);
    await eventually(async () => (await again.getAttribute('data-loading')) === null);
    await eventually(async () => (await again.and(page.locator(':focus')).count()) === 1);
    await page.context().close();
  });

  test('on a narrow screen the menu opens, leads on and closes by keyboard, and hides no focus', async () => {
    using page = await watch({ viewport: { width: 360, height: 740 } });
    const focused = (script: string): Promise<unknown> => page.evaluate(`document.activeElement${script}`);
    const menu = page.getByRole('button', { name: 'Menu', exact: true });
    await menu.focus();
    for (let times = 0; times < 6; times++) {
      await page.keyboard.press('Tab');
      assert.equal(await focused('?.closest("nav")'), null);
    }
    await menu.press('Enter');
    const devices = page.getByRole('link', { name: 'Devices', exact: true });
    await devices.focus();
    assert.deepEqual(await axe(page), []);
    await page.keyboard.press('Escape');
    assert.equal(await focused('?.ariaLabel'), 'Menu');
    assert.equal(await menu.getAttribute('aria-expanded'), 'false');
    await page.keyboard.press('Enter');
    await devices.press('Enter');
    await page.waitForURL('**/accounts/acme/devices');
    await page.getByRole('heading', { name: 'Devices', level: 1 }).waitFor();
    assert.equal(await page.title(), 'Devices · acme · Fleetroot');
    await eventually(async () => (await focused('?.tagName')) === 'H1');
    assert.equal(await menu.getAttribute('aria-expanded'), 'false');
  });

  test('provisioning keys that run out are there, and what is amiss with the server', async () => {
    const image = await console.server.image('acme', '--description', 'Line 3', '--max-uses', '1');
    using page = await watch();
    await page.getByText('Database: all is well').waitFor();
    await image.boot('vin-3');
    await happened(page, 'The provisioning key Line 3 is used up').waitFor();
    await page.getByText('0 of 1 use left').waitFor();
    const fault = { part: 'database', reason: 'It does not answer.', since: new Date().toISOString() };
    await page.route('/readyz', (route) => route.fulfill({ json: { status: 'degraded', faults: [fault] } }));
    await page.reload();
    await page.getByText('Database: It does not answer.').waitFor();
  });

  test("the factory's people see the devices, and nothing of what they may not see", async () => {
    const page = await console.page('/accounts/acme', { name: 'fred@acme.example' });
    await figure(page, 'all devices').getByText('3', { exact: true }).waitFor();
    await page.getByText('Keys in custody: all is well').waitFor();
    for (const heading of ['Refusals by rule', 'Devices that came', 'Provisioning keys running out', 'What happens']) {
      assert.equal(await page.getByRole('heading', { name: heading }).count(), 0, heading);
    }
    assert.deepEqual(await axe(page), []);
    await page.context().close();
  });

  test('a custodian that cannot be reached is told of, and then that the server does not serve devices', async () => {
    await using amiss = await Console.open({
      options: { 'vault.address': 'http://127.0.0.1:9', 'vault.token_variable': 'HOME' },
    });
    await amiss.server.json('account', 'create', 'acme');
    const page = await amiss.page('/accounts/acme');
    await page.getByText(/^Keys in custody · vault: .*127\.0\.0\.1:9/).waitFor();
    await amiss.server.server.drain();
    await page.reload();
    await page.getByText('The server does not serve devices: The server is ending.').waitFor();
    await page.getByRole('link', { name: 'The server does not serve devices' }).click();
    await page.waitForURL('**/server/custody');
    await page.getByText('The server is ending.').waitFor();
  });
});
