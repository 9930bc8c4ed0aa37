// credentials.zip: what an image is built with; entries and their order as aktualizr and meta-updater read them.

import { type Zippable, zipSync } from 'fflate';

/** What an operator may add for an update back end, in the order in which it is written. */
const backEndEntries = [
  'root.json',
  'tufrepo.url',
  'treehub.json',
  'targets.pub',
  'targets.sec',
  'api_gateway.url',
] as const;

/** The entries that provisioning itself writes. */
export const ownEntries = ['autoprov.url', 'autoprov_credentials.p12', 'server_ca.pem'] as const;

/** "Version made by" of an archive whose attributes are Unix modes (APPNOTE.TXT §4.4.2). */
const unix = 3;
const ownersAlone = 0o100600;

/** Entries in the order in which they are written: ours first, then what the operator added. */
export function inOrder(entries: Iterable<string>): string[] {
  const asked = new Set(entries);
  const known: readonly string[] = [...ownEntries, ...backEndEntries];
  const others = [...asked].filter((entry) => !known.includes(entry)).sort();
  return [...known.filter((entry) => asked.has(entry)), ...others];
}

/**
 * Writes the archive: flat names, in their order. `content` has the bytes of each entry that goes in. URL files must
 * come without a trailing newline or slash, since clients concatenate paths to them.
 */
export function writeCredentialsZip(content: ReadonlyMap<string, Uint8Array>, now: number): Buffer {
  const files: Zippable = {};
  for (const entry of inOrder(content.keys())) {
    const bytes = content.get(entry);
    if (bytes) files[entry] = [bytes, { mtime: now, level: 0, os: unix, attrs: ownersAlone << 16 }];
  }
  return Buffer.from(zipSync(files));
}
