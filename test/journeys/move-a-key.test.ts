// Keys move from the registry into a vault or an HSM, and back, while devices are provisioned: no issuance fails.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { askGateway, type Trusted } from '../../src/demo/device.ts';
import { eventually } from '../support/eventually.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import type { Image } from '../support/image.ts';
import { OpenBao, openbao } from '../support/openbao.ts';
import { needs } from '../support/require.ts';
import { needsSoftHsm, tokenHome } from '../support/softhsm.ts';
import { type VaultAccess, vaultAccess } from '../support/vault.ts';

const passphrase = 'a passphrase that is long enough';

describe('a key is moved', { skip: openbao() || needs('openssl', 'curl', 'unzip') }, () => {
  let bao: OpenBao;
  let access: VaultAccess;
  let fleetroot: Fleetroot;

  before(async () => {
    bao = await OpenBao.dev();
    access = await vaultAccess(bao);
    fleetroot = await Fleetroot.start({ options: access.options });
  });
  after(async () => {
    await fleetroot[Symbol.asyncDispose]();
    await bao[Symbol.asyncDispose]();
  });

  const move = (key: string, to: string, ...more: string[]) =>
    fleetroot.command('custody', 'move', key, '--to', to, '--yes', ...more);
  const show = (key: string) => fleetroot.json('custody', 'show', key);

  /** A test account, its image, and the key of one of its CAs. */
  async function open(account: string, kind = 'fleet_root_ca', state = 'active'): Promise<{ image: Image; key: any }> {
    await fleetroot.json('account', 'create', account);
    const keys = await fleetroot.json('custody', 'list', '--account', account);
    const key = keys.find(({ used_by }: any) => used_by.kind === kind && used_by.state === state);
    return { image: await fleetroot.image(account), key };
  }

  test('into a vault: it signs there, its copy here is gone, and it is never given out again', async () => {
    const { image, key } = await open('acme');
    const before = await image.boot('device-1');
    const moved = await move(key.public_key_sha256.toUpperCase(), 'vault');
    assert.equal(moved.code, 0, moved.stderr);
    assert.match(
      moved.stdout,
      new RegExp(`^The key ${key.id} lies in vault now, and signs there; its copy in software is`),
    );
    assert.match(moved.stderr, /^Backups made before hold it/);
    assert.ok((await access.keys()).some((name) => name.endsWith(key.id)));
    const { events, ...shown } = await show(key.id);
    assert.deepEqual(shown, { ...key, custodian: 'vault', exportable: false });
    assert.deepEqual(
      events.map(({ event, custodian }: any) => `${event} ${custodian}`),
      ['created software', 'moved vault'],
    );
    const device = await image.boot('device-2');
    for (const each of [before, device]) assert.equal((await each.whoAmI()).status, 200);

    for (const [what, words] of [
      ['move', ['custody', 'move', key.id, '--to', 'software', '--yes']],
      ['export', ['fleet-root', 'export', 'acme', 'generated', '-o', fleetroot.file('no.key'), '--yes']],
    ] as const) {
      fleetroot.typed.splice(0, Infinity, passphrase, passphrase);
      const { code, stderr } = await fleetroot.command(...words);
      assert.equal(code, 1, what);
      assert.match(
        stderr,
        /^error: Key .* was made in the custodian vault, or moved there, not to be given out, and cannot be made exportable/m,
      );
    }
    assert.equal((await fleetroot.command('custody', 'check')).code, 0);
    await fleetroot.json('account', 'delete', 'acme', '--yes');
    assert.ok(!(await access.keys()).some((name) => name.endsWith(key.id)));
  });

  test('into a vault and out again, where that was asked for', async () => {
    const { image, key } = await open('both-ways');
    assert.equal((await move(key.id, 'vault', '--exportable', 'yes')).code, 0);
    assert.equal((await show(key.id)).exportable, true);
    fleetroot.typed.splice(0, Infinity, passphrase, passphrase);
    const file = fleetroot.file('from-the-vault.key');
    const exported = await fleetroot.command('fleet-root', 'export', 'both-ways', 'generated', '-o', file, '--yes');
    assert.equal(exported.code, 0, exported.stderr);
    assert.match(await readFile(file, 'utf8'), /ENCRYPTED PRIVATE KEY/);
    const back = await move(key.id, 'software');
    assert.equal(back.code, 0, back.stderr);
    assert.equal(back.stderr, '');
    assert.ok(!(await access.keys()).some((name) => name.endsWith(key.id)));
    assert.equal((await (await image.boot('device-1')).whoAmI()).status, 200);
    // Software gives out what may be: that it came without the option counts from then on.
    assert.equal((await move(key.id, 'vault')).code, 1);
  });

  test('back and forth while 200 devices are provisioned: each has one good certificate', async () => {
    const { image, key } = await open('busy');
    const gateway: Trusted = {
      host: new URL(image.url).hostname,
      port: fleetroot.port,
      ca: await readFile(image.trusts),
    };
    const pfx = await readFile(join(image.dir, 'autoprov_credentials.p12'));
    const answered = new Set<string>();
    const provision = async (deviceId: string) => {
      const answer = await askGateway(gateway, { pfx }, 'POST', '/devices', JSON.stringify({ deviceId, ttl: '36000' }));
      answered.add(deviceId);
      return answer;
    };
    const answers = Array.from({ length: 200 }, (_, index) => provision(`device-${index}`));
    let moves = 0;
    while (answered.size < answers.length) {
      const { code, stderr } = await move(key.id, moves % 2 === 0 ? 'vault' : 'software', '--exportable', 'yes');
      assert.equal(code, 0, stderr);
      moves += 1;
    }
    assert.ok(moves >= 2, `${moves} moves`);
    for (const [index, { status, text, body }] of (await Promise.all(answers)).entries()) {
      assert.equal(status, 200, `device-${index}: ${text}`);
      const who = await askGateway(gateway, { pfx: body }, 'GET', '/device');
      assert.equal(who.json?.['device_id'], `device-${index}`, who.text);
    }
    const devices = await fleetroot.json('device', 'list', 'busy');
    assert.equal(devices.length, 200);
  });

  test('two moves at once: one is done, the other refused, and the key goes on signing', async () => {
    const { image, key } = await open('twice');
    const outcomes = await Promise.all([1, 2, 3, 4].map(() => move(key.id, 'vault', '--exportable', 'yes')));
    assert.equal(outcomes.filter(({ code }) => code === 0).length, 1);
    for (const { stderr } of outcomes.filter(({ code }) => code === 1)) {
      assert.match(stderr, /is being moved, erased or imported|is in the custodian vault already/);
    }
    assert.equal((await fleetroot.command('custody', 'check', key.id)).code, 0);
    assert.equal((await (await image.boot('device-1')).whoAmI()).status, 200);
  });

  test('the key of the standby gateway CA: the switch works from there, and strands nobody', async () => {
    const { image, key } = await open('gateway', 'gateway_ca', 'standby');
    const device = await image.boot('device-1');
    assert.equal((await move(key.id, 'vault')).code, 0);
    assert.match((await fleetroot.command('account', 'show', 'gateway')).stdout, /standby until .* key: vault\n/);
    assert.equal((await fleetroot.command('account', 'gateway-ca', 'switch', 'gateway', '--yes')).code, 0);
    assert.equal((await device.whoAmI()).status, 200);
    assert.equal((await (await image.boot('device-2')).whoAmI()).status, 200);
  });

  test('not to where there is none, nor to where it is, nor one that may not be given out', async () => {
    const { key } = await open('refused');
    await fleetroot.json('account', 'create', 'shut', '--exportable', 'no');
    const [shut] = await fleetroot.json('custody', 'list', '--account', 'shut');
    for (const [of, to, says] of [
      [key.id, 'cellar', /^error: There is no custodian cellar here: there are software, vault\.$/m],
      [key.id, 'software', /^error: Key .* is in the custodian software already\.$/m],
      ['nothing', 'vault', /^error: There is no key "nothing"\.$/m],
      [shut.id, 'vault', /^error: Key .* not to be given out, and cannot be made exportable later\.$/m],
    ] as const) {
      const { code, stderr } = await move(of, to);
      assert.equal(code, 1);
      assert.match(stderr, says);
    }
    assert.deepEqual((await show(key.id)).events.length, 1);
  });

  test('not while the vault lets nobody in: then the key stays where it is, and is used there', async () => {
    const { image, key } = await open('steady');
    await access.revoke();
    const { code, stderr } = await move(key.id, 'vault');
    assert.equal(code, 1);
    assert.match(stderr, /vault/);
    assert.equal((await show(key.id)).custodian, 'software');
    assert.equal((await (await image.boot('device-1')).whoAmI()).status, 200);
    await access.renew();
    await eventually(async () => (await fleetroot.command('custody', 'check')).code === 0);
    assert.equal((await move(key.id, 'vault')).code, 0);
    // From then on nobody signs with what was here, though it was used a moment ago.
    await access.revoke();
    const gateway: Trusted = {
      host: new URL(image.url).hostname,
      port: fleetroot.port,
      ca: await readFile(image.trusts),
    };
    const pfx = await readFile(join(image.dir, 'autoprov_credentials.p12'));
    const answer = await askGateway(gateway, { pfx }, 'POST', '/devices', JSON.stringify({ deviceId: 'device-2' }));
    assert.equal(answer.status, 503, answer.text);
    await access.renew();
  });
});

test('a key is moved into an HSM', { skip: needsSoftHsm() || needs('openssl', 'curl', 'unzip') }, async () => {
  await using token = tokenHome();
  await using fleetroot = await Fleetroot.start({
    options: {
      'pkcs11.module': token.settings.module,
      'pkcs11.token_label': token.label,
      'pkcs11.pin_file': token.pinFile,
    },
  });
  await fleetroot.json('account', 'create', 'acme');
  const image = await fleetroot.image('acme');
  for (const key of await fleetroot.json('custody', 'list')) {
    const { code, stderr } = await fleetroot.command('custody', 'move', key.id, '--to', 'pkcs11', '--yes');
    assert.equal(code, 0, stderr);
  }
  const kept = await fleetroot.json('custody', 'list', '--custodian', 'pkcs11');
  // Those of the account, and the server's own: its operators' CA and its audit log's key.
  assert.deepEqual([kept.length, kept.some((key: any) => key.exportable)], [6, false]);
  assert.equal((await fleetroot.command('audit', 'checkpoint')).code, 0);
  assert.equal((await (await image.boot('device-1')).whoAmI()).status, 200);
  assert.equal((await fleetroot.command('custody', 'check')).code, 0);
  assert.equal((await fleetroot.command('account', 'gateway-ca', 'switch', 'acme', '--yes')).code, 0);
  assert.equal((await (await image.boot('device-2')).whoAmI()).status, 200);

  // No HSM gives a key out: it says so, and the key stays where it was.
  const [fresh] = await fleetroot.json('custody', 'list', '--custodian', 'software');
  const asked = await fleetroot.command('custody', 'move', fresh.id, '--to', 'pkcs11', '--exportable', 'yes', '--yes');
  assert.equal(asked.code, 1);
  assert.equal((await fleetroot.json('custody', 'show', fresh.id)).custodian, 'software');
});
