// Manifests as they may come: cut, forged, out of order, rolled back, from elsewhere; each gets its sentence, and nothing is taken.

import assert from 'node:assert/strict';
import { createHash, createHmac, createPrivateKey, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { CompactSign } from 'jose';
import { mandateType } from '../../src/manifest/mandate.ts';
import { longestManifest, type ManifestPayload, manifestType } from '../../src/manifest/manifest.ts';
import { hashBeforeFirst, hashOfEntry } from '../../src/registry/audit-chain.ts';
import { parseCertificates } from '../../src/x509/certificate.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { type OperatorAnswer, operatorCall } from '../support/operator-call.ts';
import { type Ca, type Credentials, Pki } from '../support/pki.ts';

const lineExtensions = ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign'];
const day = 24 * 60 * 60 * 1000;
const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
const certificateOf = async (file: string) => parseCertificates(await readFile(file))[0]!;

/** One that a log tells of; its key and its certificate are those of its name. */
interface Told {
  readonly id: string;
  readonly key?: string;
  readonly tbs?: string;
  readonly action?: 'make' | 'withdraw';
  readonly order?: string;
  readonly mandate?: string;
  readonly at?: number;
}

/** A line that says what a test has it say. */
class Forger {
  readonly ca: Credentials;
  readonly root: Ca;
  readonly log = randomUUID();
  readonly mandate = randomUUID();
  readonly mandates: string[] = [];
  readonly bodies: string[] = [];
  readonly name: string;

  constructor(ca: Credentials, root: Ca, name: string) {
    this.ca = ca;
    this.root = root;
    this.name = name;
  }

  /** Has the log tell of something else. */
  note(action: string, at = Date.now()): this {
    this.bodies.push(JSON.stringify({ at: new Date(at).toISOString(), action, after: null }));
    return this;
  }

  /** Has the log tell of certificates. */
  tell(...told: readonly Told[]): this {
    for (const { id, key = id, tbs = `${id}-${key}`, action = 'make', order = 'o1', mandate, at } of told) {
      const after = {
        device_id: id,
        tbs_sha256: digest(tbs),
        public_key_sha256: digest(`${key}-key`),
        serial: digest(tbs).slice(0, 32),
        not_after: new Date(Date.now() + day).toISOString(),
        order,
        batch: null,
        station: 's1',
        evidence: { kind: 'station' },
        mandate: mandate ?? this.mandate,
      };
      const when = new Date(at ?? Date.now()).toISOString();
      this.bodies.push(JSON.stringify({ at: when, action: `certificate.${action}`, after }));
    }
    return this;
  }

  async mandated(change: object = {}, by: Ca = this.root): Promise<string> {
    const { publicKey } = await certificateOf(this.ca.certificate);
    const mandate = {
      id: this.mandate,
      line: publicKey.sha256,
      name: this.name,
      quota: 100,
      issued_at: new Date().toISOString(),
      not_after: new Date(Date.now() + day).toISOString(),
      device_id_pattern: '.*',
      order: null,
      ...change,
    };
    return sign(by, { typ: mandateType }, mandate);
  }

  /** What a manifest of the entries from `first` on says. */
  async payload(first = 1, change: Partial<ManifestPayload> = {}): Promise<ManifestPayload> {
    const hashes = [hashBeforeFirst(this.log)];
    for (const [index, body] of this.bodies.entries()) hashes.push(hashOfEntry(hashes[index]!, index + 1, body));
    const mandates = this.mandates.length > 0 ? this.mandates : [await this.mandated()];
    return {
      log: this.log,
      line: (await certificateOf(this.ca.certificate)).publicKey.sha256,
      name: this.name,
      site: null,
      made_at: new Date().toISOString(),
      first,
      last: this.bodies.length,
      previous_hash: hashes[first - 1]!,
      head_hash: hashes.at(-1)!,
      entries: this.bodies.slice(first - 1).map((body) => ({ body })),
      mandates,
      ...change,
    };
  }

  async header(): Promise<Record<string, unknown>> {
    const shown = [this.ca.certificate, this.root.certificate].map(certificateOf);
    return { typ: manifestType, x5c: (await Promise.all(shown)).map(({ der }) => der.toString('base64')) };
  }

  async manifest(first = 1, change: Partial<ManifestPayload> = {}): Promise<string> {
    return sign(this.ca, await this.header(), await this.payload(first, change));
  }
}

async function sign(by: Pick<Credentials, 'key'>, header: object, payload: object): Promise<string> {
  return new CompactSign(Buffer.from(JSON.stringify(payload)))
    .setProtectedHeader({ alg: 'ES256', ...header })
    .sign(createPrivateKey(await readFile(by.key)));
}

describe('a manifest', () => {
  let fleetroot: Fleetroot;
  let pki: Pki;
  let root: Ca;
  let other: Ca;
  let ca: Ca;
  let names = 0;
  let account: string;

  before(async () => {
    [fleetroot, pki] = await Promise.all([Fleetroot.start(), Pki.open()]);
    [root, other] = [await pki.guideRoot('ours'), await pki.guideRoot('theirs')];
    ca = await root.intermediate('line-1', { extensions: lineExtensions });
  });
  after(() => Promise.all([fleetroot[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  /** A line of a new account, whose only Fleet Root CA is ours. */
  const newLine = async (): Promise<Forger> => {
    account = `factory-${(names += 1)}`;
    await fleetroot.json('account', 'create', account, '--kind', 'production');
    await fleetroot.json('fleet-root', 'register', account, root.certificate);
    return new Forger(ca, root, 'line-1');
  };
  const send = (jws: string | Buffer): Promise<OperatorAnswer> =>
    operatorCall(fleetroot.dir, 'POST', `/accounts/${account}/manifests`, {
      body: Buffer.from(jws),
      type: 'application/octet-stream',
    });
  const taken = async (jws: string): Promise<any> => {
    const { status, text, json } = await send(jws);
    assert.equal(status, 200, text);
    return json;
  };
  const refused = async (jws: string | Buffer, code: string, sentence: RegExp): Promise<any> => {
    const { json, text } = await send(jws);
    assert.equal(json?.code, code, text);
    assert.match(json.detail, sentence);
    return json;
  };
  /** That nothing of it was taken. */
  const untouched = async (): Promise<void> => {
    assert.deepEqual(await fleetroot.json('manifest', 'list', account), []);
    assert.deepEqual(await fleetroot.json('allow-list', 'list', account), []);
    const [trusted] = await fleetroot.json('fleet-root', 'list', account);
    assert.equal(trusted.certificates.length, 1);
  };
  const reconciled = async (): Promise<any> => {
    const { stdout } = await fleetroot.command('manifest', 'reconcile', account, '--json');
    return JSON.parse(stdout);
  };

  test('that is none, or is cut, is refused', async () => {
    const jws = await (await newLine()).tell({ id: 'dev-1' }).manifest();
    await refused('nothing', 'invalid_request', /is no signed statement/);
    await refused(Buffer.from([0xff, 0xfe, 0x00]), 'invalid_request', /is no signed statement/);
    const [header, payload, signature] = jws.split('.') as [string, string, string];
    await refused(`${header}.${payload}`, 'invalid_request', /is no signed statement/);
    await refused(`${header}.${payload.slice(0, -40)}.${signature}`, 'invalid_request', /has been changed/);
    await refused(`${header}.${payload}.${signature.slice(0, -8)}`, 'invalid_request', /^The manifest /);
    await untouched();
  });

  test('that was edited, or signed by another key or by none, is refused', async () => {
    const line = (await newLine()).tell({ id: 'dev-1' });
    const jws = await line.manifest();
    const [header, , signature] = jws.split('.') as [string, string, string];
    const edited = await line.payload(1, { name: 'another' });
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    await refused(`${header}.${part(edited)}.${signature}`, 'invalid_request', /has been changed/);
    const shown = await line.header();
    const payload = part(await line.payload());
    await refused(`${part({ alg: 'none', ...shown })}.${payload}.`, 'invalid_request', /cannot be read/);
    // The public key as a shared secret: what a verifier that lets the header choose would take.
    const input = `${part({ alg: 'HS256', ...shown })}.${payload}`;
    const spki = (await certificateOf(ca.certificate)).publicKey.canonicalSpki;
    const mac = createHmac('sha256', spki).update(input).digest('base64url');
    await refused(`${input}.${mac}`, 'invalid_request', /cannot be read/);
    await refused(await sign(other, shown, await line.payload()), 'invalid_request', /has been changed/);
    await refused(
      await sign(ca, { ...shown, typ: mandateType }, await line.payload()),
      'invalid_request',
      /another type/,
    );
    await untouched();
  });

  test('of a line that leads to no Fleet Root CA of the account is refused', async () => {
    await newLine();
    const theirs = await other.intermediate('line-1', { extensions: lineExtensions });
    const stranger = new Forger(theirs, other, 'line-1').tell({ id: 'dev-1' });
    await refused(await stranger.manifest(), 'certificate_untrusted', /counts for nothing here/);
    // Its own certificates, the name of ours above them.
    const posing = new Forger(theirs, root, 'line-1').tell({ id: 'dev-1' });
    await refused(await posing.manifest(), 'certificate_untrusted', /counts for nothing here/);
    await untouched();
  });

  test('of a key that is no line’s is refused: a device’s, the root’s, a CA’s that may make CAs', async () => {
    await newLine();
    const device = await root.guideDevice('dev-1');
    await refused(
      await new Forger(device, root, 'x').tell({ id: 'a' }).manifest(),
      'certificate_untrusted',
      /pathLen 0/,
    );
    await refused(await new Forger(root, root, 'x').tell({ id: 'a' }).manifest(), 'certificate_untrusted', /pathLen 0/);
    const wide = await root.intermediate('wide');
    await refused(await new Forger(wide, root, 'x').tell({ id: 'a' }).manifest(), 'certificate_untrusted', /pathLen 0/);
    await untouched();
  });

  test('of a line that is distrusted, or whose Fleet Root CA is disabled, is refused', async () => {
    const line = (await newLine()).tell({ id: 'dev-1' });
    await fleetroot.json('fleet-root', 'distrust', account, ca.certificate, '--yes');
    await refused(await line.manifest(), 'certificate_untrusted', /counts for nothing here/);
    await fleetroot.json('fleet-root', 'trust', account, ca.certificate, '--yes');
    await fleetroot.json('fleet-root', 'disable', account, 'ours', '--yes');
    await refused(await line.manifest(), 'certificate_untrusted', /counts for nothing here/);
    await untouched();
  });

  test('that does not say what it covers, or in which order, is refused', async () => {
    const line = (await newLine()).tell({ id: 'dev-1' }, { id: 'dev-2' });
    const { entries } = await line.payload();
    await refused(await line.manifest(1, { entries: entries.toReversed() }), 'invalid_request', /does not follow/);
    await refused(
      await line.manifest(1, { entries: entries.slice(1) }),
      'invalid_request',
      /covers the entries 1 to 2/,
    );
    await refused(await line.manifest(1, { line: digest('another') }), 'invalid_request', /of another line/);
    await refused(await line.manifest(1, { made_at: 'today' }), 'invalid_request', /names a time that is none/);
    const another = new Forger(ca, root, 'line-1').tell({ id: 'dev-1' });
    const foreign = await another.manifest(1, { log: randomUUID() });
    await refused(foreign, 'invalid_request', /first entry of another log/);
    await untouched();
  });

  test('that tells of what cannot be is refused whole', async () => {
    const line = await newLine();
    const own = (...told: Told[]): Promise<string> => {
      line.bodies.length = 0;
      return line.tell({ id: 'good' }, ...told).manifest();
    };
    await refused(await own({ id: 'bad\u202eid' }), 'invalid_request', /entry 2 .* is of no device/);
    await refused(await own({ id: ' ' }), 'invalid_request', /entry 2 .* is of no device/);
    await refused(await own({ id: 'dev-1', order: 'a\u0000b' }), 'invalid_request', /a name that is none \(entry 2\)/);
    await refused(await own({ id: 'dev-1' }, { id: 'dev-1' }), 'invalid_request', /entry 3 .* which entry 2 has made/);
    await refused(await own({ id: 'dev-1', action: 'withdraw' }), 'invalid_request', /its line has not made/);
    for (const order of ['a\u202eb', 'a\u200bb', 'a\u3164b', 'a\u2028b']) {
      await refused(await own({ id: 'dev-1', order }), 'invalid_request', /a name that is none \(entry 2\)/);
    }
    const site = await line.tell().payload(1, { site: 'Gr\u200faz' });
    await refused(await sign(ca, await line.header(), site), 'invalid_request', /a name that is none \(site\)/);
    await untouched();
  });

  test('that does not show every entry whole is refused', async () => {
    const line = (await newLine()).tell({ id: 'dev-1' }, { id: 'dev-2' });
    const { entries } = await line.payload();
    // A signature over what the type does not allow.
    const digests = [entries[0], { body_sha256: digest(line.bodies[1]!) }];
    const hiding = await line.manifest(1, { entries: digests as ManifestPayload['entries'] });
    await refused(hiding, 'invalid_request', /does not say what a manifest says/);
    const own = (body: unknown): Promise<string> => {
      line.bodies[1] = typeof body === 'string' ? body : JSON.stringify(body);
      return line.manifest();
    };
    const at = new Date().toISOString();
    await refused(await own('nothing'), 'invalid_request', /an entry 2 that is no JSON/);
    await refused(await own({ at }), 'invalid_request', /an entry 2 that does not say what an entry says/);
    await refused(await own({ at: 'today', action: 'window.open' }), 'invalid_request', /an entry 2 of a time/);
    await refused(await own({ at, action: 'certificate.make' }), 'invalid_request', /says nothing of a certificate/);
    await untouched();
    const { made, last } = await taken(await own({ at, action: 'window.open', by: { name: 'ada' } }));
    assert.deepEqual([made, last], [1, 2]);
  });

  test('that calls its line, or its mandate’s, by another name than its CA is refused', async () => {
    const line = (await newLine()).tell({ id: 'dev-1' });
    await refused(await line.manifest(1, { name: 'line-2' }), 'invalid_request', /its CA's certificate of "CN=line-1"/);
    const mandates = [await line.mandated({ name: 'line-2' })];
    await refused(await line.manifest(1, { mandates }), 'invalid_request', /for another line/);
    await untouched();
  });

  test('that makes a certificate before the time of what stands before it is refused, unless a person took the clock back', async () => {
    const now = Date.now();
    const line = (await newLine()).note('window.open', now).tell({ id: 'dev-1', at: now - day });
    await refused(await line.manifest(), 'invalid_request', /entry 2 that makes a certificate before the time/);
    await refused(
      await line.manifest(1, { made_at: new Date(now - 2 * day).toISOString() }),
      'invalid_request',
      /entry 2 that makes/,
    );
    await untouched();
    line.bodies.splice(1, 1);
    // What is of no certificate is noted by the clock as it is.
    line
      .note('station.add', now - day)
      .note('clock.accept', now - day)
      .tell({ id: 'dev-1', at: now - day });
    const before = await line.manifest(1, { made_at: new Date(now - 2 * day).toISOString() });
    await refused(before, 'invalid_request', /made before its last entry/);
    assert.equal((await taken(await line.manifest())).made, 1);
  });

  test('is held against the end of its mandate by the latest time that its line has told of', async () => {
    const [now, june] = [Date.now(), Date.now() - 100 * day];
    const line = await newLine();
    line.mandates.push(await line.mandated({ not_after: new Date(june + day).toISOString() }));
    line.tell({ id: 'in-time', at: june });
    assert.equal((await taken(await line.manifest(1, { made_at: new Date(june).toISOString() }))).beyond, 0);
    // In one manifest, past a clock that was taken back; and after one that was made later.
    line.note('window.open', now).note('clock.accept', june).tell({ id: 'late', at: june });
    assert.equal((await taken(await line.manifest(2))).beyond, 1);
    line.tell({ id: 'later', at: june });
    assert.equal((await taken(await line.manifest(5))).beyond, 1);
    const { beyond } = await reconciled();
    const shown = beyond.first.map((each: any) => [each.device_id, each.beyond]);
    assert.deepEqual(shown.toSorted(), [
      ['late', 'end'],
      ['later', 'end'],
    ]);
  });

  test('that is longer than any may be is refused', async () => {
    await newLine();
    const { status, json } = await send('a'.repeat(longestManifest + 1_000));
    assert.deepEqual([status, json.code], [413, 'body_too_large']);
  });

  test('carries mandates that the CA above the line has signed for it, and no others', async () => {
    const line = (await newLine()).tell({ id: 'dev-1' });
    const forged = await line.mandated({}, other);
    await refused(await line.manifest(1, { mandates: [forged] }), 'invalid_request', /^The mandate has been changed/);
    const own = await line.mandated({}, ca);
    await refused(await line.manifest(1, { mandates: [own] }), 'invalid_request', /^The mandate has been changed/);
    const elsewhere = await line.mandated({ line: digest('another') });
    await refused(await line.manifest(1, { mandates: [elsewhere] }), 'invalid_request', /for another line/);
    await untouched();
  });

  test('is held against its mandates: what they do not cover is known, and shown', async () => {
    const line = await newLine();
    const [narrow, ended] = [randomUUID(), randomUUID()];
    line.mandates.push(
      await line.mandated({ quota: 2 }),
      await line.mandated({ id: narrow, device_id_pattern: 'dev-\\d', order: 'o1' }),
      await line.mandated({ id: ended, not_after: new Date(Date.now() - day).toISOString() }),
    );
    line.tell(
      { id: 'dev-1' },
      { id: 'dev-2' },
      { id: 'dev-3' },
      { id: 'dev-44', mandate: narrow },
      { id: 'dev-5', mandate: narrow, order: 'o2' },
      { id: 'dev-6', mandate: ended },
      { id: 'dev-7', mandate: randomUUID() },
    );
    const imported = await taken(await line.manifest());
    assert.deepEqual([imported.made, imported.beyond], [7, 5]);
    const { beyond, lines } = await reconciled();
    const shown = beyond.first.map((each: any) => [each.device_id, each.beyond]);
    assert.deepEqual(shown.toSorted(), [
      ['dev-3', 'quota'],
      ['dev-44', 'pattern'],
      ['dev-5', 'order'],
      ['dev-6', 'end'],
      ['dev-7', 'mandate'],
    ]);
    const counted = lines[0].mandates.map(({ quota, used }: any) => `${used} of ${quota}`);
    assert.deepEqual(counted.toSorted(), ['1 of 100', '2 of 100', '3 of 2']);
  });

  test('comes in its order, and again as often as anyone likes', async () => {
    const line = (await newLine()).tell({ id: 'dev-1' }, { id: 'dev-2' });
    const first = await line.manifest();
    line.tell({ id: 'dev-3' });
    const second = await line.manifest(3);
    const gap = await refused(second, 'conflict', /none of this line has been imported/);
    assert.match(gap.hint, /factory export --since 0/);
    assert.deepEqual((await taken(first)).first, 1);
    assert.deepEqual((await taken(first)).first, null);
    assert.deepEqual((await taken(second)).made, 1);
    // From the middle of what is known to beyond it.
    line.tell({ id: 'dev-4' });
    const { first: from, last, made } = await taken(await line.manifest(2));
    assert.deepEqual([from, last, made], [4, 4, 1]);
    line.tell({ id: 'dev-5' }, { id: 'dev-6' });
    const { hint } = await refused(await line.manifest(6), 'conflict', /those between are missing/);
    assert.match(hint, /factory export --since 4/);
    assert.equal((await fleetroot.json('manifest', 'certificates', account)).length, 4);
  });

  test('that contradicts what its line has said is refused, and told of', async () => {
    const line = (await newLine()).tell({ id: 'dev-1' }, { id: 'dev-2' }, { id: 'dev-3' });
    await taken(await line.manifest());
    const restored = new Forger(ca, root, 'line-1');
    Object.assign(restored, { log: line.log, mandate: line.mandate });
    restored.bodies.push(...line.bodies.slice(0, 2));
    restored.tell({ id: 'dev-9' }, { id: 'dev-10' });
    await refused(
      await restored.manifest(),
      'conflict',
      /Entry 3 of the line "line-1" is not the one that was imported/,
    );
    await refused(await restored.manifest(3), 'conflict', /Entry 3 .* is not the one/);
    // One that begins after the fork shows it by the hash before it.
    await refused(await restored.manifest(4), 'conflict', /Entry 3 .* is not the one/);
    const anew = new Forger(ca, root, 'line-1').tell({ id: 'dev-9' });
    await refused(await anew.manifest(), 'conflict', /is of the log .* its key is in use in two places/);
    const events = await fleetroot.json('event', 'list', account, '--type', 'manifest.refused');
    assert.equal(events.length, 4);
    assert.equal(events[0].data.line_name, 'line-1');
    const entries = await fleetroot.json('audit', 'list', account, '--action', 'manifest.refuse');
    assert.equal(entries.length, 4);
    // The line as it was goes on.
    assert.equal((await taken(await line.tell({ id: 'dev-4' }).manifest(4))).made, 1);
  });

  test('of two lines with one name: each is itself, and what both have made is shown', async () => {
    const one = (await newLine()).tell({ id: 'dev-1' }, { id: 'dev-2' }, { id: 'dev-3', key: 'k' });
    const twin = await root.intermediate('line-1', { extensions: lineExtensions });
    const two = new Forger(twin, root, 'line-1').tell({ id: 'dev-1', key: 'other' }, { id: 'dev-4', key: 'k' });
    await taken(await one.manifest());
    await taken(await two.manifest());
    const lines = await fleetroot.json('manifest', 'list', account);
    assert.deepEqual([lines.length, lines[0].name, lines[1].name], [2, 'line-1', 'line-1']);
    const shared = async () =>
      (await reconciled()).shared.first.map((each: any) => `${each.device_id} ${each.shares}`).toSorted();
    assert.deepEqual(await shared(), ['dev-1 device_id', 'dev-1 device_id', 'dev-3 public_key', 'dev-4 public_key']);
    two.tell({ id: 'dev-1', key: 'other', action: 'withdraw' });
    await taken(await two.manifest(3));
    assert.deepEqual(await shared(), ['dev-3 public_key', 'dev-4 public_key']);
    // A line says nothing of another's certificates.
    two.tell({ id: 'dev-2', action: 'withdraw' });
    await refused(await two.manifest(4), 'invalid_request', /its line has not made/);
  });
});
