// What a factory certifies: what policy says and nothing that a request asks for, once for each key and each device ID.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { after, before, test } from 'node:test';
import { loadConfig } from '../../src/config.ts';
import { actions } from '../../src/factory/actions.ts';
import { takeCommands } from '../../src/factory/control.ts';
import { openFactory } from '../../src/factory/factory.ts';
import { keyFor } from '../../src/factory/records/keys.ts';
import { signCertificationRequest } from '../../src/issuing/certification-request.ts';
import { openLog } from '../../src/log.ts';
import { Problem } from '../../src/problem.ts';
import { explainOffline, identify } from '../../src/provisioning/device-identity.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { commonName } from '../../src/x509/name.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { make, newKey } from '../support/certificate-maker.ts';
import { requestFor } from '../support/factory-batch.ts';
import {
  addStation,
  ask,
  type OpenLine,
  openLine,
  openWindow,
  outcome,
  type Wanted,
} from '../support/factory-enrolment.ts';
import { succeed } from '../support/process.ts';

let open: OpenLine;

before(async () => {
  open = await openLine({ pattern: '[a-z]+-.*' });
});

after(() => open[Symbol.asyncDispose]());

/** Opens a window for an order of the test's own; gives how its devices ask. */
async function anOrder(order: string): Promise<(wanted?: Wanted) => ReturnType<typeof ask>> {
  await openWindow(open.factory, { order });
  return (wanted) => ask(open, { order, ...wanted });
}

/** The sentence and the code that something is refused with. */
async function refusal(asked: Promise<unknown>): Promise<string> {
  const error = await asked.then(
    () => assert.fail('it was not refused'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Problem, String(error));
  return `${error.code}: ${error.message}`;
}

/** What openssl is told to ask for: everything that a device's certificate must not have. */
const greedy = `
[req]
distinguished_name = subject
req_extensions = wanted
prompt = no
[subject]
1.CN = dev-1
2.CN = gateway.acme.example
O = Somebody Else
OU = Fleet Root CA
[wanted]
basicConstraints = critical, CA:TRUE, pathlen:3
keyUsage = critical, keyCertSign, cRLSign
extendedKeyUsage = serverAuth, codeSigning
subjectAltName = DNS:gateway.acme.example, email:root@acme.example
`;

test('a certificate is what policy says, and shows nothing that its request asks for', async () => {
  const { line, factory } = open;
  const ask = await anOrder('greedy');
  await writeFile(line.file('greedy.cnf'), greedy);
  const words = ['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-sha384'];
  const request = await succeed('openssl', [
    ...[...words, '-keyout', line.file('dev.key'), '-config', line.file('greedy.cnf')],
  ]);
  assert.match(await succeed('openssl', ['req', '-noout', '-text'], { input: request }), /CA:TRUE, pathlen:3/);
  const { certificate, line: ready, deviceId } = await ask({ request });
  assert.equal(deviceId, 'dev-1', 'the first common name');

  const pem = encodePem('CERTIFICATE', certificate);
  const text = await succeed('openssl', ['x509', '-noout', '-text'], { input: pem });
  assert.match(text, /Subject: CN = dev-1\n/);
  assert.match(text, /Digital Signature\n/);
  assert.match(text, /TLS Web Client Authentication\n/);
  assert.doesNotMatch(text, /CA:TRUE|Certificate Sign|Web Server|Code Signing|Alternative Name|acme\.example|Somebody/);
  const names = [...text.matchAll(/^ {12}(X509v3 [^:]+):/gm)].map(([, name = '']) => name);
  const own = ['Authority Key Identifier', 'Extended Key Usage', 'Key Usage', 'Subject Key Identifier'];
  assert.deepEqual(
    names.toSorted(),
    own.map((name) => `X509v3 ${name}`),
    'and no other extension',
  );

  const anchors = [{ id: 'root', certificate: ready.root }];
  const trust = { anchors, intermediates: [ready.ca.certificate], excluded: new Set<string>() };
  assert.equal(identify([parseCertificate(certificate)], trust, factory.clock()).kind, 'identified');
  const chain = Buffer.from(pem + encodePem('CERTIFICATE', ready.ca.certificate.der));
  const explained = explainOffline([await readFile(line.rootFile)], chain, factory.clock());
  assert.equal(explained.admitted, true, JSON.stringify(explained));
});

test('P-256, P-384 and RSA of 2,048 bits and more are certified, and nothing else', async () => {
  const ask = await anOrder('keys');
  for (const namedCurve of ['P-256', 'P-384']) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
    const key = { privateKey, spki: publicKey.export({ type: 'spki', format: 'der' }) };
    assert.equal(await outcome(ask({ id: `curve-${namedCurve}`, key })), 'issued');
  }
  for (const key of [newKey('P-521'), newKey('secp256k1')]) {
    assert.match(await refusal(ask({ id: 'curve-1', key })), /^key_not_accepted: The key is on the curve/);
  }
  for (const [bits, expected] of [
    [2048, 'issued'],
    [1024, 'key_not_accepted'],
  ] as const) {
    const words = ['req', '-new', '-newkey', `rsa:${bits}`, '-nodes', '-keyout', open.line.file(`${bits}.key`)];
    const request = await succeed('openssl', [...words, '-subj', `/CN=rsa-${bits}`]);
    assert.equal(await outcome(ask({ request })), expected);
  }
  const stolen = requestFor('dev-1', { spki: newKey().spki, privateKey: newKey().privateKey });
  assert.match(await refusal(ask({ request: stolen })), /^invalid_request: .*signature was not made by the key/);
  assert.match(
    await refusal(ask({ id: '1' })),
    /^mandate_missing: No mandate .* covers the device "1" of the order "keys"/,
  );
});

test('the keys of CAs, of stations and of TPM makers are no devices’', async () => {
  const { line, factory } = open;
  const ask = await anOrder('no-devices');
  const subject = [{ type: commonName, value: 'dev-ca' }];

  const lineKey = (await keyFor(factory.records.read, 'line'))!;
  const ofLine = encodePem('CERTIFICATE REQUEST', await signCertificationRequest(factory.keys, lineKey, subject));
  assert.match(await refusal(ask({ request: ofLine })), /^key_not_accepted: The key is that of the line's own CA/);

  await using root = await openFactory(loadConfig({ dataDir: line.rootDir, env: {} }), { log: openLog('silent') });
  const rootKey = (await keyFor(root.records.read, 'factory-root'))!;
  const ofRoot = encodePem('CERTIFICATE REQUEST', await signCertificationRequest(root.keys, rootKey, subject));
  assert.match(await refusal(ask({ request: ofRoot })), /^key_not_accepted: The key is that of the Fleet Root/);

  const station = newKey();
  const proof = { kind: 'key', public_key: station.spki.toString('base64') } as const;
  await actions.addStation(factory, { name: 'bench-2', networks: [], address: null, proof });
  assert.match(await refusal(ask({ key: station })), /^key_not_accepted: The key is that of the station "bench-2"/);

  const { certificate, key } = make({ subject: 'TPM Maker Root' });
  await actions.addTpmRoots(factory, { file: certificate.der.toString('base64') });
  assert.match(await refusal(ask({ key })), /^key_not_accepted: The key is that of a TPM maker/);
});

test('of a station and a device that bring one key at once, one has it', async () => {
  const { factory } = open;
  const ask = await anOrder('one-key');
  const key = newKey();
  const proof = { kind: 'key', public_key: key.spki.toString('base64') } as const;
  const settled = await Promise.allSettled([
    actions.addStation(factory, { name: 'bench-4', networks: [], address: null, proof }),
    ask({ id: 'one-1', key }),
  ]);
  const refused = settled.filter((each) => each.status === 'rejected');
  assert.equal(refused.length, 1);
  assert.match(String(refused[0]!.reason.code), /^key_(in_use|not_accepted)$/);
});

test('a repeat is safe: the same again, never another key for an ID, nor a key for another ID', async () => {
  const { factory } = open;
  const ask = await anOrder('repeats');
  const [first, second] = [newKey(), newKey()];
  const made = await ask({ id: 'same-1', key: first });
  assert.equal(made.outcome, 'issued');
  const again = await ask({ id: 'same-1', key: first });
  assert.equal(again.outcome, 'same');
  assert.deepEqual(again.certificate, made.certificate);
  assert.equal(again.charged, null);

  assert.match(await refusal(ask({ id: 'same-1', key: second })), /^device_already_registered: .* of another key\.$/);
  assert.match(await refusal(ask({ id: 'same-2', key: first })), /^key_in_use: The key is that of the device "same-1"/);

  const withdrawn = await actions.rework(factory, { device_id: 'same-1' });
  assert.equal(withdrawn.serial, parseCertificate(made.certificate).serial);
  assert.match(await refusal(ask({ id: 'same-1', key: first })), /^key_in_use: .*has been withdrawn\.$/);
  assert.match(await refusal(ask({ id: 'same-2', key: first })), /^key_in_use: .*has been withdrawn\.$/);
  const anew = await ask({ id: 'same-1', key: second });
  assert.equal(anew.outcome, 'issued');
  assert.match(
    await refusal(actions.rework(factory, { device_id: 'no-9' })),
    /^not_found: .*"no-9" has no certificate/,
  );

  // A closed window is no reason to leave a device without the certificate that it has.
  const windows = await actions.listWindows(factory, { all: false });
  await actions.closeWindow(factory, { id: windows.find(({ order }) => order === 'repeats')!.id });
  assert.deepEqual((await ask({ id: 'same-1', key: second })).certificate, anew.certificate);
  assert.equal(await outcome(ask({ id: 'same-3' })), 'window_closed');
});

test('asked several times at once, one certificate is made and all have it', async () => {
  const ask = await anOrder('at-once');
  const key = newKey();
  const all = await Promise.all(Array.from({ length: 8 }, () => ask({ id: 'once-1', key })));
  assert.deepEqual(all.map((each) => each.outcome).toSorted(), ['issued', ...Array(7).fill('same')]);
  assert.equal(new Set(all.map(({ certificate }) => certificate.toString('hex'))).size, 1);
  const two = await Promise.all([newKey(), newKey()].map((each) => outcome(ask({ id: 'once-2', key: each }))));
  assert.deepEqual(two.toSorted(), ['device_already_registered', 'issued']);
});

test('a device that shows its certificate has another for a new key; the first is withdrawn', async () => {
  const ask = await anOrder('shown');
  const keys = [newKey(), newKey(), newKey(), newKey()] as const;
  const certificate = parseCertificate((await ask({ id: 'shown-1', key: keys[0] })).certificate);
  const shown = { certificate, alone: true };
  const raced = await Promise.all([keys[1], keys[2]].map((key) => outcome(ask({ id: 'shown-1', key, shown }))));
  assert.deepEqual(raced.toSorted(), ['device_already_registered', 'issued'], 'one key takes its place, not two');
  assert.equal(await outcome(ask({ id: 'shown-1', key: keys[3], shown })), 'device_already_registered');
  for (const id of ['shown-2', 'Shown-1', 'shown-1 ']) {
    assert.match(await refusal(ask({ id, key: newKey(), shown })), /^device_id_/, 'no other ID is had by it');
  }
  await actions.rework(open.factory, { device_id: 'shown-1' });
  assert.match(
    await refusal(ask({ id: 'shown-1', key: keys[3], shown })),
    /^device_already_registered: .*withdrawn\.$/,
  );
  const states = (await actions.showCertificates(open.factory, { id: 'shown-1' })).map(({ state }) => state);
  assert.deepEqual(states, ['withdrawn', 'withdrawn']);
});

test('what a TPM has proved is replaced by nothing less', async () => {
  const ask = await anOrder('proved');
  const sha256 = 'a'.repeat(64);
  const evidence = {
    kind: 'tpm',
    ek_sha256: sha256,
    ek_certificate_tbs_sha256: sha256,
    name: `000b${sha256}`,
  } as const;
  const key = newKey();
  const made = await ask({ id: 'tpm-1', key, evidence });
  const shown = { certificate: parseCertificate(made.certificate), alone: false };
  assert.match(
    await refusal(ask({ id: 'tpm-1', shown })),
    /^tpm_proof_required: .*POST \/tpm\/challenge and POST \/tpm\/enroll/,
  );
  assert.equal(await outcome(ask({ id: 'tpm-1', key, shown })), 'same');
});

test('an order that has a list takes the device IDs on it, and one for TPMs takes no other proof', async () => {
  const { factory } = open;
  await actions.addOrder(factory, { name: 'listed', batch: 'b-1', proof: 'station', devices: ['list-1', 'list-2'] });
  await actions.addOrder(factory, { name: 'tpms', batch: null, proof: 'tpm', devices: null });
  const ofList = await anOrder('listed');
  const ofTpms = await anOrder('tpms');
  assert.match(
    await refusal(ofList({ id: 'list-3' })),
    /^device_id_not_allowed: .*"list-3" is not on the list of "listed"/,
  );
  assert.equal(await outcome(ofList({ id: 'list-1' })), 'issued');
  assert.match(
    await refusal(ofList({ id: 'list-2', order: null })),
    /^window_closed: Windows are open for \d orders: /,
  );
  assert.deepEqual((await actions.showOrder(factory, { name: 'listed' })).not_made, ['list-2']);
  assert.equal(await outcome(ofTpms({ id: 'list-2' })), 'tpm_proof_required');
  assert.match(await refusal(ofList({ order: 'none' })), /^window_closed: No window is open for the order "none"/);
});

test('an entry says who: the station for a certificate, persons for what persons do', async () => {
  const { factory, station, line } = open;
  const ask = await anOrder('who');
  await ask({ id: 'who-1' });
  const [made] = await actions.listLog(factory, { action: 'certificate.make', object: 'who-1', limit: 10 });
  assert.deepEqual(made?.by, { kind: 'station', name: station.name, address: null });
  assert.equal(made.after?.['station'], station.name);
  const [shown] = await actions.showCertificates(factory, { id: 'who-1' });
  assert.deepEqual([shown?.made_by, shown?.order, shown?.evidence], [made.by, 'who', { kind: 'station' }]);

  await using commands = await takeCommands(factory);
  await line.at('rework', { device_id: 'who-1' });
  const [withdrawn] = await actions.listLog(factory, { action: 'certificate.withdraw', object: 'who-1', limit: 10 });
  assert.deepEqual(withdrawn?.by, { kind: 'operator', name: userInfo().username, address: null });
  assert.ok(commands);
});

test('a station that was removed asks for nothing more, whatever it was taken for before', async () => {
  const { factory } = open;
  const order = 'gone';
  await openWindow(factory, { order });
  const station = await addStation(factory, 'bench-3');
  assert.equal(await outcome(ask(open, { id: 'gone-1', order, station })), 'issued');
  await actions.removeStation(factory, { name: 'bench-3' });
  assert.equal(await outcome(ask(open, { id: 'gone-2', order, station })), 'station_unknown');
});

test('after all that the log and the records agree', async () => {
  const { fault } = await actions.verifyLog(open.factory, { heads: '' });
  assert.equal(fault, null);
});
