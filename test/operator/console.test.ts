// How the web console is served: compressed as the browser takes it, kept by name, under a policy that lets nothing inline in.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Fleetroot } from '../support/fleetroot.ts';

describe('the console’s files', () => {
  let fleetroot: Fleetroot;
  let script: string;

  const at = (path: string, headers: Record<string, string> = {}) =>
    fetch(`http://127.0.0.1:${fleetroot.server.operatorPort}${path}`, { headers });

  before(async () => {
    fleetroot = await Fleetroot.start();
    script = /src="([^"]+)"/.exec(await (await at('/')).text())![1]!;
  });
  after(() => fleetroot[Symbol.asyncDispose]());

  test('come as the browser takes them, the same in each coding, and are kept for good by their names', async () => {
    const plain = await at(script, { 'accept-encoding': 'identity' });
    const text = await plain.text();
    for (const [accepted, coding] of [
      ['gzip, deflate, br, zstd', 'br'],
      ['gzip', 'gzip'],
      ['BR;q=1.0, gzip;q=0.5', 'br'],
      ['br;q=0, gzip', 'gzip'],
      ['br;q=0.000', null],
      ['brotli', null],
    ] as const) {
      const answer = await at(script, { 'accept-encoding': accepted });
      assert.equal(answer.headers.get('content-encoding'), coding, accepted);
      assert.equal(answer.headers.get('vary'), 'accept-encoding');
      assert.match(answer.headers.get('cache-control')!, /immutable/);
      assert.equal(answer.headers.get('content-type'), 'text/javascript; charset=utf-8');
      assert.equal(await answer.text(), text, accepted);
    }
  });

  test('that are none are not there, however they are named', async () => {
    for (const name of ['none.js', '..%2findex.html', '%2e%2e%2f%2e%2e%2fpackage.json', '__proto__', 'constructor.js'])
      assert.equal((await at(`/assets/${name}`)).status, 404, name);
  });

  test('each page has a nonce of its own, for style sheets alone, and is not kept', async () => {
    const nonces = new Set<string>();
    for (const path of ['/', '/accounts/acme/devices?text=pump', '/server/audit', '/me']) {
      const page = await at(path);
      const policy = page.headers.get('content-security-policy')!;
      const [, nonce = ''] = /style-src 'self' 'nonce-([^']+)'/.exec(policy) ?? [];
      nonces.add(nonce);
      assert.match(policy, /default-src 'none';script-src 'self';/);
      assert.doesNotMatch(policy, /unsafe/);
      assert.equal(page.headers.get('cache-control'), 'no-store');
      assert.ok((await page.text()).includes(`nonce="${nonce}"`), path);
    }
    assert.equal(nonces.size, 4);
  });
});
