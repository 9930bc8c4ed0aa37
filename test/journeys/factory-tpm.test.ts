// Devices whose keys lie in a TPM (swtpm), from the key to the first call of the gateway: docs/keys-in-a-tpm.md, run as it stands.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { actions } from '../../src/factory/actions.ts';
import { logEntries } from '../../src/factory/records/log.ts';
import { readPublicArea } from '../../src/factory/tpm/public-area.ts';
import { parseCertificate, parseCertificates } from '../../src/x509/certificate.ts';
import { startLine, type TestLine } from '../support/factory.ts';
import {
  addPasswordStation,
  addStation,
  call,
  type Client,
  openService,
  type TestService,
} from '../support/factory-service.ts';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { needs } from '../support/require.ts';
import { makingRoom, type Tpm, tpmMaker, type TpmMaker, tpmOpenssl } from '../support/swtpm.ts';

const page = readFileSync(new URL('../../docs/keys-in-a-tpm.md', import.meta.url), 'utf8');

/** The shell lines of the page, by the name that stands after `sh`. */
const steps = new Map([...page.matchAll(/^```sh (\S+)\n([^]*?)^```$/gm)].map(([, name, script]) => [name!, script!]));

const skip = needs('swtpm', 'tpm2-tools', 'tpm2-openssl', 'bash', 'openssl', 'curl', 'unzip');

suite('a device with its key in a TPM', { skip }, () => {
  const held = new AsyncDisposableStack();
  let maker: TpmMaker;
  let tpm: Tpm;
  let line: TestLine;
  let service: TestService;
  let fleet: Fleet;
  let station: Client;
  let otherStation: Client;

  before(async () => {
    maker = held.use(await tpmMaker());
    tpm = await maker.make();
    line = held.use(await startLine());
    service = held.use(await openService(line));
    const { factory } = service;
    station = await addStation(line, factory, 'station-1');
    otherStation = await addPasswordStation(factory, 'station-2');
    await copyFile(join(line.dir, 'station-ca.crt'), join(station.station!, 'station-ca.crt'));
    await actions.addTpmRoots(factory, { file: maker.root().toString('base64') });
    const order = { order: 'boards', batch: null, proof: 'tpm', station: null } as const;
    await actions.openWindow(factory, { ...order, quota: 10, lasts: '8h' });
    const fleetroot = held.use(await Fleetroot.start());
    fleet = await Fleet.open(fleetroot, 'acme');
    await fleet.register({ certificate: line.rootFile });
    tpm.write('issuer.pem', maker.issuer());
    await run('key', 'ek');
  });
  after(() => held.disposeAsync());

  /** Runs steps of the page in one shell, each of which must succeed; gives what they print. */
  function run(...names: string[]): Promise<string> {
    const scripts = names.map((name) => steps.get(name) ?? assert.fail(`docs/keys-in-a-tpm.md has no step "${name}"`));
    const variables = { DEVICE: 'board-1', FACTORY: service.url, STATION: station.station!, ISSUER: 'issuer.pem' };
    return tpm.run(makingRoom + scripts.join(''), variables);
  }

  /** Has a station send JSON (or what shall be some) to one of the two calls. */
  const send = (path: string, body: object | string | Buffer, client = station) =>
    call(
      line,
      service.url + path,
      client,
      ['--data-binary', '@-'],
      typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
    );

  const base64 = (file: string): string => tpm.read(file).toString('base64');

  /** What is sent for a challenge of the key NAME.pub: NAME.csr with it, and the TPM's endorsement certificate. */
  const claim = (name: string, otherwise: object = {}) => ({
    request: tpm.read(`${name}.csr`).toString('utf8'),
    public: base64(`${name}.pub`),
    ek_certificate: base64('ek.der'),
    ...otherwise,
  });

  /** What there is to send to the second call for the key NAME. */
  async function challenged(name: string): Promise<{ id: string; secret: string }> {
    const { status, body } = await send('/tpm/challenge', claim(name));
    assert.equal(status, 200, body);
    const { id, credential, credential_blob, secret, expires_at } = JSON.parse(body);
    const parts = Buffer.concat([Buffer.from(credential_blob, 'base64'), Buffer.from(secret, 'base64')]);
    assert.deepEqual(Buffer.from(credential, 'base64').subarray(8), parts);
    assert.ok(Date.parse(expires_at) > Date.now());
    const answer = await tpm.activate(Buffer.from(credential, 'base64'), name, 'rsa2048');
    return { id, secret: answer.toString('base64') };
  }

  async function refused(
    path: string,
    body: object | string | Buffer,
    expected: { status: number; code: string; sentence: RegExp; client?: Client },
  ): Promise<void> {
    const answer = await send(path, body, expected.client);
    assert.equal(answer.status, expected.status, answer.body);
    const { code, description } = JSON.parse(answer.body);
    assert.equal(code, expected.code);
    assert.match(description, expected.sentence);
  }

  const notProved = { status: 403, code: 'tpm_proof_refused' };

  /**
   * `GET /device` over TLS 1.3 with the key in the TPM, which is nowhere else. tpm2-openssl has the TPM check signatures too,
   * and each public key takes one of its three places. Without a resource manager there is room for the gateway's key, not
   * for that of its CA: so an openssl without it checks the path first, and this one knows the key (RFC 7671 §5.1).
   */
  async function callGateway(handle: string, chain: string): Promise<any> {
    const { host, hostname, port } = new URL(fleet.image.url);
    tpm.write('request.http', `GET /device HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    const to = `-connect 127.0.0.1:${port} -servername ${hostname} -verify_return_error`;
    const said = await tpm.run(`
      openssl s_client ${to} -CAfile ${fleet.image.trusts} </dev/null 2>/dev/null >gateway.txt
      openssl x509 -in gateway.txt -noout -pubkey | openssl pkey -pubin -outform DER -out gateway.der
      ${tpmOpenssl} s_client ${to} -quiet -tls1_3 -cert ${chain} -cert_chain ${chain} -key handle:${handle} \
        -dane_tlsa_domain ${hostname} -dane_tlsa_rrdata "3 1 1 $(sha256sum gateway.der | cut -c 1-64)" \
        <request.http 2>s_client.log || { cat s_client.log; exit 1; }`);
    return JSON.parse(said.slice(said.indexOf('\r\n\r\n')));
  }

  test('an order that wants the proof is not served without it', async () => {
    const request = tpm.read('device.csr');
    const plain = await send('/sign', request);
    assert.equal(plain.status, 403);
    const { code, description } = JSON.parse(plain.body);
    assert.equal(code, 'tpm_proof_required');
    const sentence = /takes only keys that a TPM has proved to hold, by POST \/tpm\/challenge and POST \/tpm\/enroll/;
    assert.match(description, sentence);
    const est = await send('/.well-known/est/boards/simpleenroll', request);
    assert.equal(est.status, 403);
    assert.match(est.body, sentence);
  });

  test('proof, certificate, record, and the first call of the gateway', async () => {
    await run('challenge', 'answer', 'enroll');
    const [leaf, subCa, ...more] = parseCertificates(tpm.read('chain.pem'));
    assert.deepEqual(more, []);
    assert.equal(leaf!.subject.text, 'CN=board-1');
    assert.equal(leaf!.issuer.text, subCa!.subject.text);

    const entries = await logEntries(service.factory.records.read, { first: 1, limit: 1_000 });
    const [made] = entries.filter(({ action }) => action === 'certificate.make').map(({ body }) => JSON.parse(body));
    const ek = parseCertificate(tpm.endorsementCertificate('rsa2048'));
    assert.equal(made.after.tbs_sha256, leaf!.tbsSha256);
    assert.deepEqual(made.after.evidence, {
      kind: 'tpm',
      ek_sha256: ek.publicKey.sha256,
      ek_certificate_tbs_sha256: ek.tbsSha256,
      name: readPublicArea(tpm.read('device.pub')).name.toString('hex'),
    });

    const seen = await callGateway('0x81000010', 'chain.pem');
    assert.equal(seen.device_id, 'board-1');
    assert.equal(seen.account, 'acme');

    const replayed = { ...notProved, sentence: /answered before/ };
    await refused('/tpm/enroll', await readFile(tpm.file('answer.json')), replayed);
    const first = tpm.read('chain.pem').toString('utf8');
    await run('challenge', 'answer', 'enroll');
    assert.equal(tpm.read('chain.pem').toString('utf8'), first, 'another proof gives the same certificate');
    const [window] = await actions.listWindows(service.factory, { all: false });
    assert.equal(window?.used, 1, 'and costs nothing');
  });

  test('a repeat needs no window', async () => {
    const { factory } = service;
    const [window] = await actions.listWindows(factory, { all: false });
    await actions.closeWindow(factory, { id: window!.id });
    const { body } = await send('/tpm/enroll', await challenged('device'));
    assert.equal(body, tpm.read('chain.pem').toString('utf8'));
    await tpm.makeKey('late');
    await tpm.keep('late', '0x81000012');
    await tpm.run(`${tpmOpenssl} req -new -key handle:0x81000012 -subj /CN=board-9 -out late.csr`);
    await refused('/tpm/challenge', claim('late'), {
      status: 403,
      code: 'window_closed',
      sentence: /No window is open/,
    });
    const order = { order: 'boards', batch: null, proof: null, station: null } as const;
    await actions.openWindow(factory, { ...order, quota: 10, lasts: '8h' });
  });

  test('an imported key is refused, also with the public area of a good one', async () => {
    await tpm.run(`
      openssl ecparam -name prime256v1 -genkey -noout -out soft.pem
      openssl req -new -key soft.pem -subj /CN=board-2 -out soft.csr
      tpm2_import -Q -C primary.ctx -G ecc -i soft.pem -u soft.pub -r soft.priv
      tpm2_flushcontext -t`);
    await refused('/tpm/challenge', claim('soft'), { ...notProved, sentence: /no fixedTPM/ });
    const borrowed = claim('soft', { public: base64('device.pub') });
    await refused('/tpm/challenge', borrowed, { ...notProved, sentence: /of another key than the request/ });
  });

  test('what another station answers, or a guess, proves nothing; nor does a certificate of no TPM', async () => {
    await tpm.makeKey('second');
    await tpm.keep('second', '0x81000011');
    await tpm.run(`${tpmOpenssl} req -new -key handle:0x81000011 -subj /CN=board-3 -out second.csr`);
    const answer = await challenged('second');
    await refused('/tpm/enroll', answer, { ...notProved, sentence: /another station/, client: otherStation });
    const guess = { id: answer.id, secret: Buffer.alloc(32).toString('base64') };
    await refused('/tpm/enroll', guess, { ...notProved, sentence: /not the secret/ });
    await refused('/tpm/enroll', answer, { ...notProved, sentence: /answered before/ });
    const theirs = claim('second', { ek_certificate: line.root.certificate });
    await refused('/tpm/challenge', theirs, { ...notProved, sentence: /does not lead to a root/ });
    const { body } = await send('/tpm/enroll', await challenged('second'));
    assert.equal(parseCertificates(Buffer.from(body))[0]!.subject.text, 'CN=board-3');
  });

  test('what is malformed is told so', async () => {
    const invalid = { status: 400, code: 'invalid_request' };
    const cut = tpm.read('device.pub').subarray(0, 40).toString('base64');
    for (const [body, sentence] of [
      ['{', /no JSON/],
      ['[]', /The body must be object/],
      [{}, /request/],
      [claim('device', { public: 1 }), /public must be string/],
      [claim('device', { public: '!' }), /public is not base64/],
      [claim('device', { public: cut }), /says that it has 86 octets, and has 38/],
      [claim('device', { ek_certificate: 'AAAA' }), /The endorsement certificate: /],
      [claim('device', { request: 'x' }), /The base64 of the request is cut/],
    ] as const) {
      await refused('/tpm/challenge', body, { ...invalid, sentence });
    }
    await refused('/tpm/enroll', { id: 'x' }, { ...invalid, sentence: /secret/ });
    await refused('/tpm/enroll', { id: 'x', secret: 'AAAA' }, { ...notProved, sentence: /no such challenge/ });
    const large = { status: 413, code: 'body_too_large', sentence: /128 KiB/ };
    await refused('/tpm/enroll', ' '.repeat(200_000), large);
  });
});
