// TPMs in software (swtpm), made as a maker of TPMs makes them, and used by tpm2-tools.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { eventually } from './eventually.ts';
import { succeed, temporaryDirectory } from './process.ts';

/** Attributes of a key that was made in the TPM, never leaves it, and signs: 0x00040472. */
export const goodAttributes = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|sign';

/** Where swtpm_setup puts the endorsement keys; the one of RSA-2048 wants a policy session. */
export const endorsementHandles = { rsa2048: '0x81010001', rsa3072: '0x8101001c', secp384r1: '0x81010016' } as const;

/**
 * The openssl that reaches the keys in the TPM: tpm2-openssl first, or it signs nothing. What is hashed is hashed outside:
 * each hash under way in the TPM takes one of its three places, and a handshake has more.
 */
export const tpmOpenssl = 'OPENSSL_CONF=openssl-tpm2.cnf openssl';

/**
 * Shell lines after which each of the tools that load something makes room again, as a resource manager would: a TPM has
 * three places.
 */
export const makingRoom = ['createprimary', 'create', 'load', 'evictcontrol', 'createek', 'activatecredential']
  .map((tool) => `tpm2_${tool}() { command tpm2_${tool} "$@" && command tpm2_flushcontext -t; }\n`)
  .join('');

const opensslConfiguration = `openssl_conf = all
[all]
providers = providers
alg_section = algorithms
[providers]
tpm2 = tpm2_provider
default = default_provider
[tpm2_provider]
activate = 1
[default_provider]
activate = 1
[algorithms]
default_properties = ?tpm2.digest!=yes
[req]
distinguished_name = name
[name]
`;

export type EndorsementKey = keyof typeof endorsementHandles;

/** Somebody who makes TPMs: a root, and an issuing CA below it. */
export interface TpmMaker extends AsyncDisposable {
  /** The root's certificate (PEM), and that of the issuing CA. */
  readonly root: () => Buffer;
  readonly issuer: () => Buffer;
  /** A TPM of its making, switched on. RSA endorsement keys of 3,072 bits take seconds to make. */
  make(rsaBits?: 2048 | 3072): Promise<Tpm>;
}

export interface Tpm extends AsyncDisposable {
  /** What TPM2TOOLS_TCTI and TPM2OPENSSL_TCTI say. */
  readonly tcti: string;
  /** A file of the directory that its tools run in. */
  file(name: string): string;
  read(name: string): Buffer;
  write(name: string, content: Uint8Array | string): void;
  /** Runs shell lines there, with further variables; gives what they print. Throws with what they complained of. */
  run(script: string, variables?: Readonly<Record<string, string>>): Promise<string>;
  /** The certificate of an endorsement key (DER) that lies in it. */
  endorsementCertificate(key: EndorsementKey): Buffer;
  /** Makes a key under the TPM's owner and loads it: NAME.pub, NAME.ctx, and its SubjectPublicKeyInfo NAME.der. */
  makeKey(
    name: string,
    options?: { algorithm?: 'ecc' | 'ecc384' | 'ecc:ecdsa-sha256:null' | 'rsa'; attributes?: string },
  ): Promise<void>;
  /** Keeps the key NAME.ctx in the TPM under a handle such as 0x81000001. */
  keep(name: string, handle: string): Promise<void>;
  /** Has the TPM read a credential (the file of tpm2-tools) with the key NAME.ctx loaded. Throws where it does not. */
  activate(credential: Buffer, name: string, endorsement: EndorsementKey | `${string}.ctx`): Promise<Buffer>;
}

/** A maker with keys of its own. Needs `swtpm` and `tpm2-tools`. */
export async function tpmMaker(): Promise<TpmMaker> {
  const place = await temporaryDirectory();
  const at = (name: string): string => place.file(name);
  await mkdir(at('ca'));
  writeFileSync(at('localca.options'), '');
  writeFileSync(
    at('localca.conf'),
    `statedir = ${at('ca')}\nsigningkey = ${at('ca/signkey.pem')}\n` +
      `issuercert = ${at('ca/issuercert.pem')}\ncertserial = ${at('ca/certserial')}\n`,
  );
  writeFileSync(
    at('setup.conf'),
    `create_certs_tool = swtpm_localca\ncreate_certs_tool_config = ${at('localca.conf')}\n` +
      `create_certs_tool_options = ${at('localca.options')}\nactive_pcr_banks = sha256\n`,
  );
  const opened: Tpm[] = [];
  return {
    root: () => readFileSync(at('ca/swtpm-localca-rootca-cert.pem')),
    issuer: () => readFileSync(at('ca/issuercert.pem')),
    async make(rsaBits = 2048) {
      const directory = at(`tpm${opened.length}`);
      await mkdir(join(directory, 'state'), { recursive: true });
      const size = rsaBits === 2048 ? [] : ['--rsa-keysize', String(rsaBits)];
      const files = ['--tpmstate', join(directory, 'state'), '--write-ek-cert-files', directory];
      await succeed('swtpm_setup', ['--tpm2', '--create-ek-cert', '--config', at('setup.conf'), ...size, ...files]);
      const tpm = await switchOn(directory);
      opened.push(tpm);
      return tpm;
    },
    async [Symbol.asyncDispose]() {
      for (const tpm of opened) await tpm[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    },
  };
}

async function switchOn(directory: string): Promise<Tpm> {
  const { child, port } = await listen(directory);
  const tcti = `swtpm:host=127.0.0.1,port=${port}`;
  const env = { ...process.env, TPM2TOOLS_TCTI: tcti, TPM2OPENSSL_TCTI: tcti };
  const file = (name: string): string => join(directory, name);
  const run = (script: string, variables = {}): Promise<string> =>
    succeed('bash', ['-euo', 'pipefail', '-c', script], { cwd: directory, env: { ...env, ...variables } });
  writeFileSync(file('openssl-tpm2.cnf'), opensslConfiguration);
  let hasPrimary = false;
  return {
    tcti,
    file,
    run,
    read: (name) => readFileSync(file(name)),
    write: (name, content) => writeFileSync(file(name), content),
    endorsementCertificate: (key) => readFileSync(file(`ek-${key}.crt`)),
    async makeKey(name, { algorithm = 'ecc', attributes = goodAttributes } = {}) {
      if (!hasPrimary) await run('tpm2_createprimary -Q -C o -g sha256 -G ecc -c primary.ctx; tpm2_flushcontext -t');
      hasPrimary = true;
      // Without a resource manager, whatever is loaded takes one of three places until it is flushed.
      await run(`
        tpm2_create -Q -C primary.ctx -g sha256 -G ${algorithm} -a '${attributes}' -u ${name}.pub -r ${name}.priv
        tpm2_flushcontext -t
        tpm2_load -Q -C primary.ctx -u ${name}.pub -r ${name}.priv -c ${name}.ctx
        tpm2_flushcontext -t
        tpm2_readpublic -Q -c ${name}.ctx -f der -o ${name}.der
        tpm2_flushcontext -t`);
    },
    async keep(name, handle) {
      await run(`tpm2_evictcontrol -Q -C o -c ${name}.ctx ${handle}; tpm2_flushcontext -t`);
    },
    async activate(credential, name, endorsement) {
      writeFileSync(file('credential'), credential);
      const handle = endorsementHandles[endorsement as EndorsementKey] ?? endorsement;
      // The templates of RSA-2048 and P-256 want a session in which the endorsement hierarchy's secret was told.
      const withPassword = endorsement === 'rsa3072' || endorsement === 'secp384r1';
      // What has begun is ended whether or not the TPM gives the secret.
      await run(`
        tpm2_startauthsession --policy-session -S ek.session
        tpm2_policysecret -Q -S ek.session -c e
        rm -f secret
        tpm2_activatecredential -Q -c ${name}.ctx -C ${handle} -i credential -o secret \
          ${withPassword ? '' : '-P session:ek.session'} || answer=$?
        tpm2_flushcontext ek.session
        tpm2_flushcontext -t
        exit \${answer:-0}`);
      return readFileSync(file('secret'));
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill();
      await ended;
    },
  };
}

/** Starts swtpm on a port of its own and the one after it, of which somebody may be quicker to take one. */
async function listen(directory: string): Promise<{ child: ChildProcess; port: number }> {
  const pidFile = join(directory, 'swtpm.pid');
  for (let attempt = 1; attempt <= 20; attempt += 1) {
    const port = await freePort();
    const child = spawn(
      'swtpm',
      ['socket', '--tpm2', '--tpmstate', `dir=${join(directory, 'state')}`, '--pid', `file=${pidFile}`].concat(
        ['--server', `type=tcp,port=${port}`, '--ctrl', `type=tcp,port=${port + 1}`],
        ['--flags', 'not-need-init,startup-clear'],
      ),
      { stdio: 'ignore' },
    );
    // The process ID is written when both ports are its own.
    const running = await eventually(() =>
      child.exitCode !== null || child.signalCode !== null
        ? 'ended'
        : existsSync(pidFile) && readFileSync(pidFile, 'utf8').length > 0 && 'running',
    );
    if (running === 'running') return { child, port };
  }
  throw new Error('swtpm does not start.');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
