// Explain in the console: a certificate is dropped, and the page says whether it would get in; what is secret is not sent.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { axe, Console } from '../support/console.ts';
import { Fleet } from '../support/fleet.ts';
import { type Ca, Pki } from '../support/pki.ts';

describe('explain in the console', () => {
  let console: Console;
  let pki: Pki;
  let root: Ca;

  before(async () => {
    [console, pki] = await Promise.all([Console.open(), Pki.open()]);
    root = await pki.guideRoot('acme-vehicles');
  });
  after(() => Promise.all([console[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  test('a certificate that is dropped is explained: would it get in, as whom, and if not, why', async () => {
    await Fleet.open(console.server, 'asked', root);
    const page = await console.page('/accounts/asked/explain');
    await page.getByRole('heading', { name: 'What this answers' }).waitFor();
    assert.deepEqual(await axe(page), []);
    const file = page.locator('input[type=file]');
    const good = await root.guideDevice('pump-5');
    await file.setInputFiles(good.certificate);
    await page.getByText('It would get in').waitFor();
    await page.getByText('acme-vehicles', { exact: true }).waitFor();
    await page.getByText('CN=pump-5').waitFor();

    const der = pki.file('.der');
    await pki.openssl('x509', '-in', good.certificate, '-outform', 'der', '-out', der);
    await file.setInputFiles(der);
    await page.getByText('CN=pump-5').waitFor();

    const stranger = await pki.guideRoot('strange-root');
    await page
      .getByLabel('Or paste it, as PEM')
      .fill(await readFile((await stranger.guideDevice('pump-6')).certificate, 'utf8'));
    await page.getByRole('button', { name: 'Explain it' }).click();
    await page.getByText('It would be turned away').waitFor();
    await page.getByText('The device has not shown the CA').waitFor();
    assert.deepEqual(await axe(page), []);

    await page.context().close();
  });

  test('what is no certificate is not sent to be explained, in whatever form it is', async () => {
    await Fleet.open(console.server, 'kept', root);
    const page = await console.page('/accounts/kept/explain');
    const asked: string[] = [];
    page.on('request', (request) => void (request.method() === 'POST' && asked.push(request.url())));
    const device = await root.guideDevice('pump-9');
    const made = async (...words: string[]): Promise<string> => {
      const out = pki.file('.der');
      await pki.openssl(...words, '-out', out);
      return out;
    };
    const pkcs8 = ['pkcs8', '-topk8', '-in', device.key, '-outform', 'der'];
    const p12 = ['pkcs12', '-export', '-in', device.certificate, '-inkey', device.key, '-passout', 'pass:'];
    const keys = {
      PEM: device.key,
      'PKCS#8': await made(...pkcs8, '-nocrypt'),
      'PKCS#8, encrypted': await made(...pkcs8, '-passout', 'pass:secret'),
      'SEC 1': await made('ec', '-in', device.key, '-outform', 'der'),
      'PKCS#1': await made('rsa', '-in', await pki.newKey('rsa2048'), '-traditional', '-outform', 'der'),
      'PKCS#12': await made(...p12),
    };
    const der = await made('x509', '-in', device.certificate, '-outform', 'der');
    const others = {
      request: await made('req', '-new', '-key', device.key, '-subj', '/CN=pump-9'),
      text: await pki.write('nothing of the kind\n'),
    };
    const all = { key: { ...keys, 'behind a certificate': await pki.bundle(der, keys['PKCS#8']) }, other: others };
    const file = page.locator('input[type=file]');
    for (const [what, files] of Object.entries(all)) {
      for (const [name, path] of Object.entries(files)) {
        await file.setInputFiles({ name, mimeType: 'text/plain', buffer: await readFile(path) });
        await page.getByText(name, { exact: true }).waitFor();
        const words = what === 'key' ? 'This holds a private key' : 'This is no certificate, and has not been sent.';
        await page.getByRole('alert').getByText(words).waitFor();
      }
    }
    await file.setInputFiles(der);
    await page.getByText('It would get in').waitFor();
    assert.equal(asked.length, 1, asked.join(' '));
    await page.context().close();
  });
});
