// The production account's promise, walked: every route, every command, every way in at the gateway, and nothing issues.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { commands } from '../../src/cli/commands.ts';
import { run } from '../../src/cli/program.ts';
import { reportCalls } from '../../src/gateway/reports.ts';
import { parseTrustSet, writeTrustSet } from '../../src/provisioning/trust-set.ts';
import type { CertificateRecord, FleetRootCa, FleetRootCertificate, KeyRow } from '../../src/registry/tables.ts';
import { Secret } from '../../src/secret.ts';
import { certificateToPem, parseCertificate, parseCertificates, verifySignature } from '../../src/x509/certificate.ts';
import { parsePublicKey } from '../../src/x509/key.ts';
import { newIdentity } from '../support/backup.ts';
import { basicConstraints, keyUsage, make } from '../support/certificate-maker.ts';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { ChangesMade } from '../support/changes-made.ts';
import type { Caller } from '../support/image.ts';
import { LineAccount } from '../support/line-account.ts';
import { operatorCall } from '../support/operator-call.ts';
import { Owner } from '../support/owner.ts';
import { type Ca, type Credentials, Pki } from '../support/pki.ts';
import { hearRoutes, type Outcomes, type Values, walkCommands, walkRoutes } from '../support/walk.ts';

/**
 * They start a server of their own, ask none, ask one elsewhere, or never end: what they call is walked as routes. Those of
 * a factory, a program apart that asks no server, are left out too.
 */
const servers = [
  'serve',
  'demo',
  'event follow',
  'completion',
  'login',
  'logout',
  'context list',
  'context use',
  'restore',
  'registry move',
];

const itsDevice = 'a device of the registered root';
const day = 24 * 60 * 60 * 1000;
const passphrase = 'as good as any passphrase';

describe('nothing issues for a production account', () => {
  const heard = hearRoutes();
  let fleetroot: Fleetroot;
  let pki: Pki;
  let root: Ca;
  /** A test account on the same server, whose keys, IDs and files are tried on production accounts. */
  let testing: Fleet;
  /** Its device with the registered root's certificate for its generated Fleet Root CA: what an owner may be talked into. */
  let crossed: Credentials;
  let files: string[];
  let names = 0;
  const newName = (): string => `walked-${(names += 1)}`;

  before(async () => {
    [fleetroot, pki] = await Promise.all([Fleetroot.start(), Pki.open()]);
    root = await pki.guideRoot('ours');
    testing = await Fleet.openTest(fleetroot, 'testing', root);
    assert.equal(await testing.arrive(await root.guideDevice('vin-1')), 'in');
    const made = await testing.image.boot('made-here');
    const { certificates } = await testing.fleetRoot('show', 'generated');
    const held = parseCertificates(Buffer.from(certificates[0].certificate))[0]!;
    const validity = { notBefore: Date.now() - day, notAfter: Date.now() + day };
    const extensions = [basicConstraints(true), keyUsage('keyCertSign')];
    const shape = { subject: held.subject.der, spki: held.publicKey.spki, extensions, ...validity };
    const cross = await pki.write(certificateToPem(make({ ...shape, by: await root.made() }).certificate.der));
    crossed = await pki.chain(made, cross);
    files = [
      root.certificate,
      (await pki.guideRoot('another')).certificate,
      await pki.write(certificateToPem(held.der)),
      cross,
      crossed.certificate,
      (await testing.image.provisioner()).certificate!,
      testing.image.trusts,
      await pki.write('device_id\nvin-1\nmade-here\n', '.csv'),
      await exportedKey(),
      await manifest(),
    ];
  });
  after(async () => {
    heard[Symbol.dispose]();
    await Promise.all([fleetroot[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]);
  });

  /** What a factory line under the registered root says that it has made. */
  async function manifest(): Promise<string> {
    const line = await LineAccount.open(pki, root, 'line-1');
    await line.make('vin-3');
    return line.manifest();
  }

  /** The private key of the test account's Fleet Root CA, as whoever has the file and the passphrase has it. */
  async function exportedKey(): Promise<string> {
    const [given, open] = [pki.file('.pem'), pki.file('.key')];
    fleetroot.typed.push(passphrase, passphrase);
    await fleetroot.json('fleet-root', 'export', 'testing', 'generated', '-o', given, '--yes');
    await pki.openssl('pkey', '-in', given, '-passin', `pass:${passphrase}`, '-out', open);
    return open;
  }

  const rows = <Row>(sql: string, ...given: string[]): Row[] => {
    using registry = new DatabaseSync(fleetroot.file('registry.db'), { readOnly: true });
    return registry.prepare(sql).all(...given) as unknown as Row[];
  };
  const accountsOf = (kind: 'test' | 'production') =>
    rows<{ id: string; name: string }>('SELECT id, name FROM accounts WHERE kind = ?', kind);

  /** An account to walk, with the registered root and a device of it. */
  async function newTarget(kind: 'test' | 'production'): Promise<{ target: Fleet; known: Credentials }> {
    const name = newName();
    const target = await (kind === 'test' ? Fleet.openTest : Fleet.open)(fleetroot, name, root);
    const known = await root.guideDevice('vin-1');
    assert.equal(await target.arrive(known), 'in');
    return { target, known };
  }

  /** What the names of paths, bodies, arguments and options stand for in a walk of an account. */
  async function valuesFor({ target, known }: { target: Fleet; known: Credentials }): Promise<Values> {
    const { account } = target;
    const { kind } = await fleetroot.json('account', 'show', account);
    const doomed = [newName(), newName()];
    for (const name of doomed) await fleetroot.json('account', 'create', name, '--kind', kind);
    const newOperator = async () => (await fleetroot.json('operator', 'create', newName(), '--invite')).id as string;
    const operators = [await newOperator(), await newOperator(), await newOperator()];
    const both = (sql: string): string[] =>
      [account, 'testing'].flatMap((name) =>
        rows<Record<string, string>>(
          `${sql} WHERE account_id = (SELECT id FROM accounts WHERE name = ?)`,
          name,
        ).flatMap((row) => Object.values(row)),
      );
    const cas = [...both('SELECT id FROM fleet_root_cas'), 'ours'];
    const devices = ['vin-1', 'made-here', ...both("SELECT 'uuid:' || uuid FROM devices")];
    const provisioningKeys = [...both('SELECT id FROM provisioning_keys'), 'none'];
    const sha256 = both('SELECT sha256 FROM certificates');
    const keys = both('SELECT id FROM keys');
    const custodians = ['software', 'vault', 'pkcs11'];
    const ownerKey = (await root.made()).key.spki.toString('base64');
    const hosts = ['walked.example', '127.0.0.9'];
    const entries = ['treehub.json', 'root.json'];
    const backEnd = 'http://127.0.0.1:1';
    const { recipient } = await newIdentity();
    const values: Record<string, readonly unknown[]> = {
      // In paths
      'DELETE /api/v1/accounts/:account :account': doomed.slice(0, 1),
      account: [account],
      host: hosts,
      entry: entries,
      token: ['none'],
      webhook: ['none'],
      delivery: ['none'],
      ca: cas,
      device: devices,
      id: provisioningKeys,
      sha256,
      // In bodies and queries
      name: [newName],
      validity: ['1d'],
      device_id_pattern: [null, 'vin-.*'],
      namespace: ['walked'],
      description: ['walked'],
      networks: [['127.0.0.0/8']],
      successor: cas,
      fleet_root_ca: cas,
      device_id: ['vin-1'],
      device_ids: [['vin-1', 'made-here']],
      intermediate: sha256,
      provisioning_key: provisioningKeys,
      label: ['vin:1'],
      labels: [{ vin: '1' }],
      text: ['vin'],
      address: ['127.0.0.1'],
      node: ['node-1'],
      prefix: ['/walked'],
      url: [backEnd],
      rewrite: ['/elsewhere'],
      certificate: [await readFile(known.certificate, 'utf8')],
      key: [...keys, await readFile(known.key, 'utf8')],
      timeout: ['1s'],
      base: [`${backEnd}/{service}`],
      cursor: ['none'],
      after: ['none'],
      types: ['device.added'],
      actor: ['socket', 'nobody'],
      action: ['account.set'],
      object: ['vin-1'],
      result: ['done'],
      order: ['order-1'],
      passphrase: [passphrase],
      recipients: [[recipient]],
      to: custodians,
      custodian: custodians,
      owner_key: [ownerKey],
      document: [Buffer.from('{}').toString('base64')],
      signature: [Buffer.from('none').toString('base64')],
      operator: operators.slice(0, 1),
      'DELETE /api/v1/operators/:operator :operator': operators.slice(1, 2),
      session: ['none'],
      passkey: ['none'],
      secret: ['none'],
      password: [passphrase],
      old: [passphrase],
      new: [passphrase],
      totp: ['123456'],
      code: ['123456'],
      credential: [
        {
          id: 'none',
          rawId: 'none',
          type: 'public-key',
          response: { clientDataJSON: '', attestationObject: '', authenticatorData: '', signature: '' },
        },
      ],
      // On command lines
      OPERATOR: operators.slice(0, 1),
      'operator delete OPERATOR': operators.slice(2),
      'account delete ACCOUNT': doomed.slice(1),
      ACCOUNT: [account],
      CA: cas,
      OLD: cas,
      NEW: cas,
      DEVICE: devices,
      ID: provisioningKeys,
      SHA256: sha256,
      FILE: files,
      KEYFILE: files,
      'postgres://…': ['postgres://127.0.0.1:1/none'],
      'age1…': [recipient],
      'FILE.sig': [root.certificate],
      '--output': [() => pki.file('.out')],
      '--to': custodians,
      '--custodian': custodians,
      KEY: keys,
      'CHAIN.pem': files,
      'R.crt': [root.certificate],
      NAME: [newName],
      'NAME|IP': hosts,
      'NAME|IP[:PORT]': hosts,
      ENTRY: entries,
      TEXT: ['walked'],
      'SHA256|SUBJECT': sha256,
      'NAME=VALUE': ['vin=1'],
      IP: ['127.0.0.1'],
      '7d': ['1d'],
      '30d': ['1d'],
      WHO: ['socket'],
      ACTION: ['account.set'],
      TYPE: ['device.added'],
      ORDER: ['order-1'],
      NODE: ['node-1'],
      CODE: ['done'],
      '24h': ['1h'],
      RE: ['vin-.*'],
      NAMESPACE: ['walked'],
      CIDR: ['127.0.0.0/8'],
      N: [2],
      PREFIX: ['/walked'],
      URL: [backEnd],
      PATH: ['/elsewhere'],
      BASE: [`${backEnd}/{service}`],
      '10y': ['1y'],
      '90d': ['1d'],
      '30s': ['1s'],
    };
    return (name) => values[name] ?? values[/ :(\w+)$/.exec(name)?.[1] ?? ''];
  }

  /** Calls the gateway of an account by every path and method, as whoever could be taken for somebody. */
  async function walkGateway({ target, known }: { target: Fleet; known: Credentials }): Promise<void> {
    const provisioner = await testing.image.provisioner();
    const callers: Record<string, Pick<Caller, 'certificate' | 'key'>> = {
      nobody: { certificate: null, key: null },
      'the provisioning key of the test account': provisioner,
      'a device of the test account': crossed,
      [itsDevice]: known,
    };
    const { hostname, port } = new URL(target.image.url);
    const trusts = [await readFile(target.image.trusts), await gatewayCas(target.account)];
    for (const [who, { certificate, key }] of Object.entries(callers)) {
      using connections = new Connections({
        host: '127.0.0.1',
        port,
        servername: hostname,
        ca: trusts,
        ...(certificate && key && { cert: await readFile(certificate), key: await readFile(key) }),
      });
      for (const path of gatewayPaths) {
        for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
          const headers = { host: `${hostname}:${port}`, 'content-type': typeOf(path) };
          const body = /GET|HEAD|OPTIONS/.test(method) ? '' : bodyOf(path);
          const { status, type } = await connections.ask({ method, path, headers }, body);
          const what = `${who}: ${method} ${path} was answered ${status} with ${type}`;
          assert.doesNotMatch(type, /pkcs|pem|octet-stream/, what);
          assert.ok(status >= 400 || (who === itsDevice && isOwn(path)), what);
        }
      }
    }
  }

  /** Those of the present: the walks switch them. */
  async function gatewayCas(account: string): Promise<string> {
    const { gateway_cas } = await fleetroot.json('account', 'show', account);
    return gateway_cas.map((ca: { certificate: string }) => ca.certificate).join('');
  }

  /** What must be so for every production account of the server, whatever was tried. */
  async function assertNothingIssued(): Promise<void> {
    const keys = rows<KeyRow>('SELECT * FROM keys').map((key) => parsePublicKey(Buffer.from(key.public_key)));
    const held = new Set(keys.map((key) => key.sha256));
    const signedHere = (der: Uint8Array): boolean => {
      const certificate = parseCertificate(Buffer.from(der));
      return keys.some((key) => verifySignature(certificate, key));
    };
    for (const { id, name } of accountsOf('production')) {
      const of = <Row>(table: string): Row[] => rows<Row>(`SELECT * FROM ${table} WHERE account_id = ?`, id);
      assert.deepEqual(new Set(of<KeyRow>('keys').map((key) => key.purpose)), new Set(['gateway-ca']));
      assert.deepEqual([of('provisioning_cas'), of('provisioning_keys')], [[], []]);
      for (const ca of of<FleetRootCa>('fleet_root_cas')) assert.deepEqual([ca.kind, ca.key_id], ['registered', null]);
      for (const trusted of of<FleetRootCertificate>('fleet_root_certificates')) {
        assert.ok(!held.has(trusted.public_key_sha256), 'a key that the server holds is trusted');
      }
      for (const { profile, subject_name, der } of of<CertificateRecord>('certificates')) {
        if (profile === 'gateway' || profile === 'gateway_ca') continue;
        assert.equal(profile, 'device', subject_name);
        assert.ok(!signedHere(der), `a certificate of ${subject_name} was signed here`);
      }
      assert.deepEqual((await fleetroot.json('account', 'show', name)).device_issuing_keys, []);
      const { stdout } = await fleetroot.command('account', 'show', name);
      assert.match(stdout, /this server has no key that could sign a device certificate for this account/);
    }
  }

  /** Whatever this server has ever signed is no device of the account. */
  async function assertOursAreStrangers({ account }: Fleet): Promise<void> {
    const signed = rows<{ der: Uint8Array }>("SELECT der FROM certificates WHERE state != 'intended'");
    const path = `/accounts/${account}/explain`;
    for (const { der } of signed) {
      const body = Buffer.from(certificateToPem(der));
      const { json } = await operatorCall(fleetroot.dir, 'POST', path, { body, type: 'application/octet-stream' });
      const byRoot = verifySignature(parseCertificate(Buffer.from(der)), (await root.made()).certificate.publicKey);
      assert.ok(byRoot || json.admitted === false, 'a certificate of this server would get in');
    }
  }

  /** How many provisioning keys and devices the server has made; Fleet Root CAs come with every test account. */
  const issued = (): number =>
    rows("SELECT 1 FROM certificates WHERE profile = 'provisioning_key' OR provisioning_key_id IS NOT NULL").length;

  /** Walks a production account, then a test account: what did nothing there would have issued, if anything could. */
  async function walkBoth(
    walk: (values: Values) => Promise<Outcomes>,
    misused: readonly (number | null)[],
  ): Promise<void> {
    const here = await newTarget('production');
    const before = issued();
    assertHeard(await walk(await valuesFor(here)), misused);
    assert.equal(issued(), before);
    await assertNothingIssued();
    await walkGateway(here);
    await assertNothingIssued();
    await assertOursAreStrangers(here.target);
    assertHeard(await walk(await valuesFor(await newTarget('test'))), misused);
    assert.ok(issued() > before, 'the walk does not even issue for a test account');
    await assertNothingIssued();
  }

  test('to begin with; of the test account beside it is shown which key does', async () => {
    const { target } = await newTarget('production');
    await assertNothingIssued();
    await assertOursAreStrangers(target);
    const generated = await testing.fleetRoot('show', 'generated');
    const [key] = rows<KeyRow>("SELECT * FROM keys WHERE purpose = 'fleet-root-ca'");
    assert.deepEqual((await fleetroot.json('account', 'show', 'testing')).device_issuing_keys, [
      {
        key_id: key!.id,
        fleet_root_ca: generated.id,
        fleet_root_ca_name: generated.name,
        custodian: 'software',
        key_state: 'held',
        exportable: true,
        public_key_sha256: generated.certificates[0].public_key_sha256,
        certificates_until: generated.not_after,
      },
    ]);
  });

  test('at the gateway, whoever calls whatever', { timeout: 300_000 }, async () => {
    const here = await newTarget('production');
    await walkGateway(here);
    await assertNothingIssued();
    assert.deepEqual(
      (await here.target.devices()).map((device) => device.device_id),
      ['vin-1'],
    );
  });

  test(
    'at any route of the operators; and what each of them changed is in the audit log',
    { timeout: 300_000 },
    async () => {
      const made = new ChangesMade();
      await walkBoth((values) => walkRoutes(fleetroot.dir, heard.routes, values, made.hear), [400, 415]);
      made.assertAudited(fleetroot.dir, [passphrase]);
    },
  );

  test('by the word of the owner, who has signed that a key of the server is to be trusted', async () => {
    const owner = await Owner.open(pki);
    const owned = await Fleet.openOwned(fleetroot, 'owned', owner.publicKey, root);
    const drawn = await owner.draw(owned);
    const set = parseTrustSet(await readFile(drawn));
    const { certificates } = await testing.fleetRoot('show', 'generated');
    const held = parseCertificates(Buffer.from(certificates[0].certificate));
    const ca = { ...set.fleet_root_cas[0]!, name: 'talked into', certificates: held };
    const forged = await pki.write(writeTrustSet({ ...set, fleet_root_cas: [ca] }), '.json');
    const { code, stderr } = await owner.apply(owned, forged);
    assert.equal(code, 1);
    assert.match(stderr, /This server holds, or has held, the private key of the Fleet Root CA "talked into"/);
    await assertNothingIssued();
    assert.equal((await owner.apply(owned, drawn)).code, 0);
    assert.equal(await owned.arrive(await root.guideDevice('vin-2')), 'in');
  });

  test('at any command', { timeout: 300_000 }, async () => {
    const walked = commands.filter(({ words }) => words[0] !== 'factory' && !servers.includes(words.join(' ')));
    const ofFactories = commands.filter(({ words }) => words[0] === 'factory');
    assert.equal(walked.length, commands.length - servers.length - ofFactories.length);
    const terminal = {
      out: () => {},
      err: () => {},
      ask: async () => true,
      askSecret: async () => Secret.fromText(passphrase),
    };
    const call = (words: readonly string[]) => run([...words, '--data', fleetroot.dir], {}, terminal);
    await walkBoth((values) => walkCommands(walked, values, call), [2]);
  });
});

/** It takes the one key that the account's standby gateway CA had, and no file of the walk is that. */
const takesOneFile = 'POST /api/v1/accounts/:account/gateway-cas/standby/import';

/** Of each route or command there was a call that did something, or was refused for a reason of its own. */
function assertHeard(outcomes: Outcomes, misused: readonly (number | null)[]): void {
  const mute = [...outcomes]
    .filter(([, each]) => [...each].every((outcome) => misused.includes(outcome)))
    .filter(([what]) => what !== takesOneFile);
  assert.deepEqual(mute, [], 'these were only ever called wrongly: say how to call them');
}

const enrollment = ['cacerts', 'csrattrs', 'simpleenroll', 'simplereenroll', 'serverkeygen', 'fullcmc'];

/** What devices call, and where else certificates are to be had: RFC 7030 §3.2.2, and what other servers have. */
const gatewayPaths = [
  '/',
  '/devices',
  '/devices/',
  '/devices/vin-1',
  '/device',
  '/device/certificate',
  '/credentials',
  '/provisioning-keys',
  '/api/v1/accounts/production/credentials',
  ...reportCalls.keys(),
  ...enrollment.map((name) => `/.well-known/est/${name}`),
  ...enrollment.map((name) => `/.well-known/est/testing/${name}`),
];

const isOwn = (path: string): boolean => path === '/device' || reportCalls.has(path);
const typeOf = (path: string): string => reportCalls.get(path)?.contentType ?? 'application/json';
const bodyOf = (path: string): string =>
  path.startsWith('/devices') ? JSON.stringify({ deviceId: 'made-at-the-gateway', ttl: '36000' }) : '{}';

/** Connections of one caller, kept open. */
class Connections implements Disposable {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #options: object;

  constructor(options: object) {
    this.#options = options;
  }

  async ask(call: object, body: string): Promise<{ status: number; type: string }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; type: string }>();
    const asked = request({ ...this.#options, ...call, agent: this.#agent }, (response) => {
      const { statusCode: status = 0, headers } = response.resume();
      response.once('end', () => resolve({ status, type: headers['content-type'] ?? '' })).once('error', reject);
    });
    asked.once('error', reject).end(body);
    return promise;
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}
