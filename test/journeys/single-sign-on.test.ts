// Single sign-on told from both sides: people with browsers, a real provider, and whoever tries to be somebody else.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, afterEach, before, describe, test } from 'node:test';
import { Browser, type Page } from '../support/browser.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { clientId, clientSecret, IdentityProvider } from '../support/identity-provider.ts';

const minute = 60_000;

describe('single sign-on', () => {
  let now = Date.now();
  let provider: IdentityProvider;
  let server: Fleetroot;
  let base: string;
  let ca: string;

  before(async () => {
    provider = await IdentityProvider.open();
    server = await Fleetroot.start({
      clock: () => now,
      options: {
        'oidc.issuer': provider.issuer,
        'oidc.client_id': clientId,
        'oidc.role_map': {
          admins: 'administrator',
          'acme-owners': 'acme:owner',
          'acme-line': ['acme:factory', 'other:auditor'],
          nowhere: 'no-such-account:owner',
        },
      },
      prepare: async (dir) => {
        await writeFile(`${dir}/secret`, `${clientSecret}\n`, { mode: 0o600 });
        await writeFile(`${dir}/fleetroot.toml`, `[oidc]\nclient_secret_file = "${dir}/secret"\n`);
      },
    });
    await server.json('account', 'create', 'acme');
    await server.json('account', 'create', 'other');
    base = `https://localhost:${server.server.operatorPort}`;
    ca = await readFile(server.file('operator-ca.crt'), 'utf8');
    await provider.serve({ [clientId]: callback(), another: callback() });
    Object.assign(provider.people, {
      alice: { preferred_username: 'Alice@acme.example', email: 'alice@acme.example', groups: ['admins'] },
      bob: { preferred_username: 'bob', groups: ['acme-owners', 'unknown'] },
      carol: { preferred_username: 'carol', groups: 'acme-line' },
      dave: { preferred_username: 'dave', groups: ['unknown', 'nowhere'] },
    });
  });
  after(() => Promise.all([server[Symbol.asyncDispose](), provider[Symbol.asyncDispose]()]));
  afterEach(() => {
    provider.tamper = () => {};
  });

  const callback = (): string => `${base}/api/v1/session/sso/callback`;
  const isCallback = ({ href }: URL): boolean => href.startsWith(callback());

  async function signIn(person: string | null, browser = new Browser(ca)): Promise<Page> {
    provider.person = person;
    return browser.open(`${base}/api/v1/session/sso`);
  }
  /** As far as the address that the provider sends the browser back to. */
  async function goAndCome(person: string, browser: Browser): Promise<string> {
    provider.person = person;
    const { url } = await browser.open(`${base}/api/v1/session/sso`, isCallback);
    assert.ok(isCallback(url));
    return url.href;
  }
  async function whoIs(browser: Browser): Promise<any> {
    const { status, json } = await browser.open(`${base}/api/v1/session`);
    return status === 200 ? json : null;
  }
  const rolesIn = (who: any): Record<string, string> =>
    Object.fromEntries(who.roles.map(({ account_name, role }: any) => [account_name, role]));
  function assertRefused({ status, json }: Page, code: string, browser: Browser): void {
    assert.equal(json?.code, code);
    assert.ok(status >= 400);
    assert.ok([...browser.cookiesOf('localhost').keys()].every((name) => !name.endsWith('fleetroot')));
  }

  test('somebody whom the provider knows is let in, with the roles that their groups give', async () => {
    const browser = new Browser(ca);
    const page = await signIn('alice', browser);
    assert.deepEqual([page.status, page.type], [200, 'text/html; charset=utf-8']);
    const who = await whoIs(browser);
    assert.deepEqual(
      [who.kind, who.name, who.administrator, who.method],
      ['operator', 'alice@acme.example', true, 'single_sign_on'],
    );
    const carol = new Browser(ca);
    await signIn('carol', carol);
    assert.deepEqual(rolesIn(await whoIs(carol)), { acme: 'factory', other: 'auditor' });
    assert.equal((await carol.open(`${base}/api/v1/accounts/acme/devices`)).status, 200);
    assert.equal((await carol.open(`${base}/api/v1/accounts/acme`)).status, 403);
    assert.equal((await carol.open(`${base}/api/v1/operators`)).status, 403);
  });

  test('the roles are those of the last sign-in, and follow who comes again under another name', async () => {
    const [first, second] = [new Browser(ca), new Browser(ca)];
    await signIn('bob', first);
    const { id, name } = await whoIs(first);
    assert.deepEqual(rolesIn(await whoIs(first)), { acme: 'owner' });
    provider.people['bob'] = { preferred_username: 'robert', groups: ['acme-line'] };
    await signIn('bob', second);
    const again = await whoIs(second);
    assert.deepEqual([again.id, again.name], [id, name]);
    assert.deepEqual(rolesIn(again), { acme: 'factory', other: 'auditor' });
    assert.deepEqual(rolesIn(await whoIs(first)), rolesIn(again));
  });

  test('who has no role is told so, and who has none any more is out everywhere', async () => {
    const browser = new Browser(ca);
    const page = await signIn('dave', browser);
    assertRefused(page, 'forbidden', browser);
    assert.match(page.json.detail, /gives you no role on this server/);
    assert.equal(
      (await server.json('operator', 'list')).some(({ name }: any) => name === 'dave'),
      false,
    );

    provider.people['eve'] = { preferred_username: 'eve', groups: ['admins'] };
    const eve = new Browser(ca);
    await signIn('eve', eve);
    assert.equal((await whoIs(eve)).administrator, true);
    provider.people['eve'] = { preferred_username: 'eve', groups: [] };
    assert.equal((await signIn('eve')).json.code, 'forbidden');
    assert.equal(await whoIs(eve), null);
  });

  test('a name that is another operator’s is not taken over', async () => {
    const local = await server.json('operator', 'create', 'frank', '--administrator', '--invite');
    provider.people['f'] = { preferred_username: 'frank', email: 'frank@acme.example', groups: ['acme-owners'] };
    const browser = new Browser(ca);
    await signIn('f', browser);
    const who = await whoIs(browser);
    assert.deepEqual([who.name, who.administrator], ['frank@acme.example', false]);
    assert.notEqual(who.id, local.id);
    assert.equal((await server.command('operator', 'grant', 'frank@acme.example', 'other', 'owner')).code, 1);
    await server.json('operator', 'disable', 'frank@acme.example');
    assertRefused(await signIn('f'), 'forbidden', new Browser(ca));
  });

  test('who cancels at the provider is nobody here', async () => {
    const browser = new Browser(ca);
    const page = await signIn(null, browser);
    assertRefused(page, 'unauthenticated', browser);
    assert.match(page.json.detail, /access_denied/);
  });

  test('a way back that was begun in another browser opens nothing: nobody is signed in as somebody else', async () => {
    const [attacker, victim] = [new Browser(ca), new Browser(ca)];
    const link = await goAndCome('alice', attacker);
    assertRefused(await victim.open(link), 'unauthenticated', victim);
    const begun = new Browser(ca);
    await goAndCome('bob', begun);
    assertRefused(await begun.open(link), 'unauthenticated', begun);
    assert.equal((await attacker.open(link)).status, 200);
  });

  test('a state that is wrong, missing or doubled opens nothing', async () => {
    for (const change of [
      (query: URLSearchParams) => query.set('state', 'another'),
      (query: URLSearchParams) => query.delete('state'),
      (query: URLSearchParams) => query.append('state', query.get('state')!),
      (query: URLSearchParams) => query.delete('code'),
      (query: URLSearchParams) => query.set('code', 'another'),
      (query: URLSearchParams) => query.set('iss', 'https://another.example'),
    ]) {
      const browser = new Browser(ca);
      const link = new URL(await goAndCome('alice', browser));
      change(link.searchParams);
      assertRefused(await browser.open(link.href), 'unauthenticated', browser);
    }
  });

  test('one way back opens once', async () => {
    const browser = new Browser(ca);
    const link = await goAndCome('alice', browser);
    const cookies = [...browser.cookiesOf('localhost')];
    assert.equal((await browser.open(link)).status, 200);
    const thief = new Browser(ca);
    for (const [name, cookie] of cookies) thief.cookiesOf('localhost').set(name, cookie);
    assertRefused(await thief.open(link), 'unauthenticated', thief);
  });

  test('a code that was used already is refused by the provider, and so here', async () => {
    const [used, other] = [new Browser(ca), new Browser(ca)];
    const first = new URL(await goAndCome('alice', used));
    assert.equal((await used.open(first.href)).status, 200);
    const second = new URL(await goAndCome('bob', other));
    second.searchParams.set('code', first.searchParams.get('code')!);
    assertRefused(await other.open(second.href), 'unauthenticated', other);
  });

  test('who takes longer than a quarter of an hour begins again', async () => {
    const browser = new Browser(ca);
    const link = await goAndCome('alice', browser);
    now += 16 * minute;
    assertRefused(await browser.open(link), 'unauthenticated', browser);
    assert.equal((await signIn('alice', browser)).status, 200);
  });

  test('an ID token of another sign-in, of another client, or with a word changed is refused', async () => {
    await signIn('alice');
    const { id_token: earlier } = provider.answered[0]!;
    provider.tamper = (answer) => void (answer['id_token'] = earlier);
    const browser = new Browser(ca);
    assertRefused(await signIn('bob', browser), 'unauthenticated', browser);

    provider.tamper = (answer) => {
      const [head, payload, signature] = String(answer['id_token']).split('.');
      const claims = JSON.parse(Buffer.from(payload!, 'base64url').toString('utf8'));
      const changed = Buffer.from(JSON.stringify({ ...claims, groups: ['admins'] })).toString('base64url');
      answer['id_token'] = [head, changed, signature].join('.');
    };
    assertRefused(await signIn('bob', browser), 'unauthenticated', browser);

    provider.tamper = (answer) => void delete answer['id_token'];
    assertRefused(await signIn('bob', browser), 'unauthenticated', browser);
  });

  test('an ID token that was made for another client is refused, though everything else of it fits', async () => {
    const browser = new Browser(ca);
    provider.person = 'alice';
    const { url } = await browser.open(`${base}/api/v1/session/sso`, ({ href }) => href.startsWith(provider.issuer));
    // The same request, as another client makes it: its ID token has our nonce, and another audience.
    url.searchParams.set('client_id', 'another');
    const back = await browser.open(url.href, isCallback);
    assertRefused(await browser.open(back.url.href), 'unauthenticated', browser);
  });

  test('while the provider is away nobody is let in, and when it is back everybody is', async () => {
    const browser = new Browser(ca);
    const link = await goAndCome('alice', browser);
    provider.goAway('broken');
    const page = await browser.open(link);
    assertRefused(page, 'unavailable', browser);
    assert.equal(page.status, 503);
    assertRefused(await signIn('alice', browser), 'unavailable', browser);
    assert.equal((await server.json('account', 'list')).length, 2);
    await provider.serve({ [clientId]: callback() });
    assert.equal((await signIn('alice', browser)).status, 200);
  });
});

test('a server starts without its provider, and one that hangs makes nobody wait for long', async () => {
  await using provider = await IdentityProvider.open();
  provider.goAway('silent');
  const options = {
    'oidc.issuer': provider.issuer,
    'oidc.client_id': clientId,
    'oidc.role_map': { admins: 'administrator' },
    'oidc.timeout': '300ms',
  };
  await using server = await Fleetroot.start({ options });
  for (let times = 0; times < 2; times += 1) {
    const { status, json } = await new Browser('').open(
      `http://127.0.0.1:${server.server.operatorPort}/api/v1/session/sso`,
    );
    assert.deepEqual([status, json.code], [503, 'unavailable']);
  }
});

test('where everybody is to come by the provider, no password opens, and a server without one says so', async () => {
  await using provider = await IdentityProvider.open();
  const options = {
    'oidc.issuer': provider.issuer,
    'oidc.client_id': clientId,
    'oidc.role_map': { admins: 'administrator' },
    'oidc.only': true,
  };
  await using server = await Fleetroot.start({ options });
  const base = `http://127.0.0.1:${server.server.operatorPort}/api/v1`;
  const body = JSON.stringify({ name: 'anybody', password: 'any password at all' });
  const sent = { method: 'POST', headers: { 'content-type': 'application/json' }, body };
  const refused = await fetch(`${base}/session`, sent);
  assert.deepEqual([refused.status, ((await refused.json()) as any).code], [403, 'forbidden']);
  await using without = await Fleetroot.start();
  const none = await fetch(`http://127.0.0.1:${without.server.operatorPort}/api/v1/session/sso`);
  assert.deepEqual([none.status, ((await none.json()) as any).code], [404, 'not_found']);
});
