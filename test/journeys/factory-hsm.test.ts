// Devices whose keys lie in SoftHSM, from the key to the first `GET /device`: docs/keys-in-an-hsm.md, run as it stands.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { readFile, symlink, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { factoryCli, startLine, type TestLine } from '../support/factory.ts';
import { FactoryProcess } from '../support/factory-service.ts';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import type { Answer, CallOptions } from '../support/image.ts';
import { succeed, temporaryDirectory } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { softhsmModule, tokenHome } from '../support/softhsm.ts';

const page = readFileSync(new URL('../../docs/keys-in-an-hsm.md', import.meta.url), 'utf8');

/** The shell lines of the page, by the name that stands after `sh`. */
const steps = new Map([...page.matchAll(/^```sh (\S+)\n([^]*?)^```$/gm)].map(([, name, script]) => [name!, script!]));

function stepNamed(name: string): string {
  const script = steps.get(name);
  assert.ok(script, `docs/keys-in-an-hsm.md has no step "${name}"`);
  return script;
}

/** Where curl reads key and certificate: both in the token. */
const fromToken = ['--engine', 'pkcs11', '--key-type', 'ENG', '--cert-type', 'ENG'];
const versions = ['1.2', '1.3'] as const;

/** A device on the bench: its token, and a shell in a directory of its own. */
interface Device extends AsyncDisposable {
  file(name: string): string;
  /** Runs steps of the page in one shell, each of which must succeed; gives what they print. */
  run(...names: string[]): Promise<string>;
  /** Runs lines of the test's own after the page's setup; they must succeed too. */
  shell(script: string): Promise<string>;
  /** `GET /device` with curl: the certificate from the token too, or from a file. */
  connect(fleet: Fleet, options?: CallOptions & { chain?: string }): Promise<Answer>;
}

const programs = ['bash', 'openssl', 'curl', 'unzip', 'certtool'] as const;
const tokens = ['softhsm2', 'pkcs11-tool', 'libengine-pkcs11-openssl'] as const;

describe('devices whose keys lie in an HSM', { skip: needs(...programs, ...tokens) }, () => {
  let fleetroot: Fleetroot;
  let line: TestLine;
  let service: FactoryProcess;
  /** Knows the Fleet Root alone, and never hears of the line. */
  let stranger: Fleet;
  /** Is told of the line by its manifests. */
  let told: Fleet;
  let manifests = 0;

  before(async () => {
    [fleetroot, line] = await Promise.all([Fleetroot.start(), startLine({ pattern: 'dev-\\d+' })]);
    service = await FactoryProcess.start(line.dir);
    await succeedCli('station', 'add', 'station-1', '-o', line.file('station-1'));
    await succeedCli('window', 'open', '--order', 'order-1', '--quota', '10', '--for', '8h');
    [stranger, told] = await Promise.all([Fleet.open(fleetroot, 'stranger'), Fleet.open(fleetroot, 'told')]);
    for (const fleet of [stranger, told]) await fleet.register({ certificate: line.rootFile });
  });
  after(async () => {
    await service[Symbol.asyncDispose]();
    await Promise.all([fleetroot[Symbol.asyncDispose](), line[Symbol.asyncDispose]()]);
  });

  /** Runs `factory …`, which must succeed, and gives its `--json`. */
  async function succeedCli(...words: string[]): Promise<any> {
    const { code, stdout, stderr } = await factoryCli(line.dir, [...words, '--json']);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  }

  async function openDevice(id: string, fleet: Fleet): Promise<Device> {
    await using held = new AsyncDisposableStack();
    const token = held.use(tokenHome());
    const directory = held.use(await temporaryDirectory());
    const pinFile = directory.file('pin');
    await writeFile(pinFile, token.pin);
    await symlink(fleet.image.dir, directory.file('image'));
    const env = {
      ...process.env,
      PKCS11_MODULE_PATH: softhsmModule,
      TOKEN: token.label,
      PIN_FILE: pinFile,
      DEVICE: id,
      FACTORY: service.url,
      STATION: line.file('station-1'),
    };
    const shell = (script: string): Promise<string> =>
      succeed('bash', ['-euo', 'pipefail', '-c', `${stepNamed('setup')}\n${script}`], { cwd: directory.path, env });
    const object = `pkcs11:token=${token.label};id=%01`;
    const all = held.move();
    return {
      file: directory.file,
      shell,
      run: (...names) => shell(names.map(stepNamed).join('')),
      connect(to, { chain, ...options } = {}) {
        const key = `${object};type=private;pin-source=${pinFile}`;
        const words = chain === undefined ? fromToken : fromToken.slice(0, 4);
        const device = to.image.withCertificate(chain ?? `${object};type=cert`, key);
        return device.whoAmI({ ...options, curl: words, env: { PKCS11_MODULE_PATH: softhsmModule } });
      },
      [Symbol.asyncDispose]: () => all.disposeAsync(),
    };
  }

  /** Has the server told of what the line has made since the last time. */
  async function carryManifest(fleet: Fleet): Promise<void> {
    manifests += 1;
    const file = line.file(`manifest-${manifests}`);
    await succeedCli('export', '-o', file);
    await fleetroot.json('manifest', 'import', fleet.account, file);
  }

  test('P-256: from the self-signed certificate to the first call, the leaf alone and with its chain', async (t) => {
    await using device = await openDevice('dev-1', told);
    await device.run('key', 'request', 'sign');
    const chain = device.file('chain.pem');

    await t.test('the certificate is of the key in the token, and a repeat gives the same', async () => {
      const verify = 'verify -x509_strict -purpose sslclient'.split(' ');
      const files = ['-CAfile', line.rootFile, '-untrusted', chain, device.file('device.pem')];
      await succeed('openssl', [...verify, ...files]);
      const keyOf = (...args: string[]) => succeed('openssl', [...args, '-noout', '-pubkey']);
      assert.equal(
        await keyOf('x509', '-in', device.file('device.pem')),
        await keyOf('x509', '-in', device.file('self-signed.pem')),
      );
      const first = await readFile(chain, 'utf8');
      assert.equal(first.match(/BEGIN CERTIFICATE/g)?.length, 2, 'the leaf and the line’s CA');
      await device.run('sign');
      assert.equal(await readFile(chain, 'utf8'), first, 'a repeat gives the same');
    });

    await t.test('written beside the old one, it is the old one that goes on being sent', async () => {
      const added = 'openssl x509 -in device.pem -outform der -out device.der; token --write-object device.der';
      await device.shell(`${added} --type cert --id 01 --label device`);
      assert.equal(await certificatesIn(device), 2);
      const answer = await device.connect(told);
      assert.equal(answer.status, 403, answer.body.toString());
      assert.equal(answer.json.code, 'certificate_untrusted');
      const self = await told.explain({ certificate: device.file('self-signed.pem') });
      assert.equal(answer.json.description, self.rule);
      // Both are under one ID, and which of them goes first is up to the token.
      await device.shell('token --delete-object --type cert --id 01');
      await device.run('store');
      assert.equal(await certificatesIn(device), 1);
    });

    await t.test('the leaf alone is refused while the server does not know the line, and it says so', async () => {
      for (const tls of versions) {
        const answer = await device.connect(told, { tls });
        assert.equal(answer.status, 403);
        assert.equal(answer.json.code, 'certificate_untrusted');
        assert.equal(
          answer.json.description,
          'The issuer of "CN=dev-1", "CN=line-1,O=Acme", was neither sent nor is it known here.',
        );
      }
      assert.deepEqual(await told.devices(), []);
    });

    await t.test('with the chain beside the key in the token it gets in all the same', async () => {
      for (const tls of versions) {
        const answer = await device.connect(stranger, { tls, chain });
        assert.equal(answer.json.device_id, 'dev-1', answer.body.toString());
      }
    });

    await t.test('the manifest brings the line’s CA, and the leaf alone gets in', async () => {
      await carryManifest(told);
      assert.equal(JSON.parse(await device.run('call')).device_id, 'dev-1');
      for (const tls of versions) assert.equal((await device.connect(told, { tls })).json.device_id, 'dev-1');
    });

    await t.test('the record says that a station asked, and nothing claims where the key lies', async () => {
      const [shown] = await succeedCli('certificate', 'show', 'dev-1');
      assert.deepEqual(shown.evidence, { kind: 'station' });
      const notes = (await readFile(line.file(`manifest-${manifests}`), 'utf8')).trim().split('\n').flatMap(notesIn);
      assert.deepEqual(
        notes.map(({ device_id, station, evidence }) => [device_id, station, evidence]),
        [['dev-1', 'station-1', { kind: 'station' }]],
      );
      const [certificate] = await fleetroot.json('manifest', 'certificates', 'told');
      assert.equal(certificate.proof, 'station');
      const reconciled = await fleetroot.json('manifest', 'reconcile', 'told', '--order', 'order-1');
      assert.deepEqual([reconciled.made, reconciled.seen, reconciled.strangers.count], [1, 1, 0]);
      const leaf = await succeed('openssl', ['x509', '-in', device.file('device.pem'), '-noout', '-text']);
      for (const text of [leaf, JSON.stringify({ ...shown, certificates: '' }), JSON.stringify(notes)]) {
        assert.doesNotMatch(text, /hsm|hardware|secure element|pkcs ?#?11/i);
      }
    });
  });

  test('by EST, with openssl and curl, it is the same certificate', async () => {
    await using device = await openDevice('dev-2', stranger);
    await device.run('key', 'request', 'est');
    const enrolled = await readFile(device.file('device.pem'), 'utf8');
    await device.run('sign');
    assert.equal(enrolled, await readFile(device.file('device.pem'), 'utf8'));
    const [ca] = (await readFile(device.file('chain.pem'), 'utf8'))
      .match(/-----BEGIN [^]*?-----END CERTIFICATE-----\n/g)!
      .slice(1);
    assert.ok((await readFile(device.file('cacerts.pem'), 'utf8')).includes(ca!), 'cacerts has the line’s CA');
    await device.run('store');
    assert.equal(JSON.parse(await device.run('chain')).device_id, 'dev-2');
  });

  test('by GnuTLS: a request with critical extensions, and the call by gnutls-cli', async () => {
    await using device = await openDevice('dev-3', told);
    await device.run('key', 'gnutls', 'sign', 'store');
    const text = (...args: string[]) => succeed('openssl', [...args, '-noout', '-text']);
    assert.match(await text('req', '-in', device.file('device.csr')), /Basic Constraints: critical/);
    assert.doesNotMatch(await text('x509', '-in', device.file('device.pem')), /Basic Constraints/);
    await carryManifest(told);
    // The C library does not know that names under localhost are this machine.
    const here = '--sni-hostname "${address%:*}" --verify-hostname "${address%:*}" 127.0.0.1';
    const call = stepNamed('gnutls-call').replace('"${address%:*}"', here);
    assert.match(await device.shell(call), /"device_id":"dev-3"/);
  });

  test('RSA of 2,048 bits', async () => {
    await using device = await openDevice('dev-4', stranger);
    await device.run('rsa');
    await device.shell(
      'openssl req -new -engine pkcs11 -keyform engine -key "$KEY" -subj "/CN=$DEVICE" -out device.csr',
    );
    await device.run('sign');
    for (const tls of versions) {
      const answer = await device.connect(stranger, { tls, chain: device.file('chain.pem') });
      assert.equal(answer.json.device_id, 'dev-4', answer.body.toString());
    }
  });
});

/** How many certificates are in the token. */
async function certificatesIn(device: Device): Promise<number> {
  return (await device.run('look')).match(/^Certificate Object/gm)?.length ?? 0;
}

/** What a manifest notes of certificates that were made. */
function notesIn(jws: string): any[] {
  const { entries } = JSON.parse(Buffer.from(jws.split('.')[1]!, 'base64url').toString());
  const bodies = entries.flatMap(({ body }: { body?: string }) => (body === undefined ? [] : [JSON.parse(body)]));
  return bodies.filter(({ action }: any) => action === 'certificate.make').map(({ after: note }: any) => note);
}
