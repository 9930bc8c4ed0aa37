// Requests as devices make them, by the hundred and without a program for each, and the batches that they are sent in.

import { sign } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { bitString, implicit, integer, sequence } from '../../src/x509/der-write.ts';
import { commonName, encodeName } from '../../src/x509/name.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { algorithms, newKey } from './certificate-maker.ts';
import { succeed } from './process.ts';

const { identifier, hash } = algorithms['ecdsa-sha256'];

/** The PEM of a request for a device ID. */
export function requestFor(deviceId: string, { spki, privateKey } = newKey()): string {
  const subject = encodeName([{ type: commonName, value: deviceId }]);
  const info = sequence(integer(0), subject, spki, implicit(0, Buffer.alloc(0), true));
  const signed = sequence(info, identifier, bitString(sign(hash, info, privateKey)));
  return encodePem('CERTIFICATE REQUEST', signed);
}

/** Files in a directory, by their names. */
export async function writeFiles(dir: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), content);
  }
}

/** Makes so many requests in a directory, for `<prefix>-1` and so on. */
export async function writeRequests(dir: string, prefix: string, count: number): Promise<void> {
  const ids = Array.from({ length: count }, (_, index) => `${prefix}-${index + 1}`);
  await writeFiles(dir, Object.fromEntries(ids.map((id) => [`${id}.csr`, requestFor(id)])));
}

/** Packs a directory as people do. */
export async function pack(dir: string, archive: string): Promise<void> {
  await succeed('tar', ['czf', archive, '-C', dir, '.']);
}
