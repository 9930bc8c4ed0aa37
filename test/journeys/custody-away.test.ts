// The keys' custodian is away, in every way that it can be: devices go on, newcomers are told to wait, nothing is left half done.

import assert from 'node:assert/strict';
import { rm, symlink, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';
import type { ConfigOptions } from '../../src/config.ts';
import { eventually } from '../support/eventually.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import type { Device, Image } from '../support/image.ts';
import { OpenBao, openbao } from '../support/openbao.ts';
import { needs } from '../support/require.ts';
import { needsSoftHsm, type TokenHome, tokenHome } from '../support/softhsm.ts';
import { type VaultAccess, vaultAccess } from '../support/vault.ts';

/** Where the keys are, and how that goes away and comes back. */
interface Place extends AsyncDisposable {
  readonly custodian: 'vault' | 'pkcs11';
  readonly options: ConfigOptions;
  /** What an operator is told of it. */
  readonly where: RegExp;
  /** What a device is to be told nothing of. */
  readonly secrets: readonly string[];
  /** How many keys are there. */
  keys(): Promise<number>;
}

interface Way<P extends Place> {
  readonly name: string;
  readonly fault: string;
  /** Whether it shows only at the next start: what was open before stays so. */
  readonly atStart?: boolean;
  leave(place: P): unknown;
  comeBack(place: P): unknown;
}

type VaultPlace = Place & { readonly bao: OpenBao; readonly access: VaultAccess };
type TokenPlace = Place & { readonly token: TokenHome; readonly module: string };

async function vaultPlace(): Promise<VaultPlace> {
  const bao = await OpenBao.server();
  const access = await vaultAccess(bao);
  return {
    custodian: 'vault',
    options: access.options,
    where: new RegExp(RegExp.escape(bao.address)),
    secrets: [bao.address, String(bao.port), 'transit', 'vault'],
    keys: async () => (await access.keys()).length,
    bao,
    access,
    [Symbol.asyncDispose]: () => bao[Symbol.asyncDispose](),
  };
}

/** The module by a name of the test's own, so that it can go away. */
async function tokenPlace(): Promise<TokenPlace> {
  const token = tokenHome();
  const module = `${token.pinFile}.so`;
  await symlink(token.settings.module, module);
  const { tokenLabel, pinFile } = token.settings;
  return {
    custodian: 'pkcs11',
    options: { 'pkcs11.module': module, 'pkcs11.token_label': tokenLabel!, 'pkcs11.pin_file': pinFile! },
    where: new RegExp([token.label, module, token.pinFile].map(RegExp.escape).join('|')),
    secrets: [token.label, module, token.pinFile, token.pin],
    keys: async () =>
      token.tool('--login', '--pin', token.pin, '--list-objects', '--type', 'privkey').split('Private Key').length - 1,
    token,
    module,
    async [Symbol.asyncDispose]() {
      await rm(module, { force: true });
      await token[Symbol.asyncDispose]();
    },
  };
}

const waysOfVault: readonly Way<VaultPlace>[] = [
  { name: 'is sealed', fault: 'sealed', leave: ({ bao }) => bao.seal(), comeBack: ({ bao }) => bao.unseal() },
  {
    name: 'is down, and sealed when it is up again',
    fault: 'unavailable',
    leave: ({ bao }) => bao.kill(),
    comeBack: async ({ bao }) => {
      await bao.start();
      await bao.unseal();
    },
  },
  {
    name: 'hangs: connections are accepted and nothing answers',
    fault: 'unavailable',
    leave: ({ bao }) => bao.hang(),
    comeBack: ({ bao }) => bao.resume(),
  },
  {
    name: 'has revoked our token',
    fault: 'denied',
    leave: ({ access }) => access.revoke(),
    comeBack: ({ access }) => access.renew(),
  },
];

const waysOfToken: readonly Way<TokenPlace>[] = [
  {
    name: 'token is taken away',
    fault: 'unavailable',
    leave: ({ token }) => token.takeAway(),
    comeBack: ({ token }) => token.bringBack(),
  },
  {
    name: 'PIN is another than we have',
    fault: 'denied',
    atStart: true,
    leave: ({ token }) => writeFile(token.pinFile, 'not-the-pin\n'),
    comeBack: ({ token }) => writeFile(token.pinFile, `${token.pin}\n`),
  },
  {
    name: 'PIN file is not there',
    fault: 'denied',
    atStart: true,
    leave: ({ token }) => rm(token.pinFile),
    comeBack: ({ token }) => writeFile(token.pinFile, `${token.pin}\n`, { mode: 0o600 }),
  },
  {
    name: 'module is not there',
    fault: 'unavailable',
    atStart: true,
    leave: ({ module }) => rm(module),
    comeBack: ({ module, token }) => symlink(token.settings.module, module),
  },
];

/** What `/readyz` says. */
async function readiness(fleetroot: Fleetroot): Promise<{ status: number; body: any }> {
  const response = await fetch(`http://127.0.0.1:${fleetroot.server.operatorPort}/readyz`);
  return { status: response.status, body: await response.json() };
}

const isWell = (fleetroot: Fleetroot) => eventually(async () => (await readiness(fleetroot)).body.status === 'ready');

async function isAway(fleetroot: Fleetroot, custodian: string, expected: string): Promise<any> {
  const { status, body } = await eventually(async () => {
    const answer = await readiness(fleetroot);
    return answer.body.status === 'degraded' && answer;
  });
  assert.equal(status, 200, 'a balancer leaves the node in: its devices are served');
  const [{ part, custodian: named, fault, reason, since }, ...others] = body.faults;
  assert.deepEqual([part, named, fault, others], ['custody', custodian, expected, []], reason);
  assert.ok(Math.abs(Date.parse(since) - Date.now()) < 60_000);
  return body.faults[0];
}

/** Looks into the registry, or makes it what a killed server may leave. */
function withRegistry<T>(fleetroot: Fleetroot, act: (registry: DatabaseSync) => T): T {
  using registry = new DatabaseSync(fleetroot.file('registry.db'), { timeout: 10_000 });
  return act(registry);
}

/** Whatever an operator sees of accounts, devices, hosts, keys and uses, and the certificates recorded: as it is now. */
async function state(fleetroot: Fleetroot): Promise<unknown> {
  const all = (query: string) => withRegistry(fleetroot, (registry) => registry.prepare(query).all());
  return {
    accounts: await fleetroot.json('account', 'list'),
    devices: (await fleetroot.json('device', 'list', 'acme')).map(({ device_id }: any) => device_id),
    keys: await fleetroot.json('provisioning-key', 'list', 'acme'),
    certificates: all('SELECT tbs_sha256, state FROM certificates ORDER BY tbs_sha256'),
    held: all('SELECT id FROM keys WHERE remembered IS NOT NULL ORDER BY id'),
  };
}

/** A newcomer is told to wait, and nothing of where the keys are. */
async function isToldToWait(image: Image, secrets: readonly string[]): Promise<void> {
  const { status, headers, body, json } = await image.provision('newcomer');
  assert.deepEqual([status, json?.code], [503, 'custody_unavailable'], body.toString());
  assert.match(headers.get('retry-after') ?? '', /^\d+$/);
  for (const secret of secrets) assert.ok(!body.includes(secret), `${secret} is told to a device`);
}

const isServed = async (device: Device) => assert.equal((await device.whoAmI()).status, 200);

/** Everything that needs the custodian fails, clearly, and leaves nothing behind. */
async function nothingIsHalfMade(fleetroot: Fleetroot, reason: string): Promise<void> {
  const before = await state(fleetroot);
  const zip = fleetroot.file('never.zip');
  for (const words of [
    ['account', 'create', 'late'],
    ['account', 'create', 'late', '--kind', 'production'],
    ['credentials', 'create', 'acme', '-o', zip],
    ['account', 'host', 'add', 'acme', 'late.acme.example'],
    ['account', 'host', 'remove', 'acme', 'early.acme.example'],
    ['account', 'gateway-ca', 'switch', 'acme', '--yes'],
  ]) {
    const { code, stderr } = await fleetroot.command(...words);
    assert.equal(code, 1, words.join(' '));
    assert.ok(stderr.includes(`error: ${reason}`), `${words.join(' ')}: ${stderr}`);
  }
  assert.deepEqual(await state(fleetroot), before);
}

async function tell<P extends Place>(place: P, { fault, atStart = false, leave, comeBack }: Way<P>): Promise<void> {
  const { custodian, options, where, secrets } = place;
  await using fleetroot = await Fleetroot.start({
    options: { ...options, 'custody.default': custodian, 'custody.timeout': '2s' },
  });
  await fleetroot.json('account', 'create', 'acme');
  await fleetroot.json('account', 'host', 'add', 'acme', 'early.acme.example');
  await fleetroot.json('account', 'create', 'doomed');
  const image = await fleetroot.image('acme');
  const device = await image.boot('early-bird');

  const isLeft = async () => {
    await isToldToWait(image, secrets);
    const { reason } = await isAway(fleetroot, custodian, fault);
    assert.match(reason, where);
    await isServed(device);
    const before = await state(fleetroot);
    await Promise.all(Array.from({ length: 20 }, () => isToldToWait(image, secrets)));
    await nothingIsHalfMade(fleetroot, reason);
    assert.deepEqual(await state(fleetroot), before);
  };
  await leave(place);
  if (!atStart) await isLeft();
  await fleetroot.restart();
  await isServed(device);
  await isLeft();
  await fleetroot.json('account', 'delete', 'doomed', '--yes');
  await isServed(device);

  await comeBack(place);
  await isWell(fleetroot);
  await isServed(await image.boot('newcomer'));
  await isServed(device);
  const [{ uses }] = await fleetroot.json('provisioning-key', 'list', 'acme');
  assert.equal(uses, 2);
  // The account's four, and the server's own two: the operators' CA and the audit log's.
  await eventually(async () => (await place.keys()) === 6);
  await fleetroot.json('account', 'create', 'late');
}

describe('custody is away', { skip: needs('openssl', 'curl', 'unzip') }, () => {
  describe('in OpenBao', { skip: openbao() }, () => {
    for (const way of waysOfVault) {
      test(`the vault ${way.name}`, async () => {
        await using place = await vaultPlace();
        await tell(place, way);
      });
    }

    // Were each account to wait for the vault, the start alone would take longer.
    test('the vault hangs at the start of a server that has gateways to complete', { timeout: 90_000 }, async () => {
      await using place = await vaultPlace();
      await using fleetroot = await Fleetroot.start({
        options: { ...place.options, 'custody.default': 'vault', 'custody.timeout': '10s' },
      });
      const accounts = Array.from({ length: 10 }, (_, index) => `account-${index}`);
      await Promise.all(accounts.map((name) => fleetroot.json('account', 'create', name)));
      const image = await fleetroot.image('account-0');
      withRegistry(fleetroot, (registry) => {
        registry.exec('DELETE FROM gateway_certificates; UPDATE accounts SET gateway_incomplete = 1');
      });

      place.bao.hang();
      await fleetroot.restart();
      await isAway(fleetroot, 'vault', 'unavailable');
      place.bao.resume();
      await isWell(fleetroot);
      await eventually(() =>
        withRegistry(fleetroot, (registry) => {
          return registry.prepare('SELECT id FROM gateway_certificates').all().length === accounts.length;
        }),
      );
      await isServed(await image.boot('late'));
    });
  });

  describe('in SoftHSM', { skip: needsSoftHsm() }, () => {
    for (const way of waysOfToken) {
      test(`the ${way.name}`, async () => {
        await using place = await tokenPlace();
        await tell(place, way);
      });
    }
  });
});
