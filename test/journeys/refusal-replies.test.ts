// The last word to whoever is turned away: it arrives, whole, whatever is under way; or none is said at all.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import type { Device, Image } from '../support/image.ts';
import { Pki, type Credentials } from '../support/pki.ts';
import { needs } from '../support/require.ts';
import { type Attack, type Sequel, TlsClient } from '../support/tls-client.ts';

const versions = ['1.2', '1.3'] as const;
const megabyte = 1024 * 1024;

const post = (host: string, path: string, length: number, ...fields: string[]): string =>
  [`POST ${path} HTTP/1.1`, `Host: ${host}`, `Content-Length: ${length}`, ...fields, '', ''].join('\r\n');

describe('the reply to whoever is turned away', { skip: needs('cc', 'libssl', 'openssl', 'curl') }, () => {
  let fleetroot: Fleetroot;
  let client: TlsClient;
  let pki: Pki;
  let image: Image;
  let device: Device;
  let host: string;
  let stranger: Credentials;

  before(async () => {
    client = await TlsClient.build();
    pki = await Pki.open();
    fleetroot = await Fleetroot.start();
    await fleetroot.json('account', 'create', 'acme');
    image = await fleetroot.image('acme');
    device = await image.boot('dev-1');
    host = new URL(image.url).hostname;
    stranger = await (await pki.root('somebody')).device('somebody');
  });
  after(async () => {
    await fleetroot[Symbol.asyncDispose]();
    await pki[Symbol.asyncDispose]();
    await client[Symbol.asyncDispose]();
  });

  /** The same many times, two at a time. */
  async function times(count: number, attack: Omit<Attack, 'port'>): Promise<Sequel[]> {
    const sequels: Sequel[] = [];
    while (sequels.length < count) {
      const two = [0, 1].map(() => client.run({ port: fleetroot.port, sni: host, ...attack }));
      sequels.push(...(await Promise.all(two)));
    }
    return sequels;
  }

  for (const tls of versions) {
    test(`arrives while a megabyte is under way, 40 times of 40, with a certificate or without (TLS ${tls})`, async () => {
      const send = post(host, '/devices', megabyte) + 'x'.repeat(megabyte);
      for (const [as, code] of [
        [null, 'certificate_required'],
        [stranger, 'certificate_untrusted'],
      ] as const) {
        for (const { reply, end, sentAll } of await times(20, { tls, as, send, readLast: true })) {
          // A server that does not read on resets the connection, and a reset can overtake the reply.
          assert.deepEqual([reply?.status, reply?.json?.code, end, sentAll], [403, code, 'in order', true]);
        }
      }
    });

    test(`arrives for every other reason too: wrong host, wrong caller, too much, no HTTP (TLS ${tls})`, async () => {
      const body = 'x'.repeat(megabyte);
      for (const [send, status] of [
        [post('other.example', '/devices', megabyte) + body, 421],
        [post(host, '/devices', megabyte) + body, 403],
        [post(host, '/../device', megabyte) + body, 400],
        [post(host, '/director/ecus', megabyte) + body, 413],
        [`POST /director/ecus HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n${body}`, 413],
        [`${body}\r\n\r\n`, 400],
        [`GET /device HTTP/1.1\r\nX: ${body}\r\n\r\n`, 431],
        [`CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}\r\n\r\n${body}`, 400],
      ] as const) {
        for (const { reply, end, sentAll } of await times(4, { tls, as: device, send, readLast: true })) {
          const outcome = [reply?.status, typeof reply?.json.description, end, sentAll];
          assert.deepEqual(outcome, [status, 'string', 'in order', true], send.slice(0, 80));
        }
      }
    });
  }

  test('comes before the body where the client waits for leave to send it, and there is no leave', async () => {
    const send = post(host, '/devices', megabyte, 'Expect: 100-continue');
    for (const as of [null, stranger, device]) {
      const { received, reply } = await client.run({ port: fleetroot.port, sni: host, as, send });
      assert.equal(reply?.status, 403);
      assert.doesNotMatch(received, /100 Continue/);
    }
  });

  test('is minimal: a code, a sentence, and nothing that tells a stranger more', async () => {
    const { received } = await client.run({ port: fleetroot.port, sni: host, as: stranger, send: post(host, '/', 0) });
    const [head = '', body = ''] = received.split('\r\n\r\n');
    assert.deepEqual(Object.keys(JSON.parse(body)), ['code', 'description']);
    const names = head
      .split('\r\n')
      .slice(1)
      .map((field) => field.split(':')[0]!.toLowerCase());
    assert.deepEqual(names.toSorted(), ['connection', 'content-length', 'content-type', 'date', 'x-request-id']);
  });
});

describe('gateway.refusals = "silent"', { skip: needs('cc', 'libssl', 'openssl', 'curl') }, () => {
  test('ends whoever is turned away without a word, keeps it on record, and serves devices as ever', async () => {
    await using client = await TlsClient.build();
    await using fleetroot = await Fleetroot.start({ options: { 'gateway.refusals': 'silent' } });
    await fleetroot.json('account', 'create', 'acme');
    const image = await fleetroot.image('acme');
    const device = await image.boot('dev-1');
    const sni = new URL(image.url).hostname;
    for (const tls of versions) {
      for (const [as, send] of [
        [null, post(sni, '/devices', megabyte) + 'x'.repeat(megabyte)],
        [null, 'nonsense\r\n\r\n'],
        [device, post('other.example', '/devices', 0)],
        [device, post(sni, '/../x', 0)],
        [device, post(sni, '/devices', 2)],
        [device, `CONNECT ${sni} HTTP/1.1\r\n\r\n`],
      ] as const) {
        const { handshake, received } = await client.run({ port: fleetroot.port, sni, tls, as, send });
        assert.equal(handshake?.version, `TLSv${tls}`);
        assert.equal(received, '', send.slice(0, 40));
      }
      assert.equal((await device.whoAmI({ tls })).status, 200);
      assert.equal((await device.call('/nothing-here', { tls })).status, 404);
    }
    const wanted = ['certificate_required', 'misdirected_request', 'invalid_request', 'not_a_provisioning_key'];
    await eventually(async () => {
      const refusals: { code: string }[] = await fleetroot.json('refusal', 'list', 'acme');
      return wanted.every((code) => refusals.some((refusal) => refusal.code === code));
    });
  });
});
