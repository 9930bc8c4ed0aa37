// Logging in to a vault: a token, AppRole, a TLS certificate; what is renewed, what is lost and found again.

import assert from 'node:assert/strict';
import { chmod, copyFile, mkdir, readFile, rmdir, stat } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';

import type { CustodyFault, CustodyProblem } from '../../src/custody/custodian.ts';
import { eventually } from '../support/eventually.ts';
import { openbao, OpenBao } from '../support/openbao.ts';
import { byToken, newKey, signSomething, vaultOf, writeSecret } from '../support/vault-custodian.ts';

const faulty = (fault: CustodyFault, message = /./) => ({ name: 'Problem', fault, message });

const transitPolicy = 'path "transit/*" { capabilities = ["create", "update", "read", "delete"] }';

describe('the login to a vault', { skip: openbao() }, () => {
  let bao: OpenBao;
  let files = 0;

  before(async () => {
    bao = await OpenBao.server();
    await bao.transit();
    await bao.policy('transit', transitPolicy);
  });

  after(() => bao[Symbol.asyncDispose]());

  const newFile = () => {
    files += 1;
    return bao.file(`secret-${files}`);
  };

  /** The accessors of all tokens that there are. */
  async function tokens(): Promise<string[]> {
    return (await bao.api('LIST', 'auth/token/accessors')).data.keys;
  }

  /** The accessors of the tokens that were made since. */
  async function tokensBeside(before: readonly string[]): Promise<string[]> {
    return (await tokens()).filter((accessor) => !before.includes(accessor));
  }

  async function lookUp(accessor: string): Promise<{ expire_time: string; issue_time: string; ttl: number }> {
    return (await bao.api('POST', 'auth/token/lookup-accessor', { body: { accessor } })).data;
  }

  /** Waits until this token is to live longer than it was to after the login: it has been renewed. */
  async function wasRenewed(accessor: string, seconds: number): Promise<void> {
    await eventually(async () => {
      const { expire_time, issue_time } = await lookUp(accessor);
      return Date.parse(expire_time) - Date.parse(issue_time) > 1.3 * seconds * 1000;
    });
  }

  async function revokeAll(accessors: readonly string[]): Promise<void> {
    for (const accessor of accessors) await bao.api('POST', 'auth/token/revoke-accessor', { body: { accessor } });
  }

  async function appRole(options: { ttl?: string; maxTtl?: string } = {}) {
    files += 1;
    return bao.appRole(`role-${files}`, { policies: ['transit'], ...options });
  }

  const byAppRole = (roleId: string, secretIdFile: string) =>
    ({ by: 'approle', roleId, secretIdFile, mount: 'approle' }) as const;

  describe('by a token', () => {
    test('in a file, where a sidecar may put another one at any time', async () => {
      const token = await bao.token({ ttl: '1h' });
      const file = await writeSecret(newFile(), token);
      await using custodian = vaultOf(bao, { login: { by: 'token', file } });
      const key = await newKey(custodian);

      await bao.revoke(token);
      await assert.rejects(signSomething(custodian, key), faulty('denied', new RegExp(file)));
      await writeSecret(file, await bao.token({ ttl: '1h' }));
      await signSomething(custodian, key);
    });

    test('in a variable', async () => {
      await using custodian = vaultOf(bao, { login: byToken(await bao.token({ ttl: '1h' })) });
      await custodian.check();
      await using without = vaultOf(bao, { login: { by: 'token', variable: 'FLEETROOT_TEST_NOT_THERE' } });
      await assert.rejects(without.check(), faulty('denied', /FLEETROOT_TEST_NOT_THERE/));
    });

    test('that cannot be renewed', async () => {
      await using custodian = vaultOf(bao, { login: byToken(await bao.token({ ttl: '1h', renewable: false })) });
      await custodian.check();
    });

    test('which is renewed before it ends', async () => {
      const known = await tokens();
      await using custodian = vaultOf(bao, { login: byToken(await bao.token({ ttl: '4s' })) });
      await custodian.check();
      const [accessor] = await tokensBeside(known);
      await wasRenewed(accessor!, 4);
      await custodian.check();
    });

    test('that is missing, empty, or open to everybody: told with the file, and looked for again', async () => {
      const file = newFile();
      await using custodian = vaultOf(bao, { login: { by: 'token', file } });
      await assert.rejects(custodian.check(), faulty('denied', new RegExp(`ENOENT.*${file}`)));
      await writeSecret(file, ' ');
      await assert.rejects(custodian.check(), faulty('denied', new RegExp(file)));
      await writeSecret(file, bao.rootToken);
      await chmod(file, 0o644);
      await assert.rejects(custodian.check(), faulty('denied', /mode 644/));
      await chmod(file, 0o640);
      await custodian.check();
    });

    test('that is none, by the looks of the file: told with the file and without what is in it', async () => {
      const file = newFile();
      await using custodian = vaultOf(bao, { login: { by: 'token', file } });
      for (const text of ['hvs.one\nhvs.two', 'hvs.one two', 'hvs.\u00e9', 'hvs.\u007f', 'h'.repeat(4_097)]) {
        await writeSecret(file, text);
        await assert.rejects(custodian.check(), (error: CustodyProblem) => {
          assert.equal(error.fault, 'denied');
          assert.ok(error.message.includes(file));
          assert.ok(!text.split(/\s/).some((part) => `${error.message} ${error.hint}`.includes(part)), error.message);
          return true;
        });
      }
      await writeSecret(file, bao.rootToken);
      await custodian.check();
    });
  });

  describe('by AppRole', () => {
    test('with one login for all who ask at once, renewed before it ends, and gone with us', async () => {
      const role = await appRole({ ttl: '4s' });
      const file = await writeSecret(newFile(), await role.secretId());
      const known = await tokens();
      {
        await using custodian = vaultOf(bao, { login: byAppRole(role.roleId, file) });
        const key = await newKey(custodian);
        await Promise.all(Array.from({ length: 50 }, () => signSomething(custodian, key)));
        const made = await tokensBeside(known);
        assert.equal(made.length, 1);
        await wasRenewed(made[0]!, 4);
        await signSomething(custodian, key);
        assert.deepEqual(await tokensBeside(known), made);
      }
      await eventually(async () => (await tokensBeside(known)).length === 0);
    });

    test('anew where its token has been revoked: once for all who meet that together', async () => {
      const role = await appRole({ ttl: '1h' });
      const file = await writeSecret(newFile(), await role.secretId());
      const known = await tokens();
      await using custodian = vaultOf(bao, { login: byAppRole(role.roleId, file) });
      const key = await newKey(custodian);
      await revokeAll(await tokensBeside(known));
      await Promise.all(Array.from({ length: 50 }, () => signSomething(custodian, key)));
      assert.equal((await tokensBeside(known)).length, 1);
    });

    test('anew, without anybody asking, before the longest life of its token is over', async () => {
      const role = await appRole({ ttl: '4s', maxTtl: '5s' });
      const file = await writeSecret(newFile(), await role.secretId());
      const known = await tokens();
      await using custodian = vaultOf(bao, { login: byAppRole(role.roleId, file) });
      await custodian.check();
      const [first] = await tokensBeside(known);
      const all = new Set<string>();
      await eventually(async () => {
        for (const accessor of await tokensBeside(known)) all.add(accessor);
        return all.size > 1 && all.has(first!);
      });
      await custodian.check();
    });

    test('but not again and again where it is the policy that refuses', async () => {
      await bao.policy('nothing', 'path "elsewhere" { capabilities = ["read"] }');
      const role = await bao.appRole('powerless', { policies: ['nothing'] });
      const file = await writeSecret(newFile(), await role.secretId());
      const known = await tokens();
      await using custodian = vaultOf(bao, { login: byAppRole(role.roleId, file) });
      for (let call = 0; call < 5; call += 1)
        await assert.rejects(custodian.check(), faulty('denied', /policy|let us/));
      assert.equal((await tokensBeside(known)).length, 1);
      await bao.policy('nothing', transitPolicy);
      await custodian.check();
    });

    test('without locking the role out by a secret ID that is wrong, and with the right one as soon as it is there', async () => {
      const role = await appRole();
      const file = await writeSecret(newFile(), 'of-another-role');
      await using custodian = vaultOf(bao, { login: byAppRole(role.roleId, file) });
      for (let call = 0; call < 10; call += 1)
        await assert.rejects(custodian.check(), faulty('denied', new RegExp(file)));
      await writeSecret(file, await role.secretId());
      await custodian.check();
    });

    test('with a secret ID that comes wrapped: unwrapped once, and kept for the next start', async () => {
      const role = await appRole();
      const wrapped = await role.wrappedSecretId();
      const file = await writeSecret(newFile(), wrapped);
      {
        await using custodian = vaultOf(bao, { login: byAppRole(role.roleId, file) });
        await Promise.all([custodian.check(), custodian.check(), custodian.check()]);
      }
      const kept = (await readFile(file, 'utf8')).trim();
      assert.match(kept, /^[0-9a-f-]{36}$/);
      assert.equal((await stat(file)).mode & 0o777, 0o600);
      await assert.rejects(stat(`${file}.new`), /ENOENT/);
      await using restarted = vaultOf(bao, { login: byAppRole(role.roleId, file) });
      await restarted.check();
    });

    test('with an alarm where somebody has unwrapped the secret ID before us', async () => {
      const role = await appRole();
      const wrapped = await role.wrappedSecretId();
      const file = await writeSecret(newFile(), wrapped);
      await bao.api('POST', 'sys/wrapping/unwrap', { token: wrapped });
      await using custodian = vaultOf(bao, { login: byAppRole(role.roleId, file) });
      const alarm = faulty('denied', /^SECURITY: .* has been used already/);
      await assert.rejects(custodian.check(), alarm);
      await assert.rejects(custodian.check(), (error: CustodyProblem) => !error.message.includes(wrapped));
      await writeSecret(file, await role.wrappedSecretId());
      await custodian.check();
    });

    test('with an alarm where what is wrapped is no secret ID of this AppRole, and without taking it out', async () => {
      const role = await appRole();
      const { wrap_info } = await bao.api('POST', 'auth/token/create', { body: {}, wrap: '5m' });
      const elsewhere = await bao.appRole('elsewhere', { mount: 'approle-2' });
      for (const wrapped of [wrap_info!.token, await elsewhere.wrappedSecretId()]) {
        const file = await writeSecret(newFile(), wrapped);
        await using custodian = vaultOf(bao, { login: byAppRole(role.roleId, file) });
        await assert.rejects(custodian.check(), faulty('denied', /^SECURITY: .* does not wrap a secret ID/));
        await bao.api('POST', 'sys/wrapping/unwrap', { token: wrapped });
      }
    });

    test('without unwrapping a secret ID that could not be kept', async () => {
      const role = await appRole();
      const wrapped = await role.wrappedSecretId();
      const file = await writeSecret(newFile(), wrapped);
      await mkdir(`${file}.new`);
      await using custodian = vaultOf(bao, { login: byAppRole(role.roleId, file) });
      await assert.rejects(custodian.check(), faulty('denied', /was left so, since it could not be kept/));
      await rmdir(`${file}.new`);
      await custodian.check();
    });
  });

  describe('by a TLS certificate', () => {
    test('renewed over the same certificate, and anew after it was revoked', async () => {
      await bao.certificateLogin('fleetroot', bao.issuer!, { policies: ['transit'], ttl: '4s' });
      const { certificate, key } = await bao.client('fleetroot');
      await chmod(key, 0o600);
      const known = await tokens();
      await using custodian = vaultOf(bao, {
        login: { by: 'certificate', certificate, key, role: 'fleetroot', mount: 'cert' },
      });
      const held = await newKey(custodian);
      const [accessor] = await tokensBeside(known);
      await wasRenewed(accessor!, 4);
      await revokeAll(await tokensBeside(known));
      await signSomething(custodian, held);
    });

    test('that is exchanged for another one while we run', async () => {
      await bao.certificateLogin('exchange', bao.issuer!, { policies: ['transit'], ttl: '1h' });
      const stranger = await bao.pki!.root('Stranger');
      const wrong = await bao.pki!.issue(stranger, 'fleetroot', { extensions: ['extendedKeyUsage=clientAuth'] });
      const [certificate, key] = [newFile(), newFile()];
      const put = async (from: { certificate: string; key: string }) => {
        await copyFile(from.certificate, certificate);
        await copyFile(from.key, key);
        await chmod(key, 0o600);
      };
      await put(wrong);
      await using custodian = vaultOf(bao, {
        login: { by: 'certificate', certificate, key, role: null, mount: 'cert' },
      });
      await assert.rejects(custodian.check(), faulty('denied', new RegExp(certificate)));
      const good = await bao.client('fleetroot');
      await put(good);
      await copyFile(wrong.key, key);
      await assert.rejects(custodian.check(), faulty('denied', new RegExp(`cannot be shown .* with the key ${key}`)));
      await put(good);
      await custodian.check();
    });
  });
});
