// Where the server connects to on behalf of others: nowhere inside, however it is written and whatever a name says.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { describe, test } from 'node:test';
import { createOutbound, type Outbound, parseAllowed } from '../src/outbound.ts';
import { Problem } from '../src/problem.ts';
import { BackEnd } from './support/back-end.ts';

const code = (expected: string) => (error: unknown) => error instanceof Problem && error.code === expected;

/** Asks for a URL through its agent and gives the status. */
async function ask(outbound: Outbound, text: string): Promise<number> {
  const url = new URL(text);
  const request = (url.protocol === 'https:' ? https : http).request(url, { agent: outbound.agent(url) }).end();
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  response.resume();
  return response.statusCode ?? 0;
}

/** What is not public: each range of IANA's special-purpose registries, and each way of writing an address. */
const inside = [
  ...['127.0.0.1', '127.1', '127.8.8.8', '2130706433', '0x7f000001', '0x7f.1', '0177.0.0.1', '017700000001'],
  ...['0.0.0.0', '0', '0.1.2.3', '10.0.0.1', '172.16.0.1', '192.168.1.1', '169.254.169.254', '0xa9fea9fe'],
  ...['100.64.0.1', '100.100.100.200', '168.63.129.16', '192.0.0.192', '192.0.2.1', '198.18.0.1', '224.0.0.1'],
  ...['240.0.0.1', '255.255.255.255', '%31%32%37.0.0.1', '１２７.0.0.1', '127。0。0。1', '127.0.0.1.'],
  ...['[::1]', '[::]', '[::127.0.0.1]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::ffff:0:127.0.0.1]'],
  ...['[64:ff9b::127.0.0.1]', '[64:ff9b::a9fe:a9fe]', '[64:ff9b:1::1]', '[2002:7f00:1::]', '[2001::1]', '[100::1]'],
  ...['[fe80::1]', '[fec0::1]', '[fc00::1]', '[fd00:ec2::254]', '[ff02::1]', '[2001:db8::1]', '[4000::1]', '[5f00::1]'],
  ...['localhost', 'LOCALHOST', 'localhost.', 'a.localhost'],
];

describe('what is not public', () => {
  for (const host of inside) {
    test(`${host} is refused when it is named and when it is connected to`, async () => {
      const outbound = createOutbound([]);
      const url = `https://${host}/`;
      assert.throws(() => outbound.requireUrl(url), code('destination_not_allowed'));
      await assert.rejects(ask(outbound, url), code('destination_not_allowed'));
    });
  }
});

test('what is public is let through by HTTPS, and by nothing else', () => {
  const outbound = createOutbound([]);
  for (const url of [
    'https://hooks.example/',
    'https://8.8.8.8:8443/x?y',
    'https://[2606:4700::1111]/',
    'https://[64:ff9b::808:808]/',
  ]) {
    assert.equal(outbound.requireUrl(url).href, url);
  }
  for (const url of ['http://hooks.example/', 'http://8.8.8.8/']) {
    assert.throws(() => outbound.requireUrl(url), code('destination_not_allowed'));
  }
  const others = [
    'ftp://a.example/',
    'file:///etc/passwd',
    'gopher://a.example',
    'https:///',
    'a.example',
    '',
    'javascript:1',
  ];
  for (const url of [...others, 'https://a:b@c.example/', 'https://a@c.example/', 'https://c.example/#x']) {
    assert.throws(() => outbound.requireUrl(url), code('invalid_request'), url);
  }
});

test('a name counts by every address that it has at the moment of each connection', async () => {
  await using receiver = await BackEnd.open();
  const { port } = receiver;
  const answers: string[][] = [['8.8.8.8', '127.0.0.1'], ['127.0.0.1'], ['::ffff:127.0.0.1'], ['fd00::1'], []];
  const rebinding = createOutbound([], async () => answers.shift() ?? ['127.0.0.1']);
  const times = answers.length + 1;
  for (let at = 0; at < times; at += 1) {
    await assert.rejects(ask(rebinding, `https://rebinding.example:${port}/`), code('destination_not_allowed'));
  }
  const unknown = createOutbound([], async () => {
    throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' });
  });
  const told = (outbound: Outbound) => ask(outbound, 'https://inner.example/').catch(({ message }: Error) => message);
  // Whether there is such a name inside is not told.
  assert.equal(await told(unknown), await told(createOutbound([], async () => ['10.0.0.1'])));
  assert.deepEqual(receiver.asked, []);
});

test('what the setting allows is connected to, without encryption too, and by one look-up alone', async () => {
  await using receiver = await BackEnd.open();
  const { port } = receiver;
  const looked: string[] = [];
  const resolve = async (host: string) => {
    looked.push(host);
    // A second answer would lead elsewhere: the first is the one that was found good.
    return looked.length > 1 ? ['192.0.2.1'] : ['127.0.0.1'];
  };
  assert.equal(await ask(createOutbound(['127.0.0.0/8'], resolve), `http://inner.example:${port}/`), 200);
  assert.deepEqual(looked, ['inner.example']);
  assert.equal(await ask(createOutbound(['127.0.0.1']), `http://127.0.0.1:${port}/`), 200);
  assert.equal(
    await ask(
      createOutbound(['Inner.Example'], async () => ['127.0.0.1']),
      `http://inner.example:${port}/`,
    ),
    200,
  );
  const other = createOutbound(['inner.example', '10.0.0.0/8'], async () => ['127.0.0.1']);
  await assert.rejects(ask(other, `http://outer.example:${port}/`), code('destination_not_allowed'));
  await assert.rejects(ask(other, `http://127.0.0.1:${port}/`), code('destination_not_allowed'));
});

test('the setting takes addresses, networks and host names', () => {
  for (const entry of ['10.0.0.1', '10.0.0.0/8', 'fd00::/8', '::1', 'hooks.acme.internal', 'a_b']) {
    assert.notEqual(parseAllowed(entry), null, entry);
  }
  for (const entry of [
    '',
    '10.0.0',
    '10.0.0.0/33',
    'https://a.example',
    'a.example:443',
    'a b',
    '*.example',
    '-a',
    '1.2.3.4.5',
  ]) {
    assert.equal(parseAllowed(entry), null, entry);
  }
});
