// A back-up taken apart and put together again, as somebody would who has its identity: with age and tar alone.

import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { Decrypter, Encrypter, generateIdentity, identityToRecipient } from 'age-encryption';
import { Header, Parser, type ReadEntry } from 'tar';

/** An identity of age and its recipient. */
export async function newIdentity(): Promise<{ identity: string; recipient: string }> {
  const identity = await generateIdentity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/** What is in a back-up, by the names there. */
export async function openBackup(file: string, identity: string): Promise<Map<string, Buffer>> {
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  const files = new Map<string, Buffer>();
  const parser = new Parser();
  parser.on('entry', (entry: ReadEntry) => {
    const pieces: Buffer[] = [];
    entry.on('data', (piece: Buffer) => pieces.push(piece));
    entry.on('end', () => files.set(entry.path, Buffer.concat(pieces)));
  });
  parser.end(Buffer.from(await decrypter.decrypt(await readFile(file))));
  return files;
}

/** Writes files, in their order and under whatever names, as a back-up is written. */
export async function packBackup(
  file: string,
  recipient: string,
  files: Iterable<readonly [name: string, content: Buffer]>,
): Promise<void> {
  const pieces = [...files].flatMap(([name, content]) => {
    const header = new Header({ path: name, size: content.length, mode: 0o600, mtime: new Date(0), type: 'File' });
    header.encode();
    return [header.block!, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  await writeFile(file, await encrypter.encrypt(Buffer.concat([...pieces, Buffer.alloc(1024)])));
}

/** The files with another manifest: `change` gets the one that fits them. */
export function withManifest(
  files: ReadonlyMap<string, Buffer>,
  change: (manifest: any) => unknown = () => {},
): Map<string, Buffer> {
  const manifest = JSON.parse(files.get('manifest.json')!.toString('utf8'));
  manifest.files = [...files]
    .filter(([name]) => name !== 'manifest.json')
    .map(([name, content]) => ({
      name,
      size: content.length,
      sha256: createHash('sha256').update(content).digest('hex'),
    }));
  change(manifest);
  return new Map([...files, ['manifest.json', Buffer.from(JSON.stringify(manifest))]]);
}
