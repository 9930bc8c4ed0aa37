// TLS sessions taken up again: who had one is served as if the handshake had been whole, and nobody becomes another.

import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { BackEnd } from '../support/back-end.ts';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import type { Image } from '../support/image.ts';
import { type Credentials, Pki } from '../support/pki.ts';
import { needs } from '../support/require.ts';
import { type Attack, type Sequel, TlsClient } from '../support/tls-client.ts';

const versions = ['1.2', '1.3'] as const;

const hour = 60 * 60 * 1000;
const hostOf = ({ url }: { url: string }): string => new URL(url).hostname;
const get = (host: string, path: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;

/** How a connection was made, and who was answered on it, or the code of the refusal; empty where nothing was said. */
function came({ handshake, reply, received }: Sequel): string {
  if (handshake === null) return 'no handshake';
  const answered = reply === null ? received : (reply.json.device_id ?? reply.json.code);
  return `${handshake.resumed ? 'resumed' : 'whole'}: ${answered}`;
}

function forgetChains(fleetroot: Fleetroot): void {
  using database = new DatabaseSync(fleetroot.file('registry.db'), { timeout: 10_000 });
  database.exec('UPDATE devices SET chain_id = NULL');
}

describe('a TLS session that is taken up again', { skip: needs('cc', 'libssl', 'openssl') }, () => {
  let client: TlsClient;
  let pki: Pki;
  let fleetroot: Fleetroot;
  let now = Date.now();
  before(async () => {
    client = await TlsClient.build();
    pki = await Pki.open();
    fleetroot = await Fleetroot.start({ clock: () => now });
  });
  after(async () => {
    await fleetroot[Symbol.asyncDispose]();
    await pki[Symbol.asyncDispose]();
    await client[Symbol.asyncDispose]();
  });

  /** Who comes under a host by each version of TLS; the sessions that are left are offered without any certificate. */
  class Visitor {
    readonly #host: string;
    readonly #as: Credentials | null;
    readonly #path: string;
    readonly #session = client.file(`session-${crypto.randomUUID()}`);

    constructor(as: Credentials | null, host: string, path = '/device') {
      this.#as = as;
      this.#host = host;
      this.#path = path;
    }

    /** The names that it comes under. */
    get home(): { sni: string; host: string } {
      return { sni: this.#host, host: this.#host };
    }

    /** Comes with whole handshakes, and keeps the sessions. */
    async comes(expected: string): Promise<void> {
      const host = this.#host;
      for (const tls of versions) {
        const hello = { sni: host, as: this.#as, sessionOut: this.#session + tls };
        assert.equal(came(await this.#run(tls, hello, host)), expected, `TLS ${tls}`);
      }
    }

    /** Comes again with the sessions: under its host, unless others are said. */
    async comesAgain(
      expected: string,
      { sni, host, what = '' }: { sni: string | undefined; host: string; what?: string } = this.home,
    ): Promise<void> {
      for (const tls of versions) {
        const sequel = await this.#run(tls, { sni, sessionIn: this.#session + tls }, host);
        assert.equal(came(sequel), expected, `${what}, SNI ${sni}, Host ${host}, TLS ${tls}`);
      }
    }

    #run(tls: (typeof versions)[number], hello: Partial<Attack>, host: string): Promise<Sequel> {
      return client.run({ port: fleetroot.port, tls, ...hello, send: get(host, this.#path) });
    }
  }

  /** A device of an account of its own that has come, and come again. */
  async function deviceThatCame() {
    const account = `of-${crypto.randomUUID().slice(0, 8)}`;
    await fleetroot.json('account', 'create', account);
    const image = await fleetroot.image(account);
    const visitor = new Visitor(await image.boot('dev-1'), hostOf(image));
    await visitor.comes('whole: dev-1');
    await visitor.comesAgain('resumed: dev-1');
    return { account, image, visitor };
  }

  describe('is of its account alone:', () => {
    let mine: Image;
    let other: Image;
    let device: Credentials;
    before(async () => {
      for (const account of ['mine', 'other']) await fleetroot.json('account', 'create', account);
      mine = await fleetroot.image('mine');
      other = await fleetroot.image('other');
      device = await mine.boot('dev-1');
      // Whoever names no host is served by the other account here, which has the address.
      await fleetroot.json('account', 'host', 'add', 'other', '127.0.0.1');
    });

    test('whatever names it is offered under', async () => {
      const [own, others] = [hostOf(mine), hostOf(other)];
      const key = (await mine.provisioner()) as Credentials;
      // Who is turned away is told so again, and why, though he shows less.
      const stranger = (await other.boot('stranger')) as Credentials;
      for (const [what, as, whole, resumed] of [
        ['a device', device, 'whole: dev-1', 'resumed: dev-1'],
        ['a provisioning key', key, 'whole: not_a_device', 'resumed: not_a_device'],
        ['a stranger', stranger, 'whole: certificate_untrusted', 'resumed: certificate_untrusted'],
        ['nobody', null, 'whole: certificate_required', 'resumed: certificate_required'],
      ] as const) {
        const visitor = new Visitor(as, own);
        await visitor.comes(whole);
        await visitor.comesAgain(resumed, { sni: own, host: own, what });
        await visitor.comesAgain('resumed: misdirected_request', { sni: own, host: others, what });
        await visitor.comesAgain('whole: certificate_required', { sni: others, host: others, what });
        await visitor.comesAgain('whole: misdirected_request', { sni: others, host: own, what });
        await visitor.comesAgain('whole: certificate_required', { sni: undefined, host: others, what });
        await visitor.comesAgain('whole: misdirected_request', { sni: undefined, host: own, what });
        await visitor.comesAgain('no handshake', { sni: 'nobody.example', host: own, what });
      }
    });

    test('also where the other account would let the device in: it makes a whole handshake there', async () => {
      const root = await pki.guideRoot('shared');
      const one = await Fleet.open(fleetroot, 'one', root);
      const two = await Fleet.open(fleetroot, 'two', root);
      const visitor = new Visitor(await root.guideDevice('both'), hostOf(one.image));
      await visitor.comes('whole: both');
      const host = hostOf(two.image);
      await visitor.comesAgain('whole: certificate_required', { sni: host, host });
    });

    test('a host that has gone to another account takes no session along', async () => {
      const host = 'moving.example';
      await fleetroot.json('account', 'host', 'add', 'mine', host);
      const visitor = new Visitor(device, host);
      await visitor.comes('whole: dev-1');
      await fleetroot.json('account', 'host', 'remove', 'mine', host);
      await fleetroot.json('account', 'host', 'add', 'other', host);
      await visitor.comesAgain('whole: certificate_required');
    });
  });

  describe('is judged anew, by a process that knows the certificate and by one that never saw it:', () => {
    const since: Record<string, { act: (account: string) => Promise<unknown>; expected: string }> = {
      'the device was revoked': {
        act: (account) => fleetroot.json('device', 'revoke', account, 'dev-1', '--yes'),
        expected: 'resumed: device_revoked',
      },
      'the device was suspended': {
        act: (account) => fleetroot.json('device', 'suspend', account, 'dev-1'),
        expected: 'resumed: device_suspended',
      },
      'the device was deleted': {
        act: (account) => fleetroot.json('device', 'delete', account, 'dev-1', '--yes'),
        expected: 'resumed: certificate_revoked',
      },
      'its certificate was revoked': {
        async act(account) {
          const [{ sha256 }] = await fleetroot.json('certificate', 'list', account, 'dev-1');
          await fleetroot.json('certificate', 'revoke', account, sha256);
        },
        expected: 'resumed: certificate_revoked',
      },
      'its Fleet Root CA was disabled': {
        async act(account) {
          const [{ name }] = await fleetroot.json('fleet-root', 'list', account);
          await fleetroot.json('fleet-root', 'disable', account, name, '--yes');
        },
        expected: 'resumed: fleet_root_ca_disabled',
      },
      'the key of its Fleet Root CA is distrusted': {
        async act(account) {
          const [{ certificates }] = await fleetroot.json('fleet-root', 'list', account);
          const file = await pki.write(certificates[0].certificate);
          await fleetroot.json('fleet-root', 'distrust', account, file, '--yes');
        },
        // A whole handshake might show another path: nothing is said.
        expected: 'resumed: ',
      },
      'the account was deleted': {
        act: (account) => fleetroot.json('account', 'delete', account, '--yes'),
        expected: 'no handshake',
      },
    };

    test('what has happened between its end and now counts', async () => {
      const as = await deviceThatCame();
      const key = new Visitor((await as.image.provisioner()) as Credentials, hostOf(as.image));
      await key.comes('whole: not_a_device');
      const [{ id }] = await fleetroot.json('provisioning-key', 'list', as.account);
      await fleetroot.json('provisioning-key', 'disable', as.account, id);
      const all: { what: string; expected: string; visitor: Visitor }[] = [];
      for (const [what, { act, expected }] of Object.entries(since)) {
        const { account, visitor } = await deviceThatCame();
        await act(account);
        all.push({ what, expected, visitor });
      }
      const check = async () => {
        await key.comesAgain('resumed: provisioning_key_disabled');
        for (const { what, expected, visitor } of all) await visitor.comesAgain(expected, { ...visitor.home, what });
        await as.visitor.comesAgain('resumed: dev-1');
      };
      await check();
      await fleetroot.restart();
      await check();
    });

    test('the intermediates that the device showed are on record, and for want of them nothing is served', async () => {
      const root = await pki.guideRoot('chained');
      const line = await root.intermediate('line');
      const fleet = await Fleet.open(fleetroot, 'chained', root);
      const device = await pki.chain(await line.guideDevice('dev-1'), line.certificate);
      const visitor = new Visitor(device, hostOf(fleet.image));
      await visitor.comes('whole: dev-1');
      await visitor.comesAgain('resumed: dev-1');
      // As of a device that came when intermediates were not kept yet.
      await fleetroot.restart(async () => forgetChains(fleetroot));
      await visitor.comesAgain('resumed: ');
      await visitor.comes('whole: dev-1');
      await fleetroot.restart();
      await visitor.comesAgain('resumed: dev-1');
    });

    test('a back end is told of the intermediates, too', async () => {
      await using backEnd = await BackEnd.open();
      backEnd.answer = (_, response) => response.end('{"device_id":"back end"}');
      const root = await pki.guideRoot('passed-on');
      const line = await root.intermediate('line');
      const { image } = await Fleet.open(fleetroot, 'passed-on', root);
      await fleetroot.json('upstream', 'set', 'passed-on', '/repo', `http://127.0.0.1:${backEnd.port}`);
      const device = await pki.chain(await line.guideDevice('dev-1'), line.certificate);
      const visitor = new Visitor(device, hostOf(image), '/repo');
      await visitor.comes('whole: back end');
      await visitor.comesAgain('resumed: back end');
      const [shown, ...others] = backEnd.asked.map(({ headers }) => headers['client-cert-chain']);
      assert.match(`${shown}`, /^:[\w+/=]+:/);
      assert.deepEqual(others, [shown, shown, shown]);
    });
  });

  describe('ends in time:', () => {
    test('a key of tickets counts for twelve hours, and takes every session with it', async () => {
      // Whatever key there was is past; the one that is made now counts at once.
      now += 24 * hour;
      await fleetroot.server.renewTicketKeys();
      const { visitor } = await deviceThatCame();
      now += 11 * hour;
      // The next key is known to all before it counts.
      await fleetroot.restart();
      await visitor.comesAgain('resumed: dev-1');
      now += hour;
      await visitor.comesAgain('whole: certificate_required');
    });

    test('no session outlives the certificate of its device', async () => {
      const { image } = await deviceThatCame();
      const { body } = await image.provision('for-a-day', { ttl: '1' });
      const visitor = new Visitor(await image.device(body), hostOf(image));
      now += 20 * hour;
      await fleetroot.server.renewTicketKeys();
      await visitor.comes('whole: for-a-day');
      await visitor.comesAgain('resumed: for-a-day');
      now += 5 * hour;
      await visitor.comesAgain('resumed: certificate_expired');
      await fleetroot.restart();
      await visitor.comesAgain('resumed: certificate_expired');
    });
  });
});

describe('where resumption is off', { skip: needs('cc', 'libssl') }, () => {
  test('no session is taken up again', async () => {
    await using client = await TlsClient.build();
    await using fleetroot = await Fleetroot.start({ options: { 'gateway.resumption': 'off' } });
    await fleetroot.json('account', 'create', 'acme');
    const image = await fleetroot.image('acme');
    const device = await image.boot('dev-1');
    const [host, port] = [hostOf(image), fleetroot.port];
    for (const tls of versions) {
      const session = client.file(`session-${tls}`);
      const hello = { port, tls, sni: host, send: get(host, '/device') };
      assert.equal(came(await client.run({ ...hello, as: device, sessionOut: session })), 'whole: dev-1');
      assert.equal(came(await client.run({ ...hello, sessionIn: session })), 'whole: certificate_required');
    }
  });
});
