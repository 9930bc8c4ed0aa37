// A line's service: enrolments, each over a new mutual TLS connection, beside `openssl ca` signing requests of the same kind.

import { execFileSync, type ExecFileSyncOptions } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { ConfigOptions } from '../src/config.ts';
import { startLine } from '../test/support/factory.ts';
import { requestFor } from '../test/support/factory-batch.ts';
import { needsSoftHsm, tokenHome } from '../test/support/softhsm.ts';
import type { Outcome } from './load.ts';
import { Pinned, serverCore } from './pinned.ts';
import { type Contender, measure, print } from './rounds.ts';

const launcher = new URL('../fleetroot', import.meta.url).pathname;
/** Enrolments that are under way at a time. */
const atOnce = 16;
/** Far more than any run asks for. */
const quota = 100_000;

/** Measures by turns. `openssl ca` has no network, no TLS, no quota, no record but its index; its program is started for each. */
export async function benchFactory(dir: string): Promise<void> {
  const missing = needsSoftHsm();
  if (missing !== false) throw new Error(`The bench ${missing}.`);
  await using held = new AsyncDisposableStack();
  const token = held.use(tokenHome());
  const { module, tokenLabel, pinFile } = token.settings;
  const hsm = {
    'custody.default': 'pkcs11',
    'pkcs11.module': module,
    'pkcs11.token_label': tokenLabel!,
    'pkcs11.pin_file': pinFile!,
  };
  const contenders: Contender[] = [
    opensslCa('openssl ca, a program for each request', join(dir, 'ca-each'), false),
    opensslCa('openssl ca, one program for all', join(dir, 'ca-all'), true),
  ];
  const contended: Record<string, ConfigOptions> = { software: {}, 'pkcs11, SoftHSM': hsm };
  for (const [name, options] of Object.entries(contended)) {
    const line = held.use(await startLine({ quota, options }));
    if (name !== 'software') {
      const settings = { module, token_label: tokenLabel, pin_file: pinFile };
      const lines = Object.entries(settings).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
      writeFileSync(
        join(line.dir, 'fleetroot.toml'),
        `[custody]\ndefault = "pkcs11"\n\n[pkcs11]\n${lines.join('\n')}\n`,
      );
    }
    const factory = (...words: string[]) => execFileSync(launcher, ['factory', ...words, '--data', line.dir]);
    factory('station', 'add', 'bench', '-o', line.file('bench'));
    factory('window', 'open', '--order', 'bench', '--quota', `${quota}`, '--for', '8h');
    const server = held.use(
      new Pinned([launcher, 'factory', 'serve', '--data', line.dir, '--port', '0'], { FLEETROOT_LOG_LEVEL: 'warn' }),
    );
    const [, port] = await server.says(/stations: https:\/\/.*?:(\d+)/);
    const station = Object.fromEntries(
      (['key', 'crt'] as const).map((end) => [end, readFileSync(line.file(`bench/station.${end}`))]),
    );
    const enrol = (csr: string) => enrolOver(Number(port), { key: station['key']!, cert: station['crt']! }, csr);
    contenders.push({ name: `POST /sign, ${name}`, server, load: { run: (count) => run(count, enrol) } });
  }
  print(
    'Enrolments at a line, each on a connection of its own',
    await measure(contenders, { rounds: 5, requests: 300 }),
  );
}

let asked = 0;

/** New requests, each with a key of its own. */
function requests(count: number): string[] {
  return Array.from({ length: count }, () => requestFor(`bench-${++asked}`));
}

async function run(count: number, enrol: (csr: string) => Promise<boolean>): Promise<Outcome> {
  const waiting = requests(count);
  let errors = 0;
  const began = performance.now();
  const work = async () => {
    for (let csr = waiting.pop(); csr !== undefined; csr = waiting.pop()) if (!(await enrol(csr))) errors += 1;
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return { requests: count, errors, seconds: (performance.now() - began) / 1000 };
}

async function enrolOver(port: number, station: { key: Buffer; cert: Buffer }, csr: string): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  // The server is our own; the load does not validate its path.
  const options = { host: '127.0.0.1', port, path: '/sign', method: 'POST', agent: false, rejectUnauthorized: false };
  const headers = { 'content-type': 'application/pkcs10', 'content-length': Buffer.byteLength(csr) };
  const call = request({ ...options, ...station, headers }, (response) => {
    buffer(response).then((body) => resolve(response.statusCode === 200 && body.includes('CERTIFICATE')), reject);
  });
  call.once('error', reject).end(csr);
  return promise;
}

/** A CA as `openssl ca` keeps one, with a P-256 key; its processor time is what the shell says of its children. */
function opensslCa(name: string, dir: string, together: boolean): Contender {
  mkdirSync(dir, { recursive: true });
  const inDir: ExecFileSyncOptions = { cwd: dir, stdio: ['ignore', 'pipe', 'ignore'] };
  const subject = ['-subj', '/CN=line', '-days', '3650'];
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      'ca.key',
      '-out',
      'ca.crt',
      ...subject,
    ],
    inDir,
  );
  mkdirSync(join(dir, 'new'));
  writeFileSync(join(dir, 'index.txt'), '');
  writeFileSync(join(dir, 'ca.cnf'), configuration);
  let cpuSeconds = 0;
  const sign = (count: number): Outcome => {
    const files = requests(count).map((csr, index) => {
      writeFileSync(join(dir, `${index}.csr`), csr);
      return `${index}.csr`;
    });
    const command = 'openssl ca -batch -config ca.cnf -notext';
    const script = together
      ? `${command} -infiles ${files.join(' ')} >/dev/null`
      : `for f in ${files.join(' ')}; do ${command} -in $f -out $f.crt || exit 1; done`;
    const began = performance.now();
    const said = execFileSync('taskset', ['-c', `${serverCore}`, 'bash', '-c', `${script}; times`], inDir).toString();
    const seconds = (performance.now() - began) / 1000;
    const [user = 0, system = 0] = [
      ...said
        .trim()
        .split('\n')
        .at(-1)!
        .matchAll(/(\d+)m([\d.]+)s/g),
    ].map(([, minutes, rest]) => Number(minutes) * 60 + Number(rest));
    cpuSeconds += user + system;
    return { requests: count, errors: 0, seconds };
  };
  return { name, server: { cpuSeconds: () => cpuSeconds }, load: { run: async (count) => sign(count) } };
}

const configuration = `
[ca]
default_ca = line
[line]
dir = .
database = index.txt
new_certs_dir = new
certificate = ca.crt
private_key = ca.key
default_md = sha256
default_days = 3650
rand_serial = yes
policy = any
x509_extensions = device
unique_subject = yes
[any]
commonName = supplied
[device]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
`;
