// Back-ups that are not as they were made, or not for whoever restores: each is refused with its sentence, and nothing is left.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { newIdentity, openBackup, packBackup, withManifest } from '../support/backup.ts';
import { commandLine } from '../support/command-line.ts';
import { eventually } from '../support/eventually.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { temporaryDirectory } from '../support/process.ts';

describe('a restoration', () => {
  let desk: Awaited<ReturnType<typeof temporaryDirectory>>;
  let mine: Awaited<ReturnType<typeof newIdentity>>;
  /** A whole back-up without its master key, and what is in it. */
  let file: string;
  let files: Map<string, Buffer>;
  let count = 0;

  before(async () => {
    desk = await temporaryDirectory();
    mine = await newIdentity();
    await writeFile(desk.file('identity'), `# of the test\n${mine.identity}\n`);
    file = desk.file('whole.age');
    await using fleetroot = await Fleetroot.start();
    await fleetroot.json('account', 'create', 'acme');
    await fleetroot.json('backup', file, '--recipient', mine.recipient);
    await copyFile(fleetroot.file('master.key'), desk.file('master.key'));
    files = await openBackup(file, mine.identity);
  });
  after(async () => desk[Symbol.asyncDispose]());

  /** Restores into a directory that is not there; unless it is said otherwise by who has all that it needs. */
  async function restore(from: string, ...words: string[]) {
    count += 1;
    const data = desk.file(`data-${count}`);
    const key = words.includes('--master-key') ? [] : ['--master-key', desk.file('master.key')];
    const identity = words.includes('--identity') ? [] : ['--identity', desk.file('identity')];
    const outcome = await commandLine(['restore', from, '--data', data, ...identity, ...key, ...words]);
    return { ...outcome, data };
  }

  async function refused(from: string, sentence: RegExp, ...words: string[]): Promise<void> {
    const { code, stderr, data } = await restore(from, ...words);
    assert.equal(code, 1, 'it was restored');
    assert.match(stderr, sentence);
    assert.equal(existsSync(data), false);
    assert.equal(existsSync(`${data}.restoring`), false);
  }

  /** A back-up of other files than the whole one's. */
  async function packed(others: Iterable<readonly [string, Buffer]>): Promise<string> {
    count += 1;
    await packBackup(desk.file(`packed-${count}`), mine.recipient, others);
    return desk.file(`packed-${count}`);
  }

  /** A back-up of another registry than the whole one's, whose manifest fits it. */
  async function altered(change: (registry: DatabaseSync) => void): Promise<string> {
    count += 1;
    const registry = desk.file(`registry-${count}.db`);
    await writeFile(registry, files.get('registry.db')!);
    const database = new DatabaseSync(registry);
    change(database);
    database.close();
    return packed(withManifest(new Map([...files, ['registry.db', await readFile(registry)]])));
  }

  test('goes well where nothing is wrong, also of what was packed anew', async () => {
    for (const from of [file, await packed(withManifest(files))]) {
      const { code, stderr, data } = await restore(from);
      assert.equal(code, 0, stderr);
      assert.deepEqual((await readdir(data)).toSorted(), ['lock.db', 'master.key', 'registry.db']);
      assert.equal(existsSync(`${data}.restoring`), false);
    }
  });

  test('of a file that was cut or changed', async () => {
    const whole = await readFile(file);
    const end = whole.length;
    for (const cut of [0, 10, 150, 500, Math.floor(end / 2), end - 1]) {
      await writeFile(desk.file('cut'), whole.subarray(0, cut));
      await refused(desk.file('cut'), /cut or changed|is no back-up/);
    }
    for (const at of [25, 190, 400, Math.floor(end / 2), end - 5]) {
      const edited = Buffer.from(whole);
      edited[at]! ^= 1;
      await writeFile(desk.file('edited'), edited);
      await refused(desk.file('edited'), /cut or changed|is no back-up|was encrypted to nobody/);
    }
    await refused(desk.file('master.key'), /is no back-up: it is not encrypted by age/);
    await refused(desk.file('nowhere'), /nowhere cannot be unpacked/);
  });

  test('by who is not its recipient', async () => {
    await writeFile(desk.file('other'), (await newIdentity()).identity);
    await refused(file, /was encrypted to nobody whose identity this is/, '--identity', desk.file('other'));
    const { code, stderr } = await restore(file, '--identity', desk.file('master.key'));
    assert.deepEqual([code, /is no file of identities of age/.test(stderr)], [2, true]);
  });

  test('of an archive with other files in it, or other files than its manifest says', async () => {
    const other = Buffer.from('owned');
    for (const name of ['../evil', '/etc/evil', 'a/../../evil', 'lock.db', 'registry.db-wal']) {
      await refused(await packed([...files, [name, other]]), /it holds ".*", which no back-up does/);
    }
    await refused(await packed([...files, ['registry.db', other]]), /it holds "registry.db", which no back-up does/);
    await refused(await packed([...files, ['master.key', other]]), /its files are not those of its manifest/);
    await refused(await packed([['manifest.json', files.get('manifest.json')!]]), /its files are not those/);
    await refused(await packed([...files].slice(1)), /its manifest is none/);
    await refused(await packed(withManifest(new Map([...files].slice(0, 1)))), /it holds no registry/);
    assert.equal(existsSync(desk.file('evil')), false);
  });

  test('of another version, or of a newer program', async () => {
    const of = (change: (manifest: any) => unknown) => packed(withManifest(files, change));
    await refused(await of((manifest) => (manifest.version = 2)), /of version 2, and this program reads version 1/);
    await refused(await of((manifest) => (manifest.format = 'other')), /its manifest is none/);
    const newer = await of((manifest) => Object.assign(manifest, { schema: 999, program: '9.9.9' }));
    await refused(newer, /made by a newer Fleetroot \(9\.9\.9\).* 999 migrations/);
  });

  test('of a registry that is damaged, or in which somebody has written', async () => {
    const broken = Buffer.from(files.get('registry.db')!);
    broken.fill(0xff, 8192, 20_000);
    await refused(await packed(withManifest(new Map([...files, ['registry.db', broken]]))), /The database is damaged/);
    await refused(
      await altered((registry) =>
        registry.exec("PRAGMA foreign_keys = OFF; UPDATE account_hosts SET account_id = 'nobody'"),
      ),
      /The database is damaged: a row of account_hosts belongs to one of accounts/,
    );
    await refused(
      await altered((registry) => registry.exec("UPDATE audit_entries SET body = body || ' ' WHERE number = 3")),
      /its audit log is not whole\. Entry 3 has been changed/,
    );
    await refused(
      await altered((registry) =>
        registry.exec('DELETE FROM audit_entries WHERE number = (SELECT max(number) FROM audit_entries)'),
      ),
      /its audit log is not whole\. (It ends with entry|The log ends with entry)/,
    );
    // A sealed value opens in its own row alone.
    await refused(
      await altered((registry) =>
        registry.exec(
          `UPDATE keys SET remembered = (SELECT remembered FROM keys AS other WHERE other.id != keys.id AND remembered IS NOT NULL LIMIT 1)
           WHERE id = (SELECT max(id) FROM keys WHERE custodian = 'software')`,
        ),
      ),
      /Of \d+ sealed values 1 do not open\. The sealed custody key/,
    );
  });

  test('without the master key, or with another', async () => {
    await writeFile(desk.file('other.key'), `${Buffer.alloc(32, 7).toString('base64')}\n`, { mode: 0o600 });
    await refused(
      file,
      /is not the one under which this registry's secrets were sealed/,
      '--master-key',
      desk.file('other.key'),
    );
    await refused(file, /The master key cannot be read/, '--master-key', desk.file('nowhere'));
    const { code, stderr } = await commandLine([
      'restore',
      file,
      '--identity',
      desk.file('identity'),
      '--data',
      desk.file('keyless'),
    ]);
    assert.equal(code, 1);
    assert.match(stderr, /The master key is not in the back-up: it was the file .*, and its ID is [0-9a-f]{16}/);
    assert.equal(existsSync(desk.file('keyless')), false);
    // Where it is configured to be had otherwise, it is looked for there.
    const key = (await readFile(desk.file('master.key'), 'utf8')).trim();
    const { code: found, stderr: said } = await commandLine(
      ['restore', file, '--identity', desk.file('identity'), '--data', desk.file('configured')],
      { env: { FLEETROOT_CUSTODY_MASTER_KEY_VARIABLE: 'THE_KEY', THE_KEY: key } },
    );
    assert.equal(found, 0, said);
    assert.deepEqual((await readdir(desk.file('configured'))).toSorted(), ['lock.db', 'registry.db']);
  });

  test('never over anything that is there', async () => {
    const there = desk.file('there');
    await mkdir(there);
    await writeFile(join(there, 'something'), 'else');
    const { code, stderr } = await commandLine(['restore', file, '--identity', desk.file('identity'), '--data', there]);
    assert.deepEqual([code, /there is not empty, and nothing is overwritten/.test(stderr)], [1, true]);
    assert.deepEqual(await readdir(there), ['something']);
  });

  test('that is killed leaves nothing that serves, and the next one is whole', async () => {
    const data = desk.file('killed');
    const words = ['restore', file, '--identity', desk.file('identity'), '--data', data];
    words.push('--master-key', desk.file('master.key'));
    const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
    const child = spawn(process.execPath, [main, ...words], { stdio: 'ignore' });
    const ended = once(child, 'exit');
    await eventually(() => existsSync(join(`${data}.restoring`, 'data', 'registry.db')) || child.exitCode !== null);
    child.kill('SIGKILL');
    await ended;
    // All of it or nothing.
    if (!existsSync(data)) {
      const { code, stderr } = await commandLine(words);
      assert.equal(code, 0, stderr);
    }
    assert.ok(existsSync(join(data, 'registry.db')));
    const again = await commandLine([...words]);
    assert.match(again.stderr, /is not empty/);
  });
});
