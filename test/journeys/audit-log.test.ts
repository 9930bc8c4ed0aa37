// The audit log: who did what, who was refused, and the proof that a copy of it is whole, by a checkpoint kept elsewhere.

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { openClient } from '../../src/cli/client.ts';
import { verifyExport } from '../../src/cli/audit-verify.ts';
import type { AuditEntryJson, CheckpointJson } from '../../src/operator/audit-schemas.ts';
import { hashBeforeFirst, hashOfEntry } from '../../src/registry/audit-chain.ts';
import { eventually } from '../support/eventually.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { operatorCall } from '../support/operator-call.ts';
import { temporaryDirectory } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { ServeProcess } from '../support/serve.ts';

const tools = needs('openssl', 'curl', 'unzip');

describe('the audit log of a server', { skip: tools }, () => {
  let fleetroot: Fleetroot;

  before(async () => {
    fleetroot = await Fleetroot.start();
    await fleetroot.json('account', 'create', 'acme');
    await fleetroot.json('account', 'create', 'other');
  });
  after(() => fleetroot[Symbol.asyncDispose]());

  const list = (...words: string[]): Promise<AuditEntryJson[]> => fleetroot.json('audit', 'list', ...words);

  test('says who had a certificate made, when, from where and on which key, to whoever holds the certificate', async () => {
    const image = await fleetroot.image('acme', '--description', 'line 3');
    const device = await image.boot('device-1');
    assert.equal((await device.whoAmI()).status, 200);
    const [key] = await fleetroot.json('provisioning-key', 'list', 'acme');
    const shown = await fleetroot.json('device', 'show', 'acme', 'device-1');
    const [certificate] = shown.certificates;
    const file = fleetroot.file('device-1.crt');
    await writeFile(file, certificate.certificate);

    const entries = await list('acme', '--certificate', file);
    assert.deepEqual(
      entries.map(({ action, by }) => [action, by.kind, by.name, by.address]),
      [
        ['certificate.first_use', 'device', 'device-1', '127.0.0.1'],
        ['certificate.issue', 'provisioning_key', 'line 3', '127.0.0.1'],
      ],
    );
    const issued = entries[1]!;
    const { after: told, by, object, account, result } = issued;
    assert.deepEqual([by.id, object.name, result], [key.id, 'device-1', 'done']);
    assert.equal(account, (await fleetroot.json('account', 'show', 'acme')).id);
    assert.deepEqual(
      {
        device: told?.['device'],
        tbs_sha256: told?.['tbs_sha256'],
        sha256: told?.['sha256'],
        public_key_sha256: told?.['public_key_sha256'],
        provisioning_key: told?.['provisioning_key'],
        fleet_root_ca: told?.['fleet_root_ca'],
      },
      {
        device: shown.uuid,
        tbs_sha256: certificate.tbs_sha256,
        sha256: certificate.sha256,
        public_key_sha256: certificate.public_key_sha256,
        provisioning_key: key.id,
        fleet_root_ca: shown.fleet_root_ca,
      },
    );
    // One issuance, one entry; all that is about the device is found by its ID.
    assert.equal((await list('acme', '--action', 'certificate.issue', '--object', 'device-1')).length, 1);
  });

  test('has what changed, as it was and as it is, and nothing for what changed nothing', async () => {
    await fleetroot.json('account', 'set', 'acme', '--admission', 'approval');
    await fleetroot.json('account', 'set', 'acme', '--admission', 'approval');
    const changes = await list('acme', '--action', 'account.set');
    assert.deepEqual(
      changes.map(({ before: was, after: is, by }) => [was, is, by.kind]),
      [[{ admission: 'automatic' }, { admission: 'approval' }, 'socket']],
    );
    await fleetroot.json('device', 'suspend', 'acme', 'device-1');
    await fleetroot.json('device', 'suspend', 'acme', 'device-1');
    assert.equal((await list('acme', '--action', 'device.suspend')).length, 1);
    await fleetroot.json('device', 'resume', 'acme', 'device-1');
    const [{ tbs_sha256 }] = await fleetroot.json('certificate', 'list', 'acme', 'device-1');
    for (let again = 0; again < 2; again += 1) {
      await fleetroot.json('certificate', 'revoke', 'acme', tbs_sha256);
      await fleetroot.json('device', 'revoke', 'acme', 'device-1', '--yes');
    }
    const revoked = [
      ...(await list('acme', '--action', 'certificate.revoke')),
      ...(await list('acme', '--action', 'device.revoke')),
    ];
    assert.deepEqual(
      revoked.map(({ object, before: was, after: is }) => [object.name, was?.['state'], is?.['state']]),
      [
        ['device-1', 'current', 'revoked'],
        ['device-1', 'active', 'revoked'],
      ],
    );
  });

  test('has who was refused, and each account what concerns it alone', async () => {
    assert.equal((await fleetroot.command('device', 'revoke', 'other', 'nobody')).code, 1);
    const [refused] = await list('other', '--result', 'not_found');
    assert.deepEqual(
      [refused?.action, refused?.object.id, refused?.after],
      ['api.refused', 'revokeDevice', { account: 'other', device: 'nobody' }],
    );
    const ids = new Set((await list('other', '--limit', '1000')).map(({ account }) => account));
    assert.deepEqual([...ids], [(await fleetroot.json('account', 'show', 'other')).id]);
    assert.deepEqual(await list('acme', '--result', 'not_found'), []);
  });

  test('is read page by page, each entry once, while others come', async () => {
    const whole = await list('--limit', '1000');
    const seen: AuditEntryJson[] = [];
    let path: string | null = '/audit?limit=7';
    for (let pages = 0; path !== null; pages += 1) {
      const { headers, json } = await operatorCall(fleetroot.dir, 'GET', path);
      seen.push(...(json as AuditEntryJson[]));
      path = /<\/api\/v1([^>]+)>; rel="next"/.exec(String(headers['link']))?.[1] ?? null;
      if (pages < 3) await fleetroot.json('account', 'set', 'other', '--namespace', `page-${pages}`);
    }
    const tellApart = ({ at, action, object }: AuditEntryJson) => JSON.stringify([at, action, object]);
    assert.deepEqual(seen.map(tellApart), whole.map(tellApart));
  });

  test('is chained within a second or so, and nobody waits for it', async () => {
    await fleetroot.json('account', 'set', 'other', '--namespace', 'chained');
    await eventually(async () => (await list('--limit', '1'))[0]?.number != null);
  });

  test('records what is refused to one, however much is refused to another', async () => {
    const token = async (role: string, ...words: string[]): Promise<string> =>
      (await fleetroot.json('token', 'create', ...words, '--role', role, '--description', `for ${role}`)).token;
    const [loud, quiet] = [await token('factory', 'acme'), await token('auditor', 'acme')];
    const refusedTo = async (secret: string, path: string): Promise<void> => {
      const url = `http://127.0.0.1:${fleetroot.server.operatorPort}/api/v1/${path}`;
      const { status } = await fetch(url, { headers: { authorization: `Bearer ${secret}` } });
      assert.equal(status, 403, path);
    };
    const paths = ['operators', 'tokens', 'refusals', 'custody/keys', 'audit', 'events', 'webhooks'];
    const own = ['tokens', 'webhooks', 'audit', 'events', 'operators', 'upstreams', 'refusals', 'provisioning-keys'];
    const kinds = [...paths, ...own.map((path) => `accounts/acme/${path}`)];
    for (let round = 0; round < 6; round += 1) await Promise.all(kinds.map((path) => refusedTo(loud, path)));
    await refusedTo(quiet, 'operators');
    const [entry] = await list('--by', 'for auditor');
    assert.deepEqual([entry?.action, entry?.object.id, entry?.result], ['api.refused', 'listOperators', 'forbidden']);
    for (let more = 0; more < 30; more += 1) await refusedTo(quiet, 'tokens');
    // What is only counted is written down when the minute ends, or the server.
    await fleetroot.restart();
    const told = await list('--action', 'api.refused', '--result', 'forbidden', '--limit', '1000');
    const counts = [...told, ...(await list('--action', 'api.refused', '--result', 'refused'))].flatMap(
      ({ after: members }) => {
        const { by, count } = (members ?? {}) as { by?: { name: string }; count?: number };
        return count === undefined ? [] : [[by?.name, count] as const];
      },
    );
    const of = (name: string) => counts.filter(([by]) => by === name).map(([, count]) => count);
    const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);
    // A minute may have ended in between.
    assert.ok(of('for factory').length <= 12, JSON.stringify(counts));
    const alone = (name: string) => told.filter(({ by }) => by.name === name).length;
    assert.equal(sum(of('for factory')) + alone('for factory'), 6 * kinds.length);
    assert.equal(sum(of('for auditor')) + alone('for auditor'), 31);
    assert.equal(of('for auditor').length >= 1, true);
  });

  test('records those who are nobody as long as they are few, and counts them then', async () => {
    const calls = Array.from({ length: 60 }, async () =>
      fetch(`http://127.0.0.1:${fleetroot.server.operatorPort}/api/v1/accounts`).catch(() => null),
    );
    const answers = await Promise.all(calls);
    assert.ok(
      answers.every((answer) => answer?.status === 401),
      JSON.stringify(answers.map((each) => each?.status)),
    );
    // What is only counted is written down when the minute ends, or the server.
    await fleetroot.restart();
    const entries = await list('--result', 'unauthenticated', '--limit', '1000');
    const counted = entries.filter(({ after: told }) => told?.['count'] !== undefined);
    const alone = entries.length - counted.length;
    const sum = counted.reduce((total, { after: told }) => total + Number(told?.['count']), 0);
    assert.equal(alone + sum, 60);
    // A minute may have ended in between.
    assert.ok(alone <= 20 && counted.length <= 2, `${alone} by themselves, ${counted.length} counted`);
    assert.deepEqual([entries.at(-1)?.by.name, entries.at(-1)?.by.address], ['nobody', '127.0.0.1']);
  });
});

describe('a copy of the audit log', () => {
  let fleetroot: Fleetroot;
  let copy: string;
  let checkpoint: string;
  let publicKey: string;
  let lines: string[];
  let names = 0;

  before(async () => {
    fleetroot = await Fleetroot.start();
    await fleetroot.json('account', 'create', 'acme');
    for (const namespace of ['one', 'two', 'three']) {
      await fleetroot.json('account', 'set', 'acme', '--namespace', namespace);
    }
    [checkpoint, publicKey] = [fleetroot.file('elsewhere.json'), fleetroot.file('audit.pub')];
    await fleetroot.json('audit', 'checkpoint', '-o', checkpoint, '--public-key', publicKey);
    copy = await exported();
    lines = (await readFile(copy, 'utf8')).trimEnd().split('\n');
  });
  after(() => fleetroot[Symbol.asyncDispose]());

  const newFile = (): string => fleetroot.file(`copy-${(names += 1)}.jsonl`);

  async function exported(): Promise<string> {
    const file = newFile();
    await fleetroot.json('audit', 'export', '-o', file);
    return file;
  }

  async function written(changed: readonly string[]): Promise<string> {
    const file = newFile();
    await writeFile(file, changed.map((line) => `${line}\n`).join(''));
    return file;
  }

  const verify = (file: string) =>
    fleetroot.command('audit', 'verify', file, '--checkpoint', checkpoint, '--public-key', publicKey);

  /** That a copy is caught, at this entry, in words that say what was done to it. */
  async function assertCaught(file: string, number: number, sentence: RegExp): Promise<void> {
    const { code, stdout } = await verify(file);
    assert.equal(code, 1, stdout);
    assert.match(stdout, sentence);
    const { stdout: json } = await fleetroot.command(
      ...['audit', 'verify', file, '--checkpoint', checkpoint, '--public-key', publicKey, '--json'],
    );
    const { ok, first_misfit: misfit } = JSON.parse(json);
    assert.deepEqual([ok, misfit.number], [false, number]);
  }

  const signedTo = async (): Promise<number> =>
    (JSON.parse(await readFile(checkpoint, 'utf8')) as CheckpointJson).number;

  test('is proved whole by the checkpoint and the public key alone', async () => {
    const { code, stdout } = await verify(copy);
    assert.equal(code, 0, stdout);
    assert.match(stdout, new RegExp(`confirms them up to entry ${await signedTo()}`));
    // Without either there is less to say, and it says so.
    const alone = await fleetroot.command('audit', 'verify', copy);
    assert.equal(alone.code, 0);
    assert.match(alone.stderr, /give --checkpoint/);
    const own = await fleetroot.command('audit', 'verify', copy, '--checkpoint', checkpoint);
    assert.match(own.stderr, /by the key that it names itself/);
  });

  test('with one byte changed, whichever, is caught', async () => {
    const whole = await readFile(copy);
    const file = newFile();
    const covered = whole.length;
    for (let at = 0; at < covered; at += 97) {
      const changed = Buffer.from(whole);
      changed[at]! ^= 1;
      await writeFile(file, changed);
      const found = await verifyExport(file, checkpoint, publicKey).catch(() => ({ ok: false }));
      assert.equal(found.ok, false, `the byte at ${at} was changed unseen`);
    }
    const number = 5;
    const line = lines[number]!;
    const at = line.indexOf('2');
    await assertCaught(
      await written(lines.with(number, `${line.slice(0, at)}3${line.slice(at + 1)}`)),
      number,
      new RegExp(`^Entry ${number} `),
    );
  });

  test('with a lone surrogate in the place of a character that is hashed like it is caught', async () => {
    await fleetroot.command('device', 'revoke', 'acme', 'hall-\u{fffd}');
    const whole = await eventually(async () => {
      const text = await readFile(await exported(), 'utf8');
      return text.includes('hall-\u{fffd}') && text.trimEnd().split('\n');
    });
    assert.equal((await verify(await written(whole))).code, 0);
    const number = whole.findIndex((line) => line.includes('hall-\u{fffd}'));
    const changed = whole.with(number, whole[number]!.replace('hall-\u{fffd}', String.raw`hall-\ud800`));
    await assertCaught(await written(changed), number, new RegExp(`^Entry ${number} has been changed`));
  });

  test('with an entry whose body was changed and whose hash fits it again is caught at the next', async () => {
    const number = 7;
    const entry = JSON.parse(lines[number]!) as { previous_hash: string; body: string };
    const body = entry.body.replace(/"kind":"[a-z]+"/, '"kind":"token"');
    const hash = hashOfEntry(entry.previous_hash, number, body);
    const changed = { number, hash, previous_hash: entry.previous_hash, body };
    await assertCaught(
      await written(lines.with(number, JSON.stringify(changed))),
      number + 1,
      /does not follow entry 7/,
    );
  });

  test('with one entry cut out is caught', async () => {
    await assertCaught(
      await written(lines.toSpliced(4, 1)),
      4,
      /^Entry 4 is not there: entry 5 stands in its place\.$/m,
    );
  });

  test('with the tail cut off is caught, and so is one with nothing left', async () => {
    const left = (await signedTo()) - 2;
    await assertCaught(await written(lines.slice(0, left + 1)), left + 1, /the tail has been cut off\.$/m);
    await assertCaught(await written(lines.slice(0, 1)), 1, /the tail has been cut off\.$/m);
    await assertCaught(await written([]), 1, /the tail has been cut off\.$/m);
  });

  test('against a checkpoint that another key has signed, or whose signature was changed, is not proved', async () => {
    await using other = await Fleetroot.start();
    const key = other.file('other.pub');
    await other.json('audit', 'checkpoint', '--public-key', key);
    const { code, stdout } = await fleetroot.command(
      'audit',
      'verify',
      copy,
      '--checkpoint',
      checkpoint,
      '--public-key',
      key,
    );
    assert.deepEqual([code, /was not signed by this key/.test(stdout)], [1, true]);
    const later = fleetroot.file('later.json');
    const signed = JSON.parse(await readFile(checkpoint, 'utf8')) as CheckpointJson;
    await writeFile(later, JSON.stringify({ ...signed, at: new Date(Date.parse(signed.at) + 1).toISOString() }));
    const found = await verifyExport(copy, later, publicKey);
    assert.match(found.first_misfit?.sentence ?? '', /was not signed by this key/);
  });

  test('of a registry that somebody changed while the server was down is caught, by the server too', async () => {
    const saved = await fleetroot.command('audit', 'list', '--limit', '1', '--json');
    assert.equal(saved.code, 0);
    const cases: [string, number, RegExp][] = [
      [
        `UPDATE audit_entries SET body = replace(body, '"server"', '"devil!"') WHERE number = 2`,
        2,
        /^Entry 2 has been changed/m,
      ],
      ['DELETE FROM audit_entries WHERE number = 4', 4, /^Entry 4 is not there/m],
      // Those that have no number yet would be given the next ones.
      [`DELETE FROM audit_entries WHERE number > 3 OR number IS NULL`, 4, /^(Entry|The log ends with entry 3)/m],
    ];
    for (const [sql, number, sentence] of cases) {
      await using copied = await Fleetroot.start();
      await copied.restart(async () => {
        const from = await snapshot();
        await writeFile(copied.file('registry.db'), from);
        await writeFile(copied.file('master.key'), await readFile(fleetroot.file('master.key')), { mode: 0o600 });
        using database = new DatabaseSync(copied.file('registry.db'), { timeout: 10_000 });
        database.exec(sql);
      });
      const { json } = await operatorCall(copied.dir, 'GET', '/audit/verification');
      assert.deepEqual([json.ok, json.first_misfit?.number], [false, number], sql);
      const file = copied.file('copy.jsonl');
      await copied.json('audit', 'export', '-o', file);
      await assertCaught(file, number, sentence);
    }
  });

  test('of a history that was signed anew is caught, though its own checkpoints fit', async () => {
    await using taken = await Fleetroot.start();
    await taken.restart(async () => {
      await writeFile(taken.file('registry.db'), await snapshot());
      await writeFile(taken.file('master.key'), await readFile(fleetroot.file('master.key')), { mode: 0o600 });
      using database = new DatabaseSync(taken.file('registry.db'), { timeout: 10_000 });
      writeHistoryAnew(database, 6);
    });
    // The server was taken over with its key: whatever it is asked, it signs.
    const [own, file] = [taken.file('own.json'), taken.file('copy.jsonl')];
    await taken.json('audit', 'checkpoint', '-o', own);
    await taken.json('audit', 'export', '-o', file);
    assert.equal((await operatorCall(taken.dir, 'GET', '/audit/verification')).json.ok, true);
    const fits = await fleetroot.command('audit', 'verify', file, '--checkpoint', own, '--public-key', publicKey);
    assert.equal(fits.code, 0, fits.stdout);
    await assertCaught(file, await signedTo(), /has been written anew, and what follows with it\.$/m);
  });

  /** The registry in one file, as a thief or a back-up has it. */
  async function snapshot(): Promise<Buffer> {
    const file = newFile();
    {
      using database = new DatabaseSync(fleetroot.file('registry.db'), { timeout: 5_000 });
      database.exec(`VACUUM INTO '${file}'`);
    }
    return readFile(file);
  }

  /** Changes one entry, and chains all that follow again; the checkpoints that would tell are gone. */
  function writeHistoryAnew(database: DatabaseSync, changed: number): void {
    const { value } = database.prepare("SELECT value FROM server WHERE key = 'audit_log'").get()!;
    let previous = hashBeforeFirst(Buffer.from(value as Uint8Array).toString('utf8'));
    const update = database.prepare('UPDATE audit_entries SET body = ?, hash = ? WHERE number = ?');
    for (const row of database
      .prepare('SELECT number, body FROM audit_entries WHERE number > 0 ORDER BY number')
      .all()) {
      const number = Number(row['number']);
      const body = number === changed ? String(row['body']).replace(/"at":"\d+/, '"at":"1999') : String(row['body']);
      previous = hashOfEntry(previous, number, body);
      update.run(body, previous, number);
    }
    database.exec('DELETE FROM audit_checkpoints');
  }
});

test('checkpoints are pushed to a file and to receivers of syslog, by themselves at the end, and prove a copy', async () => {
  await using desk = await temporaryDirectory();
  const heard: string[] = [];
  const udp = createSocket('udp4').on('message', (message) => void heard.push(message.toString('utf8')));
  udp.bind(0, '127.0.0.1');
  await once(udp, 'listening');
  const file = desk.file('checkpoints.jsonl');
  const syslog = `udp://127.0.0.1:${udp.address().port}`;
  {
    await using fleetroot = await Fleetroot.start({
      options: { 'audit.checkpoint_file': file, 'audit.syslog': syslog },
    });
    await fleetroot.json('account', 'create', 'acme');
    const made: CheckpointJson = await fleetroot.json('audit', 'checkpoint');
    // One may have been made by itself before.
    const told = await eventually(() => heard.find((message) => message.includes(made.signature)) ?? null);
    assert.match(told, /^<109>1 \d{4}-\d{2}-\d{2}T[\d:.]+Z \S+ fleetroot \d+ audit-checkpoint - \{/);
    assert.deepEqual(JSON.parse(told.slice(told.indexOf('{'))), made);
    const line = `${JSON.stringify(made)}\n`;
    await eventually(async () => (await readFile(file, 'utf8').catch(() => '')).includes(line));
    await fleetroot.json('account', 'set', 'acme', '--namespace', 'later');
    // The end of the server signs what was done since; a copy is proved by what syslog has kept.
    const before = heard.length;
    await fleetroot.restart();
    await eventually(() => heard.length > before);
    const copy = desk.file('copy.jsonl');
    await fleetroot.json('audit', 'export', '-o', copy);
    await writeFile(desk.file('syslog'), heard.map((message) => `Nov 22 loghost ${message}\n`).join(''));
    for (const kept of [file, desk.file('syslog')]) {
      const found = await verifyExport(copy, kept, null);
      assert.equal(found.ok, true, JSON.stringify(found));
      assert.ok(found.checkpoints >= 2 && found.confirmed_to > made.number);
    }
    const { json } = await operatorCall(fleetroot.dir, 'GET', '/audit/checkpoints');
    assert.ok(json.checkpoints.some(({ number }: CheckpointJson) => number === made.number));
    assert.match(json.public_key, /^-----BEGIN PUBLIC KEY-----/);
  }
  udp.close();
});

test('a receiver of syslog over TCP gets each whole, and one that is away is given the latest when it is back', async () => {
  // An address that nobody else takes a port of meanwhile.
  const address = '127.9.8.7';
  let heard = '';
  const receiver = createServer((socket) => socket.on('data', (part) => void (heard += part.toString('utf8'))));
  await new Promise<void>((resolve) => receiver.listen(0, address, resolve));
  const { port } = receiver.address() as AddressInfo;
  await new Promise((resolve) => receiver.close(resolve));
  {
    await using fleetroot = await Fleetroot.start({ options: { 'audit.syslog': `tcp://${address}:${port}` } });
    await fleetroot.json('account', 'create', 'acme');
    const first: CheckpointJson = await fleetroot.json('audit', 'checkpoint');
    await new Promise<void>((resolve) => receiver.listen(port, address, resolve));
    await fleetroot.restart();
    await eventually(() => heard.includes('"type":"fleetroot-audit-checkpoint-v1"'));
    const [, length, message] = /^(\d+) (<109>1 .*)$/s.exec(heard)!;
    const whole = message!.slice(0, Number(length));
    const got = JSON.parse(whole.slice(whole.indexOf('{'))) as CheckpointJson;
    assert.ok(got.number >= first.number);
  }
  await new Promise((resolve) => receiver.close(resolve));
});

test(
  'a server that is killed between a change and its chaining loses none, and tells none twice',
  { timeout: 300_000 },
  async () => {
    await using directory = await temporaryDirectory();
    const port = '0';
    let server = await ServeProcess.start(directory.path, '--gateway-port', port);
    await operatorCall(directory.path, 'POST', '/accounts', { body: { name: 'acme', kind: 'test' } });
    await operatorCall(directory.path, 'POST', '/audit/checkpoints');
    const elsewhere = (await operatorCall(directory.path, 'POST', '/audit/checkpoints')).text;
    await writeFile(directory.file('elsewhere.json'), elsewhere);
    const done: string[] = [];
    for (let round = 0; round < 4; round += 1) {
      const asked = Array.from({ length: 20 }, (_, index) => `host-${round}-${index}.example`);
      const answers = asked.map(async (host, index) => {
        const answer = await operatorCall(directory.path, 'PATCH', '/accounts/acme', {
          body: { namespace: host },
        }).catch(() => null);
        if (answer?.status === 200) done.push(host);
        if (index === round * 4) await server.kill();
      });
      await Promise.all(answers);
      await server.kill();
      server = await ServeProcess.start(directory.path, '--gateway-port', port);
    }
    assert.ok(done.length > 0);
    const exported = await openClient(directory.path).stream('/audit/export', 'application/jsonl');
    const text = Buffer.concat(await Array.fromAsync(exported)).toString('utf8');
    await server.stop();
    await writeFile(directory.file('copy.jsonl'), text);
    const found = await verifyExport(directory.file('copy.jsonl'), directory.file('elsewhere.json'), null);
    assert.equal(found.ok, true, JSON.stringify(found));
    const namespaces = text
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((line) => JSON.parse((JSON.parse(line) as { body: string }).body) as AuditEntryJson)
      .filter(({ action }) => action === 'account.set')
      .map(({ after: told }) => String(told?.['namespace']));
    assert.equal(new Set(namespaces).size, namespaces.length, 'an entry is there twice');
    for (const host of done) assert.ok(namespaces.includes(host), `the change to ${host} is not in the log`);
  },
);
