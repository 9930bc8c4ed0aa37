// The roots of TPM makers that a factory pins: what is taken, what is refused, and what the log says of it.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { actions } from '../../src/factory/actions.ts';
import type { Factory } from '../../src/factory/factory.ts';
import { logEntries } from '../../src/factory/records/log.ts';
import { certificateToPem } from '../../src/x509/certificate.ts';
import { keyUsage, make, makeCa } from '../support/certificate-maker.ts';
import { startLine } from '../support/factory.ts';

suite('the roots of TPM makers', () => {
  const held = new AsyncDisposableStack();
  let factory: Factory;
  const root = makeCa('TPM maker');
  const issuer = makeCa('TPM maker 2', { by: root });

  before(async () => {
    const line = held.use(await startLine());
    factory = held.use(await line.open());
  });
  after(() => held.disposeAsync());

  const add = (...files: string[]) =>
    actions.addTpmRoots(factory, { file: Buffer.from(files.join('')).toString('base64') });
  const pem = ({ certificate }: { certificate: { der: Buffer } }): string => certificateToPem(certificate.der);
  const listed = async (): Promise<string[]> => (await actions.listTpmRoots(factory, {})).map(({ subject }) => subject);

  test('a file of several is pinned whole, and again without harm', async () => {
    const added = await add(pem(root), pem(issuer));
    assert.deepEqual(
      new Set(added.map(({ sha256 }) => sha256)),
      new Set([root, issuer].map((ca) => ca.certificate.sha256)),
    );
    assert.equal((await add(pem(root))).length, 1);
    assert.deepEqual((await listed()).toSorted(), ['CN=TPM maker', 'CN=TPM maker 2'].toSorted());
  });

  test('DER is taken too, and a root of X.509 version 1, as old makers have it', async () => {
    const old = make({ subject: 'Old maker', version: null });
    const [added] = await actions.addTpmRoots(factory, { file: old.certificate.der.toString('base64') });
    assert.ok(added);
    assert.equal(added.subject, 'CN=Old maker');
    await actions.removeTpmRoot(factory, { sha256: added.sha256 });
  });

  for (const [what, file, code] of [
    ['the certificate of one TPM', pem(make({ by: root, subject: 'tpm' })), 'certificate_unfit'],
    [
      'a certificate that signs no others',
      pem(make({ subject: 'leaf', extensions: [keyUsage('keyEncipherment')] })),
      'certificate_unfit',
    ],
    [
      'a root and a stranger',
      pem(makeCa('Other maker')) + pem(make({ by: root, subject: 'tpm' })),
      'certificate_unfit',
    ],
    ['no certificate', 'nothing', 'invalid_request'],
  ] as const) {
    test(`${what} is refused, and nothing of the file is pinned`, async () => {
      const before = await listed();
      await assert.rejects(add(file), { code });
      assert.deepEqual(await listed(), before);
    });
  }

  test('one that is removed counts no more; the log tells of both', async () => {
    const { sha256 } = issuer.certificate;
    await actions.removeTpmRoot(factory, { sha256 });
    await assert.rejects(actions.removeTpmRoot(factory, { sha256 }), { code: 'not_found' });
    assert.deepEqual(await listed(), ['CN=TPM maker']);
    const entries = await logEntries(factory.records.read, { first: 1, limit: 1_000 });
    const told = entries.filter(({ object_id }) => object_id === sha256).map(({ action }) => action);
    assert.deepEqual(told, ['tpm-root.add', 'tpm-root.remove']);
  });
});
