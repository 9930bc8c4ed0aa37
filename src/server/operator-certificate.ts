// The certificate of the operators' listener: the files given, or one of the server's own, whichever stands now.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';

import type { Config } from '../config.ts';
import type { Seal } from '../custody/seal.ts';
import type { Issuer } from '../issuing/issuer.ts';
import {
  currentOperatorChain,
  openOperatorKey,
  type OperatorChain,
  recordedOperatorChain,
} from '../issuing/operator-ca.ts';
import type { Log } from '../log.ts';
import type { ListenerCertificate, ListenerOptions } from '../operator/listener.ts';
import { Problem } from '../problem.ts';
import { canonicalHost } from '../provisioning/host.ts';
import { certificateToPem } from '../x509/certificate.ts';
import { encodePem } from '../x509/pem.ts';

/** What the listener shows, and what is done for it every hour. */
export interface OperatorCertificates extends ListenerOptions {
  /** Makes or renews the server's own where it is missing or due; where that fails now, the log says why. */
  renew(): Promise<void>;
}

/** Files are looked at once in so many milliseconds at the most. */
const lookInterval = 1_000;

/**
 * Opens what the configuration says. Throws Problem `invalid_request` where the files given are not there or no pair;
 * what custody cannot make now is left to `renew`.
 */
export async function openOperatorCertificates(
  { dataDir, operator }: Config,
  { issuer, seal, log }: { issuer: Issuer; seal: Seal; log: Log },
): Promise<OperatorCertificates> {
  const caFile = join(dataDir, 'operator-ca.crt');
  if (operator.certificate !== null) {
    // Whoever trusted the CA of before would else go on to, by a file that says nothing any more.
    await rm(caFile, { force: true });
    return new GivenCertificate(operator.certificate, ownHosts(operator), log);
  }
  const own = new OwnCertificate({ issuer, seal, log }, { hosts: ownHosts(operator), caFile });
  await own.openRecorded();
  return own;
}

/** By which names and addresses operators reach this server, each in canonical form. */
function ownHosts({ address, hosts, publicUrl }: Config['operator']): string[] {
  const published = publicUrl === null ? [] : [new URL(publicUrl).hostname];
  const given = [...hosts, ...published, ...(/^(::|0\.0\.0\.0)$/.test(address) ? [] : [address])];
  const machine = isHost(hostname()) ? [hostname()] : [];
  return [...new Set(['localhost', '127.0.0.1', '::1', ...machine, ...given].map(canonicalHost))];
}

/** A machine may be called what no certificate can name. */
function isHost(name: string): boolean {
  try {
    return canonicalHost(name) !== '';
  } catch {
    return false;
  }
}

/** Made by the server's own CA, whose certificate lies in the data directory for `curl --cacert`. */
class OwnCertificate implements OperatorCertificates {
  readonly hosts: readonly string[];
  readonly #issuer: Issuer;
  readonly #seal: Seal;
  readonly #log: Log;
  readonly #caFile: string;
  #present: (ListenerCertificate & { readonly id: string }) | null = null;

  constructor(
    { issuer, seal, log }: { issuer: Issuer; seal: Seal; log: Log },
    { hosts, caFile }: { hosts: readonly string[]; caFile: string },
  ) {
    this.#issuer = issuer;
    this.#seal = seal;
    this.#log = log;
    this.hosts = hosts;
    this.#caFile = caFile;
  }

  certificate(): ListenerCertificate | null {
    return this.#present;
  }

  /** Shows what was recorded last, though it be due: custody may be away. */
  async openRecorded(): Promise<void> {
    const chain = await recordedOperatorChain(this.#issuer);
    if (chain !== null) await this.#show(chain);
  }

  async renew(): Promise<void> {
    try {
      await this.#show(await currentOperatorChain(this.#issuer, this.#seal, this.hosts));
    } catch (error) {
      this.#log.error({ err: error }, "the operators' certificate could not be made");
    }
  }

  async #show({ ca, certificate }: OperatorChain): Promise<void> {
    const caPem = certificateToPem(Buffer.from(ca.certificate));
    await replaceFile(this.#caFile, caPem);
    if (this.#present?.id === certificate.id) return;
    using key = openOperatorKey(this.#seal, certificate);
    this.#present = {
      id: certificate.id,
      chain: certificateToPem(Buffer.from(certificate.certificate)) + caPem,
      key: encodePem('PRIVATE KEY', key.reveal()),
    };
  }
}

/** Puts a file in its place whole, where it has another content. */
async function replaceFile(file: string, content: string): Promise<void> {
  if ((await readFile(file, 'utf8').catch(() => null)) === content) return;
  writeFileSync(`${file}.new`, content, { mode: 0o644 });
  renameSync(`${file}.new`, file);
}

/** Two files that somebody else keeps; looked at when somebody connects. */
class GivenCertificate implements OperatorCertificates {
  readonly hosts: readonly string[];
  readonly #files: { readonly file: string; readonly keyFile: string };
  readonly #log: Log;
  #present: ListenerCertificate;
  #seen: string;
  #lookedAt = performance.now();

  constructor(files: { readonly file: string; readonly keyFile: string }, hosts: readonly string[], log: Log) {
    this.#files = files;
    this.hosts = hosts;
    this.#log = log;
    this.#seen = this.#state();
    this.#present = this.#read();
  }

  certificate(): ListenerCertificate {
    const now = performance.now();
    if (now - this.#lookedAt >= lookInterval) {
      this.#lookedAt = now;
      this.#look();
    }
    return this.#present;
  }

  async renew(): Promise<void> {
    this.#look();
  }

  /** Who replaces two files replaces one of them first: until both are there, the pair before serves. */
  #look(): void {
    const { file } = this.#files;
    const state = this.#state();
    if (state === this.#seen) return;
    this.#seen = state;
    try {
      this.#present = this.#read();
      this.#log.info({ file }, "the operators' certificate has been read again");
    } catch (error) {
      this.#log.error({ err: error, file }, "the operators' new certificate cannot be used: the one before stays");
    }
  }

  #state(): string {
    const { file, keyFile } = this.#files;
    return [file, keyFile]
      .map((each) => statSync(each, { bigint: true, throwIfNoEntry: false }))
      .map((stat) => `${stat?.ino} ${stat?.size} ${stat?.mtimeNs}`)
      .join();
  }

  #read(): ListenerCertificate {
    const { file, keyFile } = this.#files;
    try {
      const chain = readFileSync(file, 'utf8');
      const key = readFileSync(keyFile, 'utf8');
      if (!new X509Certificate(chain).checkPrivateKey(createPrivateKey(key))) {
        throw new Error('the key is not that of the certificate');
      }
      createSecureContext({ cert: chain, key });
      return { chain, key };
    } catch (cause) {
      throw new Problem(
        'invalid_request',
        `The operators' certificate cannot be used: ${(cause as Error).message} (${file}, ${keyFile}).`,
        'operator.certificate_file is to hold the certificate and its chain, operator.key_file its private key; both PEM.',
        { cause },
      );
    }
  }
}
