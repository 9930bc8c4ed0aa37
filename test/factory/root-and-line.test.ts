// The Fleet Root offline and the line's side of it: what is signed, what is taken, and what is noticed.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';

import { loadConfig } from '../../src/config.ts';
import { actions } from '../../src/factory/actions.ts';
import { enroll } from '../../src/factory/enrolment.ts';
import { type Factory, openFactory } from '../../src/factory/factory.ts';
import { fleetRootActions, type SignedLine } from '../../src/factory/fleet-root.ts';
import { lineActions } from '../../src/factory/line.ts';
import { keyFor } from '../../src/factory/records/keys.ts';
import { logEntries, logHead } from '../../src/factory/records/log.ts';
import { mandatesOf, theLine } from '../../src/factory/records/lines.ts';
import { faultsOfMandates } from '../../src/factory/records/mandate-check.ts';
import { openLog } from '../../src/log.ts';
import { explainOffline, identify } from '../../src/provisioning/device-identity.ts';
import { certificateToPem, parseCertificate, parseCertificates } from '../../src/x509/certificate.ts';
import { readRequestFile } from '../../src/x509/certification-request.ts';
import { encodePem, pemBlocks } from '../../src/x509/pem.ts';
import { requestFor } from '../support/factory-batch.ts';
import { startLine } from '../support/factory.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { Openssl } from '../support/openssl.ts';
import { needs } from '../support/require.ts';
import { needsSoftHsm, softhsmModule, tokenHome } from '../support/softhsm.ts';

const day = 24 * 60 * 60 * 1000;
const skip = needs('openssl');
const silent = openLog('silent');

/** Opens a window and has so many devices made, named by a prefix; gives their certificates, PEM. */
async function makeDevices(factory: Factory, names: readonly string[]): Promise<string[]> {
  const { records } = factory;
  const id = randomUUID();
  const station = { id, name: `station-${id}`, tbs_sha256: null, public_key_sha256: null, public_key: null };
  await records.write('addStation', {
    ...station,
    password_sha256: null,
    networks: '[]',
    address: null,
    not_after: null,
  });
  const order = `order-${id}`;
  await records.write('addOrder', { name: order, batch: null, proof: 'station', devices: null });
  const window = { order_name: order, quota: 1_000, closes_at: factory.clock() + day, station_id: id };
  await records.write('openWindow', window);
  const made: string[] = [];
  for (const name of names) {
    const request = readRequestFile(Buffer.from(requestFor(name)));
    const asked = { request, station, order, evidence: { kind: 'station' }, shown: null } as const;
    made.push(certificateToPem((await enroll(factory, asked)).certificate));
  }
  return made;
}

/** What the subject of a line's request begins with. */
const lineSubject = '/description=Fleetroot factory line';

/** Requests (DER) of one key, as of lines. */
function requestsOfOneKey(...subjects: [string, string]): [Buffer, Buffer] {
  using openssl = new Openssl();
  openssl.run('openssl ecparam -genkey -name prime256v1 -noout -out key.pem');
  const request = (subject: string): Buffer => {
    openssl.run(`openssl req -new -key key.pem -subj '${lineSubject}${subject}' -outform DER -out request.der`);
    return openssl.read('request.der');
  };
  return [request(subjects[0]), request(subjects[1])];
}

/** A request (DER) of a new key, by openssl, as of a line unless its subject is given whole. */
function newRequest(subject: string, key = 'ec -pkeyopt ec_paramgen_curve:P-256', mark = lineSubject): Buffer {
  using openssl = new Openssl();
  openssl.run(
    `openssl req -new -newkey ${key} -nodes -keyout key.pem -subj '${mark}${subject}' -outform DER -out request.der`,
  );
  return openssl.read('request.der');
}

/** Edits a factory's database as somebody with a shell on the line would. */
function edit(dir: string, statement: string): void {
  using database = new DatabaseSync(`${dir}/factory.db`);
  database.exec(statement);
}

/** A factory of its own, opened and closed for one thing. */
async function inside<T>(dir: string, work: (factory: Factory) => Promise<T>, env: NodeJS.ProcessEnv = {}): Promise<T> {
  await using factory = await openFactory(loadConfig({ dataDir: dir, env }), { log: silent });
  return await work(factory);
}

interface Asked {
  quota?: number;
  until?: string;
  pattern?: string;
  order?: string | null;
  ca_until?: string | null;
}

function sign(root: Factory, request: string | Buffer, asked: Asked = {}): Promise<SignedLine> {
  const { quota = 10, until = new Date(Date.now() + 365 * day).toISOString(), pattern = '.*' } = asked;
  return fleetRootActions.signLine(root, {
    request: Buffer.from(request).toString('base64'),
    quota,
    until,
    device_id_pattern: pattern,
    order: asked.order ?? null,
    ca_until: asked.ca_until ?? null,
  });
}

/** What a refused bundle may not have touched. */
async function stateOf({ records }: Factory): Promise<unknown> {
  return {
    head: await logHead(records.read),
    line: await theLine(records.read),
    mandates: await mandatesOf(records.read),
  };
}

for (const key_type of ['p384', 'p256'] as const) {
  test(`a ${key_type} root, a line and a device make a chain that openssl and admission take`, { skip }, async () => {
    using openssl = new Openssl();
    const { directory } = openssl;
    const root = await inside(`${directory}/root`, async (factory) => {
      const made = await fleetRootActions.createRoot(factory, { name: 'Acme', key_type, custodian: null });
      const { request, line } = await inside(`${directory}/line`, (own) =>
        lineActions.requestLine(own, { name: 'Linie Ä', site: 'Graz', custodian: null }),
      );
      writeFileSync(`${directory}/request.pem`, request);
      assert.match(openssl.run('openssl req -in request.pem -noout -verify -subject 2>&1'), /OK[^]*Graz[^]*Linie/);
      const signed = await sign(factory, request);
      assert.equal(signed.line.key_sha256, line.key_sha256);
      assert.equal(signed.line.site, 'Graz');
      writeFileSync(`${directory}/line.bundle`, signed.bundle);
      return made;
    });
    const [device] = await inside(`${directory}/line`, async (factory) => {
      const bundle = readFileSync(`${directory}/line.bundle`, 'utf8');
      const accepted = await lineActions.acceptBundle(factory, { bundle, root_sha256: root.sha256 });
      assert.equal(accepted.mandate.left, 10);
      assert.equal(accepted.line.root?.sha256, root.sha256);
      return makeDevices(factory, ['vin-1']);
    });
    writeFileSync(`${directory}/root.pem`, root.certificate);
    writeFileSync(`${directory}/device.pem`, device!);
    openssl.run('openssl x509 -in line.bundle -out line.pem');
    const verified = openssl.run(
      'openssl verify -x509_strict -purpose sslclient -CAfile root.pem -untrusted line.pem device.pem',
    );
    assert.match(verified, /device\.pem: OK/);
    const [text, ca] = ['root.pem', 'line.pem'].map((file) =>
      openssl.run(`openssl x509 -in ${file} -noout -text -nameopt utf8`),
    );
    assert.match(text!, key_type === 'p384' ? /ASN1 OID: secp384r1/ : /ASN1 OID: prime256v1/);
    assert.match(text!, /CA:TRUE, pathlen:1/);
    assert.match(ca!, /CA:TRUE, pathlen:0/);
    assert.match(ca!, /Subject: O ?= ?Acme, CN ?= ?Linie Ä/);

    const chain = Buffer.concat([openssl.read('device.pem'), openssl.read('line.pem')]);
    const explained = explainOffline([openssl.read('root.pem')], chain, Date.now());
    assert.deepEqual([explained.admitted, explained.device_id], [true, 'vin-1']);
    const [leaf, intermediate] = parseCertificates(chain);
    const anchors = [{ id: 'root', certificate: parseCertificates(openssl.read('root.pem'))[0]! }];
    const alone = identify([leaf!], { anchors, intermediates: [intermediate!], excluded: new Set() }, Date.now());
    assert.equal(alone.kind, 'identified');
  });
}

test('a line certifies devices and no further CA: pathLen 0 is what stops it', { skip }, async () => {
  await using line = await startLine();
  using openssl = new Openssl();
  const { sub, device, ca } = await inside(line.dir, async (factory) => {
    const [issuer, key] = [await theLine(factory.records.read), await factory.keys.create('line', 'p256', 'software')];
    const above = {
      certificate: parseCertificate(issuer!.ca_certificate!),
      key: (await keyFor(factory.records.read, 'line'))!,
    };
    // Signed with the line's own key, past everything that would refuse it.
    const account = { id: '', name: 'Acme', kind: 'production', validity_seconds: 0 } as const;
    const notAfter = Date.now() + day;
    const asked = { profile: 'line_ca', account, name: 'sub', notAfter, publicKey: key.public_key } as const;
    const purposeful = { ...above, key: { ...above.key, purpose: 'factory-root' as const } };
    const sub = parseCertificate(await factory.maker.issue(factory.maker.prepare({ ...asked, ca: purposeful })));
    const { publicKey } = readRequestFile(Buffer.from(requestFor('vin-1')));
    const below = { certificate: sub, key };
    const wanted = { profile: 'line_device', account, ca: below, publicKey: publicKey.canonicalSpki } as const;
    const der = await factory.maker.issue(factory.maker.prepare({ ...wanted, deviceId: 'vin-1', notAfter }));
    return { sub: certificateToPem(sub.der), device: certificateToPem(der), ca: above.certificate };
  });
  writeFileSync(`${openssl.directory}/root.pem`, line.root.certificate);
  writeFileSync(`${openssl.directory}/line.pem`, certificateToPem(ca.der) + sub);
  writeFileSync(`${openssl.directory}/device.pem`, device);
  assert.throws(
    () => openssl.run('openssl verify -x509_strict -CAfile root.pem -untrusted line.pem device.pem'),
    /path length constraint exceeded/,
  );
  const chain = Buffer.from(device + sub + certificateToPem(ca.der));
  const explained = explainOffline([Buffer.from(line.root.certificate)], chain, Date.now());
  assert.deepEqual([explained.admitted, explained.code], [false, 'certificate_invalid']);
});

test('the same request has one CA for good; each mandate adds, and counts once', { skip }, async () => {
  await using line = await startLine({ quota: 2, pattern: 'vin-\\d' });
  const bundle = await line.mandate({ quota: 3, pattern: 'vin-\\d' });
  const sha256 = await inside(line.dir, async (factory) => {
    const before = await lineActions.showLine(factory, {});
    const accepted = await lineActions.acceptBundle(factory, { bundle, root_sha256: null });
    assert.deepEqual(accepted.line, before);
    await assert.rejects(lineActions.acceptBundle(factory, { bundle, root_sha256: null }), {
      code: 'conflict',
      message: /was brought before \(entry \d+ of the log\): it counts once/,
    });
    await makeDevices(factory, ['vin-1', 'vin-2', 'vin-3', 'vin-4', 'vin-5']);
    await assert.rejects(makeDevices(factory, ['vin-6']), { code: 'quota_exhausted' });
    await assert.rejects(makeDevices(factory, ['another']), { code: 'mandate_missing' });
    assert.deepEqual(
      (await lineActions.listMandates(factory, {}))
        .toSorted((a, b) => a.quota - b.quota)
        .map(({ state, quota, left }) => [state, quota, left]),
      [
        ['exhausted', 2, 0],
        ['exhausted', 3, 0],
      ],
    );
    return before.ca!.sha256;
  });
  const [listed, ...others] = await inside(line.rootDir, (root) => fleetRootActions.listRootLines(root, {}));
  assert.deepEqual(others, []);
  assert.deepEqual([listed!.quota, listed!.mandates.length, listed!.sha256], [5, 2, sha256]);
});

test('a mandate for one order is charged for that order alone, and the one that ends soonest first', async () => {
  const until = new Date(Date.now() + 30 * day).toISOString();
  await using line = await startLine({ quota: 1, order: 'elsewhere' });
  const bundles = [await line.mandate({ quota: 5 }), await line.mandate({ quota: 5, until })];
  await inside(line.dir, async (factory) => {
    await assert.rejects(makeDevices(factory, ['vin-1']), { code: 'mandate_missing' });
    for (const bundle of bundles) await lineActions.acceptBundle(factory, { bundle, root_sha256: null });
    await makeDevices(factory, ['vin-1', 'vin-2']);
    const shown = await lineActions.listMandates(factory, {});
    assert.deepEqual(
      shown.map(({ not_after, used }) => [not_after === until, used]),
      [
        [true, 2],
        [false, 0],
        [false, 0],
      ],
    );
  });
});

test('what the staff of a line edit in its database is noticed, and nothing is charged to it', { skip }, async () => {
  const pattern = 'vin-\\d+';
  const edits: [name: string, statement: string, fault: RegExp][] = [
    ['a higher quota', 'UPDATE mandates SET quota = 1000', /quota is 1000 there, and 2 was signed/],
    ['a later end', 'UPDATE mandates SET not_after = not_after + 1', /not_after is \d+ there/],
    ['a wider pattern', `UPDATE mandates SET device_id_pattern = '.*'`, /device_id_pattern is \.\* there/],
    ['fewer used', 'UPDATE mandates SET used = 0', /0 of it are used there, and 2 certificates are charged to it/],
    ['another ID', `UPDATE mandates SET id = '${randomUUID()}'`, /id is .* there, and .* was signed/],
    ['a payload', `UPDATE mandates SET jws = replace(jws, '.', '.e30')`, /does not count/],
  ];
  await using line = await startLine({ quota: 2, pattern });
  await inside(line.dir, (factory) => makeDevices(factory, ['vin-1', 'vin-2']));
  const more = await line.mandate({ quota: 1, pattern });
  const whole = readFileSync(`${line.dir}/factory.db`);
  for (const [name, statement, fault] of edits) {
    writeFileSync(`${line.dir}/factory.db`, whole);
    edit(line.dir, `PRAGMA foreign_keys = OFF; ${statement}`);
    await inside(line.dir, async (factory) => {
      const [mandate] = await lineActions.listMandates(factory, {});
      assert.deepEqual([mandate!.state, name], ['altered', name]);
      assert.match(mandate!.fault!, fault);
      await assert.rejects(makeDevices(factory, ['vin-3']), { code: 'unavailable', message: fault }, name);
      // Whoever has the root can have the line go on: a good mandate counts beside the bad one.
      await lineActions.acceptBundle(factory, { bundle: more, root_sha256: null });
      assert.equal((await makeDevices(factory, ['vin-3'])).length, 1);
    });
  }
});

test('a mandate edited while the service runs is noticed at the next charge; one taken out comes back to nothing', async () => {
  await using line = await startLine({ quota: 1 });
  const bundle = await line.mandate({ quota: 1 });
  await using factory = await line.open();
  await makeDevices(factory, ['vin-1']);
  edit(line.dir, 'UPDATE mandates SET quota = 1000');
  await assert.rejects(makeDevices(factory, ['vin-2']), { code: 'unavailable', message: /quota is 1000 there/ });
  await lineActions.acceptBundle(factory, { bundle, root_sha256: null });
  await makeDevices(factory, ['vin-2']);
  // Each unit that is given back is noticed, also where as many were used at the start.
  edit(line.dir, 'UPDATE mandates SET quota = 1, used = 0');
  const given = { code: 'unavailable', message: /0 of it are used there, and 1 certificates are charged to it/ };
  await assert.rejects(makeDevices(factory, ['vin-3']), given);
  assert.match((await actions.verifyLog(factory, { heads: '' })).fault!, given.message);
  edit(
    line.dir,
    'UPDATE certificates SET mandate_id = (SELECT min(id) FROM mandates); ' +
      'UPDATE mandates SET used = (SELECT count(*) FROM certificates WHERE mandate_id = mandates.id)',
  );
  assert.deepEqual(
    (await faultsOfMandates(factory.records.read)).map(({ fault }) => fault.split(': ')[1]),
    ['2 certificates are charged to it, and 1 were signed.'],
  );
  edit(line.dir, 'PRAGMA foreign_keys = OFF; DELETE FROM mandates');
  await assert.rejects(lineActions.acceptBundle(factory, { bundle, root_sha256: null }), {
    message: /was brought before/,
  });
});

test('a bundle that is cut, edited, of another line or of another root changes nothing', { skip }, async () => {
  await using line = await startLine();
  await using other = await startLine();
  const [good, strange] = [await line.mandate(), await other.mandate()];
  const [ca, root, mandate] = blocksOf(good);
  const [otherCa, otherRoot, otherMandate] = blocksOf(strange);
  const jws = mandate!.bytes!.toString();
  const [header, payload, signature] = jws.split('.') as [string, string, string];
  const raised = { ...JSON.parse(Buffer.from(payload, 'base64url').toString()), quota: 1_000_000 };
  const edited = `${header}.${Buffer.from(JSON.stringify(raised)).toString('base64url')}.${signature}`;
  const unsigned = `${Buffer.from(JSON.stringify({ alg: 'none', typ: 'fleetroot-mandate-v1' })).toString('base64url')}.${payload}.`;
  const written = (...blocks: (typeof ca)[]) => blocks.map((one) => encodePem(one!.label, one!.bytes!)).join('');
  const withMandate = (text: string) => ({ label: mandate!.label, bytes: Buffer.from(text) });
  // A mandate of the line's root for another line of it: the bundle of one stick on the other.
  const elsewhere = await inside(line.rootDir, async (factory) => {
    const request = encodePem('CERTIFICATE REQUEST', newRequest('/CN=line-2'));
    return blocksOf((await sign(factory, request)).bundle);
  });
  const bundles: [string, string, RegExp][] = [
    ['nothing', '', /holds 0 certificate/],
    ['cut', good.slice(0, good.length - 60), /a FLEETROOT MANDATE in it is cut/],
    ['without a mandate', written(ca, root), /holds 0 mandates/],
    ['two mandates', written(ca, root, mandate, mandate), /holds 2 mandates/],
    ['with a private key', `${good}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n`, /private key/],
    ['too large', good + ' '.repeat(70_000), /larger than 64 KiB/],
    [
      'no certificate',
      written({ label: ca!.label, bytes: Buffer.from('3000', 'hex') }, root, mandate),
      /cannot be read/,
    ],
    ['a quota that was raised', written(ca, root, withMandate(edited)), /has been changed, or is signed by another/],
    ['no signature', written(ca, root, withMandate(unsigned)), /The mandate cannot be read/],
    ['no JWS', written(ca, root, withMandate('x')), /The mandate cannot be read/],
    ['whole, of another root', strange, /is of another Fleet Root/],
    ['its mandate alone', written(ca, root, otherMandate), /signed by another key/],
    ['its root alone', written(ca, otherRoot, mandate), /is of another Fleet Root/],
    ['its CA alone', written(otherCa, root, mandate), /another certificate of its CA|is not that of this line/],
    ['of another line', written(elsewhere[0], elsewhere[1], elsewhere[2]), /another certificate of its CA/],
    ['another line’s mandate', written(ca, root, elsewhere[2]), /is of the line "line-2", and not of "line-1"/],
  ];
  const ended = await line.mandate({ until: new Date(Date.now() + day).toISOString() });
  await inside(line.dir, async (factory) => {
    const before = await stateOf(factory);
    for (const [name, bundle, message] of bundles) {
      await assert.rejects(lineActions.acceptBundle(factory, { bundle, root_sha256: null }), { message }, name);
    }
    const wrong = lineActions.acceptBundle(factory, { bundle: good, root_sha256: other.root.sha256 });
    await assert.rejects(wrong, { code: 'certificate_unfit', message: /not the one that you gave/ });
    assert.deepEqual(await stateOf(factory), before);
  });
  await using late = await line.open({ clock: () => Date.now() + 2 * day });
  await assert.rejects(lineActions.acceptBundle(late, { bundle: ended, root_sha256: null }), {
    message: /The mandate has ended at/,
  });
});

function blocksOf(bundle: string) {
  const blocks = pemBlocks(bundle);
  assert.equal(blocks.length, 3);
  return blocks;
}

test('a new line takes no root that is none, and no CA that is not its own', { skip }, async () => {
  await using made = await startLine();
  const [ca, root, mandate] = blocksOf(await made.mandate());
  using openssl = new Openssl();
  openssl.run(
    `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -subj /CN=x -days 9 -out x.pem \
       -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign`,
  );
  const low = pemBlocks(openssl.read('x.pem').toString()).at(0)!;
  const written = (...blocks: (typeof ca)[]) => blocks.map((one) => encodePem(one!.label, one!.bytes!)).join('');
  const dir = made.file('fresh');
  await inside(dir, async (factory) => {
    await lineActions.requestLine(factory, { name: 'line-1', site: null, custodian: null });
    const take = (bundle: string) => lineActions.acceptBundle(factory, { bundle, root_sha256: null });
    await assert.rejects(take(written(ca, ca, mandate)), { message: /CN=line-1.* is no Fleet Root/ });
    await assert.rejects(take(written(ca, low, mandate)), { message: /CN=x is no Fleet Root/ });
    await assert.rejects(take(written(ca, root, mandate)), { message: /is not that of this line, "line-1"/ });
    assert.equal((await theLine(factory.records.read))!.ca_certificate, null);
    // A CA of this line's key and name that another root has signed, under the root that is shown.
    const { request } = await lineActions.requestLine(factory, { name: 'line-1', site: null, custodian: null });
    const forged = await inside(made.file('forger'), async (forger) => {
      await fleetRootActions.createRoot(forger, { name: 'Acme', key_type: 'p384', custodian: null });
      return blocksOf((await sign(forger, request)).bundle);
    });
    await assert.rejects(take(written(forged[0], root, mandate)), { code: 'certificate_unfit' });
    assert.equal((await theLine(factory.records.read))!.ca_certificate, null);
    assert.deepEqual(await mandatesOf(factory.records.read), []);
  });
});

test('a stand-by line has its own key, CA and mandate; two lines never share a key or a name', { skip }, async () => {
  await using first = await startLine({ name: 'line-1' });
  const dir = first.file('standby');
  const request = await inside(dir, async (factory) => {
    const made = await lineActions.requestLine(factory, { name: 'line-1b', site: null, custodian: null });
    const again = await lineActions.requestLine(factory, { name: 'line-1b', site: null, custodian: null });
    assert.equal(again.line.key_sha256, made.line.key_sha256);
    assert.deepEqual([made.new_key, again.new_key], [true, false]);
    const another = { name: 'line-9', site: null, custodian: null };
    await assert.rejects(lineActions.requestLine(factory, another), { message: /of the line "line-1b"/ });
    return again.request;
  });
  const bundle = await inside(first.rootDir, async (root) => {
    await assert.rejects(sign(root, newRequest('/CN=line-1')), {
      message: /There is a line "line-1" already, of another key/,
    });
    const signed = await sign(root, request, { quota: 4 });
    assert.deepEqual(
      (await fleetRootActions.listRootLines(root, {})).map(({ name, quota }) => [name, quota]),
      [
        ['line-1', 1_000],
        ['line-1b', 4],
      ],
    );
    return signed.bundle;
  });
  await assert.rejects(first.at('acceptBundle', { bundle, root_sha256: null }), { code: 'conflict' });
  const [device] = await inside(dir, async (factory) => {
    await lineActions.acceptBundle(factory, { bundle, root_sha256: first.root.sha256 });
    return makeDevices(factory, ['vin-1']);
  });
  const [ca] = parseCertificates(
    Buffer.from(bundle.slice(bundle.indexOf('-----BEGIN'), bundle.indexOf('-----BEGIN FLEETROOT'))),
  );
  const chain = Buffer.from(device! + certificateToPem(ca!.der));
  assert.equal(explainOffline([Buffer.from(first.root.certificate)], chain, Date.now()).admitted, true);
});

test('the root signs P-256 requests that are whole, and no mandate that makes no sense', { skip }, async () => {
  await using line = await startLine();
  const [good, again] = requestsOfOneKey('/CN=line-2', '/CN=line-3');
  const broken = Buffer.from(good);
  broken[broken.length - 1] = broken.at(-1)! ^ 1;
  const later = (days: number) => new Date(Date.now() + days * day).toISOString();
  const refused: [Buffer, Asked, RegExp][] = [
    [broken, {}, /signature was not made by the key/],
    [newRequest('/CN=line-2', 'rsa:2048'), {}, /A line's key is P-256/],
    [newRequest('/CN=line-2', 'ec -pkeyopt ec_paramgen_curve:P-384'), {}, /A line's key is P-256/],
    [newRequest('/CN=vin-1', undefined, ''), {}, /no request of a line: signed, its key could make devices/],
    [newRequest('/O=nobody'), {}, /is no name for a line/],
    [newRequest('/CN=-x'), {}, /is no name for a line/],
    [Buffer.from('?'), {}, /neither DER nor PEM nor base64/],
    [good, { until: later(-1) }, /The mandate would have ended already/],
    [good, { pattern: '(' }, /no regular expression/],
    [good, { order: 'a b' }, /is no name of an order/],
    [good, { ca_until: later(50 * 365) }, /would outlast the Fleet Root/],
    [good, { ca_until: later(10), until: later(20) }, /would outlast the line's CA/],
    [good, { ca_until: later(-1) }, /The line's CA would have ended already/],
  ];
  await inside(line.rootDir, async (root) => {
    const before = await logHead(root.records.read);
    for (const [request, asked, message] of refused) await assert.rejects(sign(root, request, asked), { message });
    assert.deepEqual(await logHead(root.records.read), before);
    await sign(root, good, { ca_until: later(100), until: later(99) });
    await assert.rejects(sign(root, good, { ca_until: later(100) }), { message: /its end stays as it is/ });
    await assert.rejects(sign(root, again), {
      code: 'conflict',
      message: /is that of the line "line-2", and two lines never share one/,
    });
  });
});

test('a root and a line do not share a directory, nor is there a second root in one; their logs tell of each', async () => {
  await using line = await startLine();
  const create = { name: 'Acme', key_type: 'p256', custodian: null } as const;
  const told = async ({ records }: Factory) =>
    (await logEntries(records.read, { first: 1, limit: 100 })).map(({ action }) => action);
  await inside(line.rootDir, async (factory) => {
    assert.deepEqual(await told(factory), ['key.create', 'fleet-root.create', 'line.issue', 'mandate.issue']);
    await assert.rejects(fleetRootActions.createRoot(factory, create), { message: /has a Fleet Root already/ });
    const request = { name: 'line-1', site: null, custodian: null };
    await assert.rejects(lineActions.requestLine(factory, request), { message: /does not sign its own mandate/ });
  });
  await inside(line.dir, async (factory) => {
    assert.deepEqual(await told(factory), ['key.create', 'line.create', 'line.certify', 'mandate.add']);
    await assert.rejects(fleetRootActions.createRoot(factory, create), { message: /does not sign its own mandate/ });
    await assert.rejects(sign(factory, 'x'), { message: /no Fleet Root in this directory/ });
  });
});

test(
  'the keys of root and line in tokens: the same chain, and neither key is ever here',
  { skip: needsSoftHsm() },
  async () => {
    using openssl = new Openssl();
    const { directory } = openssl;
    await using rootToken = tokenHome();
    await using lineToken = tokenHome();
    const settings = ({ label, pinFile }: typeof rootToken) => ({
      FLEETROOT_CUSTODY_DEFAULT: 'pkcs11',
      // On a busy machine a token takes its time.
      FLEETROOT_CUSTODY_TIMEOUT: '2m',
      FLEETROOT_PKCS11_MODULE: softhsmModule,
      FLEETROOT_PKCS11_TOKEN_LABEL: label,
      FLEETROOT_PKCS11_PIN_FILE: pinFile,
    });
    const atRoot = <T>(work: (factory: Factory) => Promise<T>) =>
      inside(`${directory}/root`, work, settings(rootToken));
    const atLine = <T>(work: (factory: Factory) => Promise<T>) =>
      inside(`${directory}/line`, work, settings(lineToken));
    const { request, line } = await atLine((factory) =>
      lineActions.requestLine(factory, { name: 'line-1', site: null, custodian: 'pkcs11' }),
    );
    assert.equal(line.custodian, 'pkcs11');
    const { root, bundle } = await atRoot(async (factory) => {
      const made = await fleetRootActions.createRoot(factory, { name: 'Acme', key_type: 'p384', custodian: null });
      assert.equal(made.custodian, 'pkcs11');
      return { root: made, bundle: (await sign(factory, request)).bundle };
    });
    const [device] = await atLine(async (factory) => {
      await lineActions.acceptBundle(factory, { bundle, root_sha256: root.sha256 });
      return makeDevices(factory, ['vin-1']);
    });
    writeFileSync(`${directory}/root.pem`, root.certificate);
    writeFileSync(`${directory}/line.pem`, bundle);
    writeFileSync(`${directory}/device.pem`, device!);
    openssl.run('openssl x509 -in line.pem -out ca.pem');
    assert.match(
      openssl.run('openssl verify -x509_strict -CAfile root.pem -untrusted ca.pem device.pem'),
      /device\.pem: OK/,
    );
    for (const token of [rootToken, lineToken]) {
      const objects = token.tool('--login', '--pin', token.pin, '--list-objects', '--type', 'privkey');
      assert.equal(objects.match(/Private Key Object/g)?.length, 1, objects);
    }
    // Asked again, the line does not make a second key.
    const again = await atLine((factory) =>
      lineActions.requestLine(factory, { name: 'line-1', site: null, custodian: null }),
    );
    assert.equal(again.line.key_sha256, line.key_sha256);
  },
);

test(
  "a server registers the root and admits the line's device; the sub-CA distrusted, it does not",
  { skip },
  async () => {
    await using line = await startLine();
    await using server = await Fleetroot.start();
    await server.json('account', 'create', 'plant', '--kind', 'production');
    await server.json('fleet-root', 'register', 'plant', line.rootFile);
    const [device] = await inside(line.dir, (factory) => makeDevices(factory, ['vin-1']));
    const ca = await inside(line.dir, async ({ records }) =>
      certificateToPem((await theLine(records.read))!.ca_certificate!),
    );
    const [chain, caFile] = [line.file('chain.pem'), line.file('ca.pem')];
    writeFileSync(chain, device! + ca);
    writeFileSync(caFile, ca);
    const explained = await server.command('explain', 'plant', chain, '--json');
    assert.deepEqual(JSON.parse(explained.stdout).admitted, true, explained.stdout);
    await server.json('fleet-root', 'distrust', 'plant', caFile);
    const after = await server.command('explain', 'plant', chain, '--json');
    assert.deepEqual(JSON.parse(after.stdout).admitted, false, after.stdout);
  },
);
