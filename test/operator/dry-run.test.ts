// Dry runs, of every route that takes one: each is answered with what the call would touch, and leaves nothing behind.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { CookieJar, goodPassword, makeOperator } from '../support/cookie-jar.ts';
import { eventually } from '../support/eventually.ts';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { operatorCall } from '../support/operator-call.ts';
import { Owner } from '../support/owner.ts';
import { type Ca, Pki } from '../support/pki.ts';
import { needs } from '../support/require.ts';
import { hearRoutes, type Route } from '../support/walk.ts';

/** How an operation is called. */
interface Call {
  /** What stands in the path, where it is not what the account itself has. */
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly body?: unknown;
  readonly file?: Uint8Array;
}

/** One's own sessions and second factors; and a node that is forgotten takes nothing from a fleet. */
const ofOperators = /\/(session|sessions|passkeys|nodes)\b/;

describe('a dry run', { skip: needs('openssl', 'curl', 'unzip'), timeout: 300_000 }, () => {
  const heard = hearRoutes();
  let fleetroot: Fleetroot;
  let pki: Pki;
  let root: Ca;
  let calls: Readonly<Record<string, Call>>;
  let paths: Readonly<Record<string, string>>;

  const takesDryRun = ({ schema }: Route): boolean => Object.hasOwn(schema['querystring']?.properties ?? {}, 'dry_run');
  const operationOf = (route: Route): string => {
    assert.ok(route.operationId, route.url);
    return route.operationId;
  };
  /** Each once: there are two listeners. */
  const routes = (): Route[] => [
    ...new Map(heard.routes.map((route) => [`${route.method} ${route.url}`, route])).values(),
  ];

  before(async () => {
    const options = { 'outbound.allow': ['127.0.0.1/32'] };
    [fleetroot, pki] = await Promise.all([Fleetroot.start({ options }), Pki.open()]);
    root = await pki.guideRoot('ours');
    const other = await pki.guideRoot('theirs');
    const fleet = await Fleet.openTest(fleetroot, 'dry', root, other);
    assert.equal(await fleet.arrive(await root.guideDevice('vin-1')), 'in');
    await fleet.set('--admission', 'approval');
    // Made and not refused: refusals are counted together, and written when nobody does anything.
    await fleet.image.boot('waits');
    await eventually(async () => (await fleet.device('show', 'vin-1')).last_seen !== null);
    await fleetroot.json('account', 'host', 'add', 'dry', 'dry.example');
    await fleetroot.json('account', 'file', 'set', 'dry', 'treehub.json', await pki.write('{}', '.json'));
    await fleetroot.json('upstream', 'set', 'dry', '/director', 'http://127.0.0.1:1');
    await fleetroot.json('allow-list', 'import', 'dry', await pki.write('vin-7\n', '.txt'));
    const [key] = await fleetroot.json('provisioning-key', 'list', 'dry');
    const { certificates } = await fleet.device('show', 'vin-1');
    const token = await fleetroot.json('token', 'create', 'dry', '--role', 'auditor', '--description', 'ci');
    await fleetroot.json('operator', 'create', 'bob', '--invite');
    await fleetroot.json('operator', 'grant', 'bob', 'dry', 'operator');
    // Of what does not happen here: a delivery under way would change the registry.
    const [url, quiet] = ['http://127.0.0.1:9/', 'certificate.expiring'];
    const webhook = await fleetroot.json('webhook', 'create', 'dry', '--to', url, '--type', quiet);
    const ofServer = await operatorCall(fleetroot.dir, 'POST', '/webhooks', { body: { url, types: [quiet] } });
    const owner = await Owner.open(pki);
    const owned = await Fleet.openOwned(fleetroot, 'owned', owner.publicKey, root);
    const document = await owner.draw(owned);
    const [bytes, signature] = [await readFile(document), await readFile(await owner.sign(document))];
    paths = {
      account: 'dry',
      host: 'dry.example',
      entry: 'treehub.json',
      id: key.id,
      ca: 'ours',
      device: 'vin-1',
      sha256: certificates[0].sha256,
      token: token.id,
      operator: 'bob',
      webhook: webhook.id,
    };
    const vin1 = { filter: { text: 'vin-1' } };
    calls = {
      rejectDevice: { path: { device: 'waits' } },
      updateAccount: { body: { admission: 'automatic' } },
      setFleetRootCaSuccessor: { body: { successor: 'theirs' } },
      updateFleetRootCa: { body: { admit: 'manifest' } },
      moveDeviceRoot: { body: { fleet_root_ca: 'theirs' } },
      removeAllowedDevices: { body: { device_ids: ['vin-7'] } },
      removeUpstream: { query: 'prefix=%2Fdirector' },
      distrustKey: { file: await readFile(root.certificate) },
      importAllowList: { file: Buffer.from('vin-8\n') },
      acceptTrustSet: {
        path: { account: 'owned' },
        body: { document: bytes.toString('base64'), signature: signature.toString('base64') },
      },
      deleteServerWebhook: { path: { webhook: ofServer.json.id } },
      changeServerWebhook: { path: { webhook: ofServer.json.id }, body: { state: 'disabled' } },
      changeWebhook: { body: { state: 'disabled' } },
      updateOperator: { body: { disabled: true } },
      grantAccountRole: { body: { role: 'auditor' } },
      setUpstreamPreset: { body: { preset: 'ota-community', base: 'http://{service}.example' } },
      suspendDevices: { body: vin1 },
      revokeDevices: { body: vin1 },
      resumeDevices: { body: vin1 },
    };
  });
  after(async () => {
    heard[Symbol.dispose]();
    await Promise.all([fleetroot[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]);
  });

  /** All that the registry has, but for what chaining and webhooks write while nobody does anything. */
  const everything = (): Record<string, unknown[]> => {
    using registry = new DatabaseSync(fleetroot.file('registry.db'), { readOnly: true });
    const tables = registry.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all() as { name: string }[];
    return Object.fromEntries(
      tables
        .filter(({ name }) => name !== 'audit_checkpoints')
        .map(({ name }) => {
          const rows = registry.prepare(`SELECT * FROM "${name}"`).all();
          if (name === 'audit_entries') return [name, rows.map(({ number: _, hash: __, ...row }) => row)];
          if (name === 'webhooks') return [name, rows.map(({ position: _, ...row }) => row)];
          return [name, rows];
        }),
    );
  };

  const ask = (route: Route, query: string) => {
    const { path = {}, query: own, body, file } = calls[operationOf(route)] ?? {};
    const url = route.url.replace('/api/v1', '').replaceAll(/:(\w+)/g, (_, name: string) => {
      const value = path[name] ?? paths[name];
      assert.ok(value, `${route.method} ${route.url} takes ${name}: say how to call it`);
      return encodeURIComponent(value);
    });
    const search = [own, query].filter((each) => each !== undefined).join('&');
    return operatorCall(fleetroot.dir, route.method, `${url}?${search}`, {
      ...(body !== undefined && { body }),
      ...(file !== undefined && { body: Buffer.from(file), type: 'application/octet-stream' }),
    });
  };

  test('is there for whatever takes something from a fleet', () => {
    const without = routes()
      .filter(({ method, url }) => method === 'DELETE' && !ofOperators.test(url))
      .filter((route) => !takesDryRun(route));
    assert.deepEqual(without, []);
    const operations = new Set(routes().filter(takesDryRun).map(operationOf));
    for (const operation of [
      ...['closeFleetRootCa', 'disableFleetRootCa', 'activateFleetRootCa', 'setFleetRootCaSuccessor', 'distrustKey'],
      'updateFleetRootCa',
      ...['disableProvisioningKey', 'updateAccount', 'deleteAccount', 'suspendDevice', 'revokeDevice', 'deleteDevice'],
      ...['rejectDevice', 'moveDeviceRoot', 'revokeCertificate', 'removeAllowedDevices', 'removeHost', 'removeFile'],
      ...['switchGatewayCa', 'eraseStandbyGatewayCaKey', 'removeUpstream', 'setUpstreamPreset', 'acceptTrustSet'],
      ...['deleteOperator', 'resetOperator', 'updateOperator', 'endSessionsOfOperator', 'grantAccountRole'],
      ...['withdrawAccountRole', 'revokeToken', 'deleteWebhook', 'changeWebhook'],
    ]) {
      assert.ok(operations.has(operation), operation);
    }
  });

  test('says what the call would touch, and leaves no row, no entry and no event', async () => {
    const before = everything();
    for (const route of routes().filter(takesDryRun)) {
      const what = `${route.method} ${route.url}`;
      const { status, json, text } = await ask(route, 'dry_run=true');
      assert.equal(status, 200, `${what}: ${text}`);
      assert.deepEqual(everything(), before, `${what} has changed something`);
      if (!Object.hasOwn(route.schema['querystring']?.properties ?? {}, 'confirm')) continue;
      assert.equal(json.action, operationOf(route), what);
      const { devices, seen_last_day, refused, by_rule, confirm, sample } = json;
      assert.ok(refused <= devices && seen_last_day <= devices && refused <= confirm, text);
      assert.equal(
        by_rule.reduce((sum: number, each: { devices: number }) => sum + each.devices, 0),
        refused,
        what,
      );
      assert.equal(sample.length, Math.min(devices, 10), what);
    }
  });

  test('of what ends no device names what ends', async () => {
    const ends = async (operation: string, query = '') => {
      const route = routes().find((each) => operationOf(each) === operation)!;
      const { status, json, text } = await ask(route, `dry_run=true${query}`);
      assert.equal(status, 200, text);
      return Object.fromEntries(
        json.other.map(({ what, sample }: { what: string; sample: string[] }) => [what, sample]),
      );
    };
    const role = 'operator of dry';
    assert.deepEqual(await ends('deleteOperator'), { operators: ['bob'], roles: [role] });
    assert.deepEqual(await ends('withdrawAccountRole'), { roles: [`${role}: bob`] });
    assert.deepEqual(await ends('grantAccountRole'), { roles: [`${role}: bob`] });
    assert.deepEqual(await ends('revokeToken'), { tokens: ['ci'] });
    assert.deepEqual(await ends('changeWebhook'), { webhooks: ['http://127.0.0.1:9/'] });
    assert.deepEqual(await ends('setUpstreamPreset'), { back_ends: ['/director to http://127.0.0.1:1'] });
    await makeOperator(fleetroot, 'carol', '--administrator');
    paths = { ...paths, operator: 'carol' };
    calls = { ...calls, updateOperator: { body: { administrator: false, disabled: true } } };
    assert.equal((await new CookieJar(fleetroot).signIn('carol', goodPassword)).status, 200);
    // There is no other administrator with a login.
    const last = await ask(
      routes().find((each) => operationOf(each) === 'updateOperator')!,
      'dry_run=true',
    );
    assert.deepEqual([last.status, last.json.code], [409, 'conflict']);
    await makeOperator(fleetroot, 'dave', '--administrator');
    const [session] = (await ends('endSessionsOfOperator'))['sessions'];
    assert.deepEqual(await ends('updateOperator'), { administrators: ['carol'], sessions: [session] });
    assert.deepEqual(await ends('resetOperator'), { passwords: ['password'], sessions: [session] });
  });

  test('of a call that has none is refused, and the call is not made', async () => {
    const before = everything();
    for (const [method, path] of [
      ['POST', '/accounts/dry/devices/waits/approve'],
      ['POST', '/accounts'],
      ['GET', '/accounts/dry'],
    ] as const) {
      const body = path === '/accounts' ? { body: { name: 'never' } } : {};
      const { status, json } = await operatorCall(fleetroot.dir, method, `${path}?dry_run=true`, body);
      assert.deepEqual([status, json.code], [400, 'invalid_request'], path);
    }
    // That it was tried is in the audit log.
    const untold = ({ audit_entries: _, sqlite_sequence: __, ...rest }: Record<string, unknown[]>) => rest;
    assert.deepEqual(untold(everything()), untold(before));
  });

  test('takes no value that is none', async () => {
    const disable = '/accounts/dry/fleet-root-cas/ours/disable';
    for (const query of ['dry_run=maybe', 'confirm=-1', 'confirm=all', 'dry_run=true&x=1']) {
      const { status, json } = await operatorCall(fleetroot.dir, 'POST', `${disable}?${query}`);
      assert.deepEqual([status, json.code], [400, 'invalid_request'], query);
    }
    const { status } = await operatorCall(fleetroot.dir, 'POST', `${disable}?dry_run=false`);
    assert.equal(status, 409, 'what is no dry run is the call, which needs its number');
  });
});
