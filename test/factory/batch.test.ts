// Requests that come across the gap in an archive: each is answered once, whatever else is in it and however often it comes.

import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { signBatchFile } from '../../src/factory/batch-signing.ts';
import { atFactory, takeCommands } from '../../src/factory/control.ts';
import type { Factory } from '../../src/factory/factory.ts';
import { openWindows } from '../../src/factory/records/windows.ts';
import { stationActions } from '../../src/factory/stations.ts';
import { Problem } from '../../src/problem.ts';
import { newKey } from '../support/certificate-maker.ts';
import { factoryCli, startLine, type TestLine } from '../support/factory.ts';
import { pack, requestFor, writeFiles, writeRequests } from '../support/factory-batch.ts';
import { execute, succeed } from '../support/process.ts';
import { needs } from '../support/require.ts';

/** A line with stations with passwords and a window for an order, which takes commands over its socket until it is stopped. */
interface ReadyLine extends AsyncDisposable, Pick<TestLine, 'dir' | 'config' | 'rootFile' | 'file'> {
  readonly factory: Factory;
  /** Closes the directory, so that the next command opens it. */
  stop(): Promise<void>;
}

async function readyLine({
  quota = 1_000,
  stations = ['bench-1'],
  proof = 'station',
}: { quota?: number; stations?: string[]; proof?: 'station' | 'tpm' } = {}): Promise<ReadyLine> {
  await using held = new AsyncDisposableStack();
  const line = held.use(await startLine({ quota: 10_000 }));
  const running = held.use(new AsyncDisposableStack());
  const factory = running.use(await line.open());
  running.use(await takeCommands(factory));
  for (const name of stations) {
    await stationActions.addStation(factory, { name, networks: [], address: null, proof: { kind: 'password' } });
  }
  const window = { order_name: 'order-1', quota, closes_at: factory.clock() + 3_600_000, station_id: null };
  await factory.records.write('openWindow', { ...window, batch: null, proof });
  const all = held.move();
  return {
    ...line,
    factory,
    stop: () => running.disposeAsync(),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

interface Asked {
  readonly order?: string;
  readonly station?: string;
  readonly signature?: Buffer;
}

/** Answers a batch as the command does. */
function answer({ config }: ReadyLine, path: string, output: string, given: Asked = {}) {
  const { order = null, station = null, signature = null } = given;
  return atFactory(config, (at) => signBatchFile(at, { path, output, order, station, signature }));
}

/** The lines of the report in a directory, by the names of the requests. */
async function reportIn(dir: string): Promise<Map<string, any>> {
  const lines = JSON.parse(await readFile(join(dir, 'report.json'), 'utf8')) as { name: string }[];
  return new Map(lines.map((line) => [line.name, line]));
}

/** What the records say of it. */
async function made({ factory }: ReadyLine): Promise<{ certificates: number; used: number; notes: string[] }> {
  const { read } = factory.records;
  const rows = await read.selectFrom('certificates').select('state').execute();
  assert.ok(rows.every(({ state }) => state === 'made'));
  const [window] = await openWindows(read, factory.clock());
  const log = await read
    .selectFrom('log')
    .select('body')
    .where('object_kind', '=', 'batch')
    .orderBy('number')
    .execute();
  return { certificates: rows.length, used: window!.used, notes: log.map(({ body }) => body) };
}

const names = (dir: string): Promise<string[]> => readdir(dir, { recursive: true }).then((all) => all.toSorted());

test(
  'an archive of 300 requests comes back with 300 certificates, and the same ones when it is sent again',
  {
    skip: needs('openssl'),
  },
  async () => {
    await using line = await readyLine();
    await writeRequests(line.file('requests'), 'pump', 300);
    await pack(line.file('requests'), line.file('requests.tgz'));
    const signBatch = (output: string) =>
      factoryCli(line.dir, ['sign-batch', line.file('requests.tgz'), '-o', line.file(output), '--order', 'order-1']);

    const first = await signBatch('certificates.tgz');
    assert.deepEqual([first.code, first.stderr], [0, '']);
    assert.match(first.stdout, /^300 issued, 0 the same as before, 0 refused, for the station "bench-1"\.$/m);
    const { certificates, used, notes } = await made(line);
    assert.deepEqual([certificates, used], [300, 300]);
    const [begun, ended] = notes.map((note) => JSON.parse(note));
    assert.deepEqual([begun.action, ended.action, notes.length], ['batch.begin', 'batch.answer', 2]);
    assert.equal(begun.by.kind, 'operator');
    assert.deepEqual([begun.after.station, begun.after.signed], ['bench-1', false]);
    assert.equal(begun.after.sha256, (await succeed('sha256sum', [line.file('requests.tgz')])).slice(0, 64));
    assert.deepEqual(ended.after, { issued: 300, same: 0, refused: 0 });

    // Nobody has the directory open now, and the command opens it.
    await line.stop();
    const again = await signBatch('again.tgz');
    assert.match(again.stdout, /^0 issued, 300 the same as before, 0 refused/m);

    for (const name of ['certificates', 'again']) {
      await mkdir(line.file(name));
      await succeed('tar', ['xzf', line.file(`${name}.tgz`), '-C', line.file(name)]);
    }
    const files = await names(line.file('certificates'));
    assert.equal(files.length, 302);
    for (const file of files.filter((each) => each.endsWith('.crt'))) {
      assert.deepEqual(await readFile(line.file(`certificates/${file}`)), await readFile(line.file(`again/${file}`)));
    }
    const leaf = line.file('certificates/pump-7.crt');
    // The sub-CA stands behind the leaf.
    await succeed('openssl', ['verify', '-CAfile', line.rootFile, '-untrusted', leaf, leaf]);
    assert.match(await succeed('openssl', ['x509', '-in', leaf, '-noout', '-subject']), /CN *= *pump-7$/m);
    const report = await reportIn(line.file('certificates'));
    assert.equal(report.get('pump-7.csr').certificate, 'pump-7.crt');
    const csv = await readFile(line.file('certificates/report.csv'), 'utf8');
    assert.equal(csv.split('\r\n').length, 302);
  },
);

test('what is beyond the quota is refused one by one, and the exit code says so', async () => {
  await using line = await readyLine({ quota: 25 });
  await writeRequests(line.file('requests'), 'valve', 40);
  const outcome = await factoryCli(line.dir, ['sign-batch', line.file('requests'), '-o', line.file('out'), '--json']);
  assert.equal(outcome.code, 1, outcome.stderr);
  const { issued, same, refused, sha256, refusals } = JSON.parse(outcome.stdout);
  assert.deepEqual([issued, same, refused, sha256], [25, 0, 15, null]);
  assert.match(refusals[0].sentence, /25/);
  const report = await reportIn(line.file('out'));
  assert.equal([...report.values()].filter(({ code }) => code === 'quota_exhausted').length, 15);
  assert.equal((await names(line.file('out'))).length, 27);
  assert.deepEqual(await made(line).then(({ certificates, used }) => [certificates, used]), [25, 25]);
});

test(
  'what a station has signed is its own; without a signature somebody says whose it is',
  {
    skip: needs('openssl'),
  },
  async () => {
    await using line = await readyLine({ stations: ['by-password'] });
    for (const name of ['ec', 'rsa']) {
      const kind = name === 'ec' ? ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'] : ['rsa:2048'];
      const [key, request] = [line.file(`${name}.key`), line.file(`${name}.csr`)];
      await succeed('openssl', [
        'req',
        '-new',
        '-newkey',
        ...kind,
        '-nodes',
        '-keyout',
        key,
        '-out',
        request,
        '-subj',
        '/CN=s',
      ]);
      const proof = { kind: 'request', request: (await readFile(request)).toString('base64') } as const;
      await stationActions.addStation(line.factory, { name, networks: [], address: null, proof });
    }
    await writeRequests(line.file('requests'), 'lamp', 2);
    const archive = line.file('requests.tgz');
    await pack(line.file('requests'), archive);
    const signature = async (key: string): Promise<Buffer> => {
      const out = line.file(`${key}.sig`);
      await succeed('openssl', ['dgst', '-sha256', '-sign', line.file(`${key}.key`), '-out', out, archive]);
      return readFile(out);
    };
    const signed = { ec: await signature('ec'), rsa: await signature('rsa') };

    await assert.rejects(answer(line, archive, line.file('a')), /not signed, and there are several stations/);
    const outcomes = [
      await answer(line, archive, line.file('b'), { signature: signed.ec }),
      await answer(line, archive, line.file('c'), { signature: signed.rsa, station: 'rsa' }),
      await answer(line, archive, line.file('d'), { station: 'by-password' }),
    ];
    assert.deepEqual(
      outcomes.map(({ station, signed: so, issued, same }) => [station, so, issued, same]),
      [
        ['ec', true, 2, 0],
        ['rsa', true, 0, 2],
        ['by-password', false, 0, 2],
      ],
    );
    const refusals: [Asked, RegExp][] = [
      [{ signature: signed.ec, station: 'rsa' }, /not that of the station "rsa" over this archive/],
      [{ signature: signed.ec, station: 'by-password' }, /not that of the station "by-password"/],
      [{ signature: Buffer.from('no signature') }, /not that of a station over this archive/],
      [{ station: 'nobody' }, /There is no station "nobody"/],
      [{ station: 'ec', order: 'order-9' }, /There is no order "order-9"/],
    ];
    for (const [asked, sentence] of refusals)
      await assert.rejects(answer(line, archive, line.file('e'), asked), sentence);
    await assert.rejects(
      answer(line, line.file('requests'), line.file('e'), { signature: signed.ec }),
      /not of a directory/,
    );

    // What was edited on its way is nobody's.
    await writeFile(archive, Buffer.concat([await readFile(archive), Buffer.alloc(1)]));
    await assert.rejects(answer(line, archive, line.file('e'), { signature: signed.ec }), /not that of a station/);
    await stationActions.removeStation(line.factory, { name: 'ec' });
    await assert.rejects(answer(line, archive, line.file('e'), { station: 'ec' }), /There is no station "ec"/);
    await pack(line.file('requests'), archive);
    await assert.rejects(
      answer(line, archive, line.file('e'), { signature: await signature('ec') }),
      /not that of a station/,
    );
    assert.equal((await made(line)).certificates, 2);
    assert.ok(!(await readdir(line.file('.'))).includes('e'));
  },
);

const hostile = `
import io, sys, tarfile
out, request = sys.argv[1], open(sys.argv[2], 'rb').read()
other = open(sys.argv[3], 'rb').read()
archive = tarfile.open(out, 'w:gz', format=tarfile.PAX_FORMAT)
def add(name, content=request, **about):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for member, value in about.items():
        setattr(info, member, value)
    archive.addfile(info, io.BytesIO(content))
add('fine.csr')
add('fine.csr')
add('fine.pem', other)
add('../outside.csr')
add('a/../../outside.csr')
add('/tmp/absolute.csr')
add('back\\\\slash.csr')
add('new\\nline.csr')
add('turned\\u202ename.csr')
add('long-' + 'x' * 300 + '.csr')
add('.hidden/x.csr')
add('._fine.csr')
add('report.csv/x.csr')
add('link.csr', b'', type=tarfile.SYMTYPE, linkname='/etc/passwd')
add('hard.csr', b'', type=tarfile.LNKTYPE, linkname='fine.csr')
add('device', b'', type=tarfile.CHRTYPE, devmajor=1, devminor=3)
add('pipe', b'', type=tarfile.FIFOTYPE)
add('sub', b'', type=tarfile.DIRTYPE)
add('sub/other.csr', other)
add('sub/other.crt/x.csr')
add('large.csr', request + b' ' * 70000)
add('empty.csr', b'')
add('nonsense.csr', b'(nonsense)')
add('=formula.csr', b'(nonsense)')
add('key.csr', b'-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----\\n')
add('deep/' * 30 + 'deep.csr', other)
archive.close()
`;

test(
  'of an archive that somebody made with ill will, each entry gets its sentence and none leads anywhere',
  {
    skip: needs('python3'),
  },
  async () => {
    await using line = await readyLine();
    await writeFiles(line.file('.'), { 'one.csr': requestFor('one'), 'two.csr': requestFor('two') });
    const archive = line.file('hostile.tgz');
    await succeed('python3', ['-', archive, line.file('one.csr'), line.file('two.csr')], { input: hostile });
    const before = await names(line.file('.'));
    const result = await answer(line, archive, line.file('out'));
    const report = [...JSON.parse(await readFile(line.file('out/report.json'), 'utf8'))] as any[];
    const told = report.map(({ name, outcome, sentence }) => [name, outcome, sentence]);
    const again = 'Another file of the batch has the name "fine.crt" already, or needs it.';
    const unfit = 'There is a character in its name that is no part of a file name.';
    assert.deepEqual(told, [
      ['fine.csr', 'issued', null],
      ['fine.csr', 'refused', again],
      ['fine.pem', 'refused', again],
      ['../outside.csr', 'refused', 'Its name leads out of the archive.'],
      ['a/../../outside.csr', 'refused', 'Its name leads out of the archive.'],
      ['/tmp/absolute.csr', 'refused', 'Its name begins with a slash, and so leads out of the archive.'],
      ['back\\slash.csr', 'refused', unfit],
      ['new\nline.csr', 'refused', unfit],
      ['turned\u202ename.csr', 'refused', unfit],
      [`long-${'x'.repeat(300)}.csr`, 'refused', 'Its name is longer than 200 octets.'],
      ['.hidden/x.csr', 'passed_over', 'What begins with a dot is no request.'],
      ['._fine.csr', 'passed_over', 'What begins with a dot is no request.'],
      [
        'report.csv/x.csr',
        'refused',
        'Another file of the batch has the name "report.csv/x.crt" already, or needs it.',
      ],
      ['link.csr', 'refused', 'It is a symbolic link, which is not followed.'],
      ['hard.csr', 'refused', 'It is a hard link, which is not followed.'],
      ['device', 'refused', 'It is a device, which is not followed.'],
      ['pipe', 'refused', 'It is a pipe, which is not followed.'],
      ['sub/other.csr', 'issued', null],
      [
        'sub/other.crt/x.csr',
        'refused',
        'Another file of the batch has the name "sub/other.crt/x.crt" already, or needs it.',
      ],
      ['large.csr', 'refused', 'It is larger than 65536 octets.'],
      ['empty.csr', 'refused', 'There is no request: nothing was sent.'],
      ['nonsense.csr', 'refused', 'The request is neither DER nor PEM nor base64.'],
      ['=formula.csr', 'refused', 'The request is neither DER nor PEM nor base64.'],
      [
        'key.csr',
        'refused',
        'There is a private key in what was sent, which must never leave its device; send the request alone.',
      ],
      [`${'deep/'.repeat(30)}deep.csr`, 'same', null],
    ]);
    assert.deepEqual([result.issued, result.same, result.passed_over], [2, 1, 2]);
    assert.match(await readFile(line.file('out/report.csv'), 'utf8'), /^'=formula\.csr,,refused/m);
    const added = (await names(line.file('.'))).filter((name) => !before.includes(name) && !name.startsWith('line'));
    assert.deepEqual(
      added.filter((name) => !name.startsWith('out/deep')),
      ['out', 'out/fine.crt', 'out/report.csv', 'out/report.json', 'out/sub', 'out/sub/other.crt'],
    );
  },
);

test('an archive that is cut, no archive or a bomb is refused as a whole, and nothing is made of it', async () => {
  await using line = await readyLine();
  await writeRequests(line.file('requests'), 'fan', 30);
  await pack(line.file('requests'), line.file('good.tgz'));
  const good = await readFile(line.file('good.tgz'));
  await succeed('tar', ['cf', line.file('good.tar'), '-C', line.file('requests'), '.']);
  const tar = await readFile(line.file('good.tar'));
  const edited = Buffer.from(tar);
  // The last header's sum is wrong: what comes before it would have been made.
  const header = edited.lastIndexOf('ustar');
  edited[header - 257 + 10]! ^= 1;
  const files: Record<string, [Uint8Array, RegExp]> = {
    'cut.tgz': [good.subarray(0, good.length - 200), /cut or damaged: unexpected end of file/],
    'cut.tar': [tar.subarray(0, tar.lastIndexOf('ustar') + 300), /cut or damaged: its end is missing/],
    'edited.tar': [edited, /cut or damaged: checksum failure/],
    'twice.tgz': [gzipSync(good), /packed twice/],
    'bomb.tgz': [gzipSync(Buffer.alloc(80 * 1024 * 1024, 'x')), /cut or damaged|more than 67108864 octets/],
    'archive.zip': [Buffer.from('504b030400000000', 'hex'), /is a ZIP, and not a tar archive/],
    'text.tgz': [Buffer.from('Requests as discussed.\n'.repeat(100)), /cut or damaged: checksum failure/],
    'nothing.tgz': [Buffer.alloc(0), /its end is missing/],
  };
  for (const [name, [content, sentence]] of Object.entries(files)) {
    await writeFile(line.file(name), content);
    await assert.rejects(answer(line, line.file(name), line.file('out.tgz')), (error: unknown) => {
      assert.ok(error instanceof Problem, String(error));
      assert.match(error.message, sentence, name);
      return true;
    });
  }
  await assert.rejects(answer(line, '/dev/null', line.file('out.tgz')), /neither a file nor a directory/);
  assert.deepEqual(await made(line), { certificates: 0, used: 0, notes: [] });
  assert.deepEqual(
    (await readdir(line.file('.'))).filter((name) => name.includes('out')),
    [],
  );
});

test(
  'a bomb of one file is passed over up to the bound, and refused beyond it',
  { skip: needs('python3') },
  async () => {
    await using line = await readyLine();
    const bomb = `
import io, sys, tarfile
class Zeros(io.RawIOBase):
    def read(self, n=-1): return bytes(n)
archive = tarfile.open(sys.argv[1], 'w:gz')
info = tarfile.TarInfo('large.csr')
info.size = 200 * 1024 * 1024
archive.addfile(info, Zeros())
archive.close()
`;
    await succeed('python3', ['-', line.file('bomb.tgz')], { input: bomb });
    await assert.rejects(answer(line, line.file('bomb.tgz'), line.file('out')), /holds more than 67108864 octets/);
  },
);

describe('a directory', () => {
  test('is taken as an archive is, and answered by one', async () => {
    await using line = await readyLine();
    await writeFiles(line.file('requests'), {
      'a.csr': requestFor('device-a'),
      'lot 1/b.der': Buffer.from(requestFor('device-b').replace(/-----.*?-----|\s/g, ''), 'base64'),
      'lot 1/c': requestFor('device-c').replace(/-----.*?-----/g, ''),
      '.DS_Store': 'x',
    });
    await symlink('/etc/passwd', line.file('requests/d.csr'));
    await succeed('mkfifo', [line.file('requests/e.csr')]);
    const result = await answer(line, line.file('requests'), line.file('out.tar'));
    assert.deepEqual([result.issued, result.refused, result.passed_over], [3, 2, 1]);
    assert.deepEqual((await succeed('tar', ['tf', line.file('out.tar')])).trim().split('\n'), [
      'a.crt',
      'lot 1/b.crt',
      'lot 1/c.crt',
      'report.csv',
      'report.json',
    ]);
  });

  test('that exists is never written over, and what a killed program left is taken away', async () => {
    await using line = await readyLine();
    await writeRequests(line.file('requests'), 'dev', 3);
    await writeFiles(line.file('.'), { 'there/earlier.crt': 'x', 'there.tgz': 'x' });
    for (const name of ['there', 'there.tgz']) {
      await assert.rejects(answer(line, line.file('requests'), line.file(name)), /exists, and nothing is overwritten/);
    }
    assert.equal((await made(line)).certificates, 0);
    // No process has the number: it is above what Linux gives.
    await writeFiles(line.file('.'), { '.new.partial-99999999/whole/x.crt': 'x' });
    await answer(line, line.file('requests'), line.file('new'));
    assert.ok(!(await readdir(line.file('.'))).some((name) => name.includes('partial')));
    const { code, stderr } = await factoryCli(line.dir, ['sign-batch', line.file('none'), '-o', line.file('x')]);
    assert.equal(code, 1);
    assert.match(stderr, /cannot use .*none: no such file or directory/);
  });
});

test('what cannot be made is refused for the reason that a station would be told', async () => {
  await using line = await readyLine();
  const [key, other] = [newKey(), newKey()];
  await writeFiles(line.file('requests'), {
    '1.csr': requestFor('device-1', key),
    '2.csr': requestFor('device-1', other),
    '3.csr': requestFor('device-3', key),
    '4.csr': requestFor('no device id\u0000'),
    '5.csr': requestFor('device-5', newKey('rsa1024')),
  });
  await answer(line, line.file('requests'), line.file('out'));
  const report = await reportIn(line.file('out'));
  // Which of two comes first is open, and which of them stands then is so for ever.
  const codes = [...report.values()].map(({ code }) => code);
  assert.deepEqual([codes[3], codes[4]], ['device_id_invalid', 'key_not_accepted']);
  assert.equal(codes.slice(0, 3).filter((code) => code === null).length, 1 + Number(codes[0] !== null));
});

test('an order that wants the proof of a TPM takes no batch', async () => {
  await using line = await readyLine({ proof: 'tpm' });
  await writeRequests(line.file('requests'), 'dev', 2);
  const { issued, refused } = await answer(line, line.file('requests'), line.file('out'));
  assert.deepEqual([issued, refused], [0, 2]);
  for (const { code } of (await reportIn(line.file('out'))).values()) assert.equal(code, 'tpm_proof_required');
  const { stdout } = await execute('ls', ['-a', line.file('out')]);
  assert.deepEqual(stdout.trim().split('\n'), ['.', '..', 'report.csv', 'report.json']);
});
