// The server's disk is lost, and it comes back elsewhere out of a back-up that was made while devices were provisioned.

import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { at, openClient } from '../../src/cli/client.ts';
import { askGateway, type Trusted } from '../../src/demo/device.ts';
import { openBackup } from '../support/backup.ts';
import { commandLine } from '../support/command-line.ts';
import { eventually } from '../support/eventually.ts';
import { Image } from '../support/image.ts';
import { succeed, temporaryDirectory } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { ServeProcess } from '../support/serve.ts';

/** Devices that are provisioned beside each other, one after the other each. */
const lines = 4;
const confirmed = '?confirm=1';

test(
  'a back-up made under load brings the server back on another disk, and the devices come in with what they have',
  { skip: needs('age', 'unzip') },
  async () => {
    await using desk = await temporaryDirectory();
    await using processes = new AsyncDisposableStack();
    const lost = desk.file('lost');
    const server = processes.use(await ServeProcess.start(lost, '--gateway-port', '0'));
    const { port } = server;
    const api = openClient(lost);
    const json = async (...words: string[]) => {
      const { code, stdout, stderr } = await commandLine([...words, '--json']);
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout);
    };
    await api.post('/accounts', { name: 'acme', kind: 'test' });
    const made = await api.post<{ zip: string }>(at`/accounts/acme/credentials`, { max_uses: 1_000_000 });
    await writeFile(desk.file('c.zip'), Buffer.from(made.zip, 'base64'));
    const image = await Image.unpack(desk.file('c.zip'));
    const gateway: Trusted = { host: new URL(image.url).hostname, port, ca: await readFile(image.trusts) };
    const pfx = await readFile(join(image.dir, 'autoprov_credentials.p12'));
    const has = new Map<string, Buffer>();
    const provision = async (deviceId: string) => {
      const { status, body, text } = await askGateway(
        gateway,
        { pfx },
        'POST',
        '/devices',
        JSON.stringify({ deviceId }),
      );
      assert.equal(status, 200, text);
      has.set(deviceId, body);
    };
    const arrive = async (device: string) => {
      const { status, json: who } = await askGateway(gateway, { pfx: has.get(device) }, 'GET', '/device');
      if (status === 200) assert.equal(who?.['device_id'], device);
      return status;
    };
    for (const device of ['early', 'revoked-before', 'revoked-after']) await provision(device);
    await api.post(at`/accounts/acme/devices/revoked-before/revoke` + confirmed);

    // Two people have the identities; the back-up is for either, and made while devices come in.
    for (const who of ['one', 'other']) await succeed('age-keygen', ['-o', desk.file(`${who}.key`)]);
    const recipientOf = async (who: string) => (await succeed('age-keygen', ['-y', desk.file(`${who}.key`)])).trim();
    await writeFile(desk.file('recipients'), `# kept in the safe\n${await recipientOf('other')}\n`);
    const ending = new AbortController();
    const load = Array.from({ length: lines }, async (_, line) => {
      for (let index = 0; !ending.signal.aborted; index += 1) await provision(`device-${line}-${index}`);
    });
    const before = [...has.keys()];
    const file = desk.file('one.age');
    const words = ['backup', file, '--recipient', await recipientOf('one'), '--data', lost];
    const told = await json(...words, '--recipients-file', desk.file('recipients'));
    assert.equal(told.size, (await stat(file)).size);
    assert.equal(told.master_key.included, false);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    ending.abort();
    await Promise.all(load);
    await provision('after');
    await api.post(at`/accounts/acme/devices/revoked-after/revoke` + confirmed);
    assert.equal(await arrive('revoked-after'), 403);
    assert.deepEqual(
      (await readdir(lost)).filter((name) => name.startsWith('backup')),
      [],
    );
    const [entry] = await json('audit', 'list', '--action', 'backup.made', '--data', lost);
    assert.deepEqual(
      [entry.by.kind, entry.after.with_master_key, entry.after.audit_number],
      ['socket', false, told.audit.number],
    );
    const [event] = await api.list<{ data: any }>('/events?types=backup.made&limit=1', 1);
    assert.equal(event?.data.recipients.length, 2);

    // The disk is gone; the master key was elsewhere.
    await cp(join(lost, 'master.key'), desk.file('kept.key'));
    await server.kill();
    await rm(lost, { recursive: true });

    // The program age opens it, and what that encrypts anew, to somebody else, is the same back-up.
    const tar = await succeed('sh', ['-c', 'age -d -i "$0" "$1" | tar tf -', desk.file('other.key'), file]);
    assert.deepEqual(tar.split('\n').filter(Boolean), ['manifest.json', 'registry.db']);
    await succeed('age-keygen', ['-o', desk.file('third.key')]);
    const again = await succeed('sh', [
      '-c',
      'age -d -i "$0" "$1" | age -r "$2" -o "$3"',
      desk.file('one.key'),
      file,
      await recipientOf('third'),
      desk.file('again.age'),
    ]);
    assert.equal(again, '');

    const elsewhere = desk.file('elsewhere');
    const restoring = ['restore', desk.file('again.age'), '--identity', desk.file('third.key'), '--data', elsewhere];
    const check = await json(...restoring, '--check', '--master-key', desk.file('kept.key'));
    assert.equal(check.data, null);
    assert.deepEqual(
      await readdir(desk.path).then((names) => names.filter((name) => name.startsWith('elsewhere'))),
      [],
    );
    await mkdir(elsewhere);
    const { code, stdout, stderr } = await commandLine([...restoring, '--master-key', desk.file('kept.key')]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`${told.devices} device\\(s\\)`));
    assert.match(stdout, /sealed value\(s\) open under the master key/);
    assert.match(stdout, new RegExp(`The ${told.audit.number} entries of its audit log fit each other`));
    assert.match(stderr, /revoked since count again/);
    assert.match(stderr, /1 provisioning key\(s\) with a limit/);
    assert.equal((await stat(elsewhere)).mode & 0o777, 0o700);

    const restored = processes.use(await ServeProcess.start(elsewhere, '--gateway-port', String(port)));
    for (const device of before.filter((each) => each !== 'revoked-before'))
      assert.equal(await arrive(device), 200, device);
    assert.equal(await arrive('revoked-before'), 403);
    // Who came after it is a newcomer with a certificate under the Fleet Root CA: it is let in by its chain.
    for (const device of has.keys()) if (!before.includes(device)) assert.equal(await arrive(device), 200, device);
    const after = openClient(elsewhere);
    const { method } = await after.get<{ method: string }>(at`/accounts/acme/devices/after`);
    assert.equal(method, 'device');

    // What was revoked since is in again, and the server says so until somebody has seen to it.
    const readyz = async () => (await fetch(`http://127.0.0.1:${operatorPort(restored)}/readyz`)).json() as any;
    const [fault] = (await readyz()).faults;
    assert.equal(fault.part, 'restored');
    assert.match(fault.reason, /revocations too, is not known here/);
    assert.equal((await json('restoration', 'show', '--data', elsewhere)).backup_made_at, told.made_at);
    await after.post(at`/accounts/acme/devices/revoked-after/revoke` + confirmed);
    assert.equal(await arrive('revoked-after'), 403);
    await json('restoration', 'acknowledge', '--data', elsewhere);
    assert.deepEqual(await readyz(), { status: 'ready' });
    assert.equal((await commandLine(['restoration', 'acknowledge', '--data', elsewhere])).code, 1);

    // One history, which says from where it goes on.
    await json('audit', 'export', '-o', desk.file('audit.jsonl'), '--data', elsewhere);
    const verified = await json('audit', 'verify', desk.file('audit.jsonl'));
    assert.equal(verified.ok, true);
    assert.equal(verified.log, told.audit.log);
    const [mark] = await json('audit', 'list', '--action', 'server.restored', '--data', elsewhere);
    assert.deepEqual([mark.after.audit_number, mark.after.audit_hash], [told.audit.number, told.audit.hash]);
    // What was done while it was copied had no number yet.
    assert.ok(mark.number > told.audit.number);

    // With its master key in it, a back-up is all that is needed; under a passphrase, age asks for that.
    const whole = desk.file('whole.age');
    const passphrase = 'correct horse battery';
    const { stdout: said } = await commandLine(
      ['backup', whole, '--passphrase', '--with-master-key', '--data', elsewhere],
      { typed: [passphrase, passphrase] },
    );
    assert.match(said, /The master key is in it/);
    assert.equal((await readFile(whole)).includes('scrypt'), true);
    const third = desk.file('third');
    const last = await commandLine(['restore', whole, '--data', third], { typed: [passphrase] });
    assert.equal(last.code, 0, last.stderr);
    assert.deepEqual(await readFile(join(third, 'master.key')), await readFile(desk.file('kept.key')));
    assert.equal((await commandLine(['restore', whole, '--check'], { typed: ['another passphrase'] })).code, 1);
  },
);

test('one back-up at a time, and one that is cut short leaves nothing behind', { skip: needs('age') }, async () => {
  await using desk = await temporaryDirectory();
  await using server = await ServeProcess.start(desk.file('data'), '--gateway-port', '0');
  const data = desk.file('data');
  await succeed('age-keygen', ['-o', desk.file('key')]);
  const recipient = (await succeed('age-keygen', ['-y', desk.file('key')])).trim();
  const backUp = (file: string, ...words: string[]) =>
    commandLine([
      'backup',
      desk.file(file),
      '--data',
      data,
      ...(words.length > 0 ? words : ['--recipient', recipient]),
    ]);
  const both = await Promise.all([backUp('a'), backUp('b')]);
  assert.ok(both.some(({ code }) => code === 0));
  for (const { code, stderr } of both) if (code !== 0) assert.match(stderr, /A back-up is being made/);

  assert.match((await backUp('a')).stderr, /nothing is overwritten/);
  assert.match((await backUp('c', '--recipient', 'age1nobody')).stderr, /"age1nobody" is no recipient of age/);
  assert.match((await backUp('c', '--recipient', 'ssh-ed25519 AAAA')).stderr, /keys of SSH are not taken/);
  assert.equal((await backUp('c', '--passphrase', '--recipient', recipient)).code, 2);
  // Its copy of the registry lies in the data directory: a server that is killed then has the next start take it away.
  await mkdir(join(data, 'backup-in-work-left'));
  await server.kill();
  await using _again = await ServeProcess.start(data, '--gateway-port', '0');
  assert.equal(
    (await readdir(data)).some((name) => name.startsWith('backup-in-work')),
    false,
  );
  assert.equal((await backUp('c')).code, 0);
  const [, identity = ''] = /^(AGE-SECRET-KEY-\S+)$/m.exec(await readFile(desk.file('key'), 'utf8')) ?? [];
  assert.ok((await openBackup(desk.file('c'), identity)).has('registry.db'));
  await noCopyLeft(data);
});

/** The copy of the registry that a back-up is made of goes when its last octet has been sent. */
function noCopyLeft(data: string): Promise<boolean> {
  return eventually(async () => !(await readdir(data)).some((name) => name.startsWith('backup-in-work')));
}

function operatorPort({ said }: ServeProcess): string {
  return /127\.0\.0\.1:(\d+)\/healthz/.exec(said)![1]!;
}
