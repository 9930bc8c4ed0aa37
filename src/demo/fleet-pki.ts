// A customer's own PKI for the story: a Fleet Root CA and device certificates, as the guide has people make them.

import { execFile } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { certificateToPem } from '../x509/certificate.ts';
import * as der from '../x509/der-write.ts';
import { commonName, encodeName } from '../x509/name.ts';

const run = promisify(execFile);
const day = 24 * 60 * 60 * 1000;

/** A certificate with its key, PEM. */
export interface Credentials {
  readonly certificate: string;
  readonly key: string;
}

/** Whoever makes certificates for the story. */
export interface FleetPki {
  /** How: for the reader. */
  readonly by: string;
  /** The Fleet Root CA's certificate, PEM. */
  readonly root: string;
  /** A device certificate that ends so many days from now; of -1, it ended yesterday. */
  device(deviceId: string, days?: number): Promise<Credentials>;
}

/** Makes a Fleet Root CA: with openssl where it is, else through Node's crypto. */
export async function makeFleetPki(directory: string, name: string): Promise<FleetPki> {
  const openssl = await run('openssl', ['version']).then(
    ({ stdout }) => stdout.trim(),
    () => null,
  );
  return openssl === null ? byNode(name) : byOpenssl(directory, name, openssl);
}

/** The guide's own files and commands (OTA Connect Developer Guide, Device Certificate Generation). */
async function byOpenssl(directory: string, name: string, version: string): Promise<FleetPki> {
  const file = (rest: string) => join(directory, `${name}-${rest}`);
  const openssl = (...args: string[]) => run('openssl', args);
  const request = (cn: string) => `[req]\nprompt = no\ndistinguished_name = dn\n[dn]\nCN=${cn}\n`;

  const rootExtensions = 'basicConstraints=CA:TRUE\nkeyUsage=keyCertSign\nextendedKeyUsage=critical, serverAuth\n';
  await writeFile(file('root.cnf'), `${request(name)}[ext]\n${rootExtensions}`);
  await openssl('ecparam', '-genkey', '-name', 'prime256v1', '-noout', '-out', file('root.key'));
  const selfSigned = ['-new', '-x509', '-days', '7300', '-config', file('root.cnf'), '-extensions', 'ext'];
  await openssl('req', ...selfSigned, '-key', file('root.key'), '-out', file('root.crt'));

  return {
    by: `openssl (${version})`,
    root: await readFile(file('root.crt'), 'utf8'),
    async device(deviceId, days = 365) {
      const own = (rest: string) => file(`${deviceId}.${rest}`);
      await writeFile(own('cnf'), request(deviceId));
      await writeFile(own('ext'), 'keyUsage=critical, digitalSignature\nextendedKeyUsage=critical, clientAuth\n');
      await openssl('ecparam', '-genkey', '-name', 'prime256v1', '-noout', '-out', own('ec.pem'));
      await openssl('pkcs8', '-topk8', '-nocrypt', '-in', own('ec.pem'), '-out', own('key'));
      await openssl('req', '-new', '-config', own('cnf'), '-key', own('key'), '-out', own('csr'));
      const ca = ['-CAkey', file('root.key'), '-CA', file('root.crt')];
      const signed = ['-req', '-days', String(days), '-extfile', own('ext'), '-in', own('csr'), '-CAcreateserial'];
      await openssl('x509', ...signed, ...ca, '-out', own('crt'));
      return { certificate: await readFile(own('crt'), 'utf8'), key: await readFile(own('key'), 'utf8') };
    },
  };
}

/** The same certificates where there is no openssl. */
function byNode(name: string): FleetPki {
  const rootKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const subject = encodeName([{ type: commonName, value: name }]);
  const make = (to: Buffer, publicKey: KeyObject, from: number, until: number, extensions: Buffer[]): string => {
    const algorithm = der.sequence(der.oid('1.2.840.10045.4.3.2'));
    const tbs = der.sequence(
      der.explicit(0, der.integer(2)),
      der.integer(Buffer.concat([Buffer.of(1), randomBytes(15)])),
      algorithm,
      subject,
      der.sequence(der.time(from), der.time(until)),
      to,
      publicKey.export({ type: 'spki', format: 'der' }),
      der.explicit(3, der.sequence(...extensions)),
    );
    return certificateToPem(der.sequence(tbs, algorithm, der.bitString(sign('sha256', tbs, rootKeys.privateKey))));
  };
  const now = Date.now() - (Date.now() % 1000);
  const root = make(subject, rootKeys.publicKey, now, now + 7300 * day, [
    extension('2.5.29.19', false, der.sequence(der.boolean(true))),
    extension('2.5.29.15', false, der.bitString(Buffer.of(0x04), 2)),
    extension('2.5.29.37', true, der.sequence(der.oid('1.3.6.1.5.5.7.3.1'))),
  ]);
  return {
    by: "Node's crypto, since there is no openssl here",
    root,
    async device(deviceId, days = 365) {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const to = encodeName([{ type: commonName, value: deviceId }]);
      const certificate = make(to, createPublicKey(privateKey), now, now + days * day, [
        extension('2.5.29.15', true, der.bitString(Buffer.of(0x80), 7)),
        extension('2.5.29.37', true, der.sequence(der.oid('1.3.6.1.5.5.7.3.2'))),
      ]);
      return { certificate, key: privateKey.export({ type: 'pkcs8', format: 'pem' }) };
    },
  };
}

function extension(oid: string, critical: boolean, value: Buffer): Buffer {
  return der.sequence(der.oid(oid), ...(critical ? [der.boolean(true)] : []), der.octetString(value));
}
