// What the service shows in a handshake: a certificate of the Station CA, made at each start, its key in memory alone.

import { renameSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { isIP } from 'node:net';
import { join } from 'node:path';
import ipaddr from 'ipaddr.js';
import { makeKeyPair } from '../../issuing/keys.ts';
import { certificateToPem, parseCertificate } from '../../x509/certificate.ts';
import { encodePem } from '../../x509/pem.ts';
import { type Factory, ownerNamed } from '../factory.ts';
import { organizationOf, stationCa } from '../station-ca.ts';

/** A certificate with its CA's, and its key, as TLS takes them (PEM). */
export interface Shown {
  readonly cert: string;
  readonly key: string;
  /** When it ends, in ms since 1970. */
  readonly notAfter: number;
}

/** What stations trust, in the data directory. */
const caFileName = 'station-ca.crt';

/**
 * Makes a key and its certificate, for the configured hosts and this machine's own names. Made anew each time: a key that
 * is never on the disk is in no backup. Throws CustodyProblem.
 */
export async function makeServiceCertificate(factory: Factory): Promise<Shown> {
  const { config, maker, records } = factory;
  const ca = await stationCa(factory);
  const hosts = serviceHosts(config.factory);
  using pair = await makeKeyPair('p256');
  const account = ownerNamed(await organizationOf(factory));
  const der = await maker.issue(maker.prepare({ profile: 'factory', account, ca, publicKey: pair.publicKey, hosts }));
  const { tbsSha256: tbs_sha256, notAfter } = parseCertificate(der);
  await records.write('noteServiceCertificate', { tbs_sha256, hosts, not_after: notAfter });
  const caPem = certificateToPem(ca.certificate.der);
  await replaceFile(join(config.dataDir, caFileName), caPem);
  return {
    cert: certificateToPem(der) + caPem,
    key: encodePem('PRIVATE KEY', pair.privateKey.reveal()),
    notAfter,
  };
}

/** By which names and addresses stations reach the service, each as a certificate writes it. */
function serviceHosts({ hosts, addresses }: Factory['config']['factory']): string[] {
  const listened = addresses.filter((address) => !/^(::|0\.0\.0\.0)$/.test(address));
  const machine = hostname().toLowerCase();
  const named = /^(?!(.*\.)?\d+$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/.test(
    machine,
  );
  const all = [...hosts, 'localhost', '127.0.0.1', '::1', ...listened, ...(named ? [machine] : [])];
  return [...new Set(all.map((host) => (isIP(host) ? ipaddr.process(host).toString() : host)))];
}

/** Puts a file in its place whole, where it has another content. */
async function replaceFile(file: string, content: string): Promise<void> {
  if ((await readFile(file, 'utf8').catch(() => null)) === content) return;
  writeFileSync(`${file}.new`, content, { mode: 0o644 });
  renameSync(`${file}.new`, file);
}
