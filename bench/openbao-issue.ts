// What provisioning is measured against: an OpenBao that makes key and certificate by `pki/issue`, its storage a raft on disk.

import { execFileSync } from 'node:child_process';
import { OpenBao, openbao, openbaoRelease } from '../test/support/openbao.ts';
import { Load } from './load.ts';
import { cpuSecondsOf, loadCore, serverCore } from './pinned.ts';
import type { Contender } from './rounds.ts';

export { openbao as needsOpenBao };
export const openbaoVersion = `OpenBao ${openbaoRelease}`;

const longest = '87600h';

/** What the load finds in a reply; with `"` before and after in the JSON. */
const expected = '"private_key"';

/** An OpenBao with the pki engine under a P-256 root, on the server's core. */
export class OpenBaoIssuer implements AsyncDisposable {
  readonly #bao: OpenBao;
  readonly #token: string;
  readonly #pkcs12: string;
  readonly #held = new DisposableStack();

  private constructor(bao: OpenBao, token: string, pkcs12: string) {
    this.#bao = bao;
    this.#token = token;
    this.#pkcs12 = pkcs12;
  }

  /**
   * Starts one. Every caller is identified by a token; with `mutual` TLS asks for a client certificate too. Certificates
   * are kept in its storage unless `stored` is false, and leases are not made for them.
   */
  static async start({ mutual, stored }: { mutual: boolean; stored: boolean }): Promise<OpenBaoIssuer> {
    const bao = await onServerCore(() => OpenBao.server({ verifyClients: mutual }));
    await bao.api('POST', 'sys/mounts/pki', { body: { type: 'pki', config: { max_lease_ttl: longest } } });
    const ec = { key_type: 'ec', key_bits: 256 };
    await bao.api('POST', 'pki/root/generate/internal', { body: { common_name: 'root', ttl: longest, ...ec } });
    const role = {
      allow_any_name: true,
      enforce_hostnames: false,
      server_flag: false,
      no_store: !stored,
      ttl: '8760h',
    };
    await bao.api('POST', 'pki/roles/device', { body: { ...role, ...ec } });
    await bao.policy('issue', 'path "pki/issue/device" { capabilities = ["update"] }');
    const token = await bao.token({ policies: ['issue'], ttl: '8h' });
    const { certificate, key } = await bao.client('device');
    const pkcs12 = bao.file('device.p12');
    execFileSync('openssl', [
      'pkcs12',
      '-export',
      '-in',
      certificate,
      '-inkey',
      key,
      '-passout',
      'pass:',
      '-out',
      pkcs12,
    ]);
    return new OpenBaoIssuer(bao, token, pkcs12);
  }

  /** It as one of those compared. */
  contender(program: string, name: string, connections: 'new' | 'kept', atOnce: number): Contender {
    const identity = { host: 'localhost', pkcs12: this.#pkcs12, expected };
    const options = { connections, token: this.#token };
    const load = this.#held.use(new Load(program, this.#bao.port, [identity], 'issue', atOnce, options));
    return { name, server: { cpuSeconds: () => cpuSecondsOf(this.#bao.pid) }, load };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#held[Symbol.dispose]();
    await this.#bao[Symbol.asyncDispose]();
  }
}

/** Has what is started meanwhile run on the server's core. It sees one processor then, as Fleetroot does not. */
async function onServerCore<T>(start: () => Promise<T>): Promise<T> {
  const move = (core: number) => execFileSync('taskset', ['-apc', `${core}`, `${process.pid}`], { stdio: 'ignore' });
  move(serverCore);
  try {
    return await start();
  } finally {
    move(loadCore);
  }
}
