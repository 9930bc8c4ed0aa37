// The settings of the custodian `pkcs11`: the HSM's library, which token of it, and where its PIN is.

import { resolve } from 'node:path';
import { type Parse, text, wholeNumber } from './value.ts';

/** Which token holds the keys, and how it is opened. Paths are absolute. */
export interface Pkcs11Settings {
  /** The PKCS #11 module, the shared library that came with the HSM. */
  readonly module: string;
  /** The token's label; null where its serial number is given. */
  readonly tokenLabel: string | null;
  readonly tokenSerial: string | null;
  /** The file with the user's PIN; null where a variable has it. */
  readonly pinFile: string | null;
  /** The name of that environment variable. */
  readonly pinVariable: string | null;
  /** Signatures made at once. */
  readonly sessions: number;
}

/** A token's label has 32 octets, its serial number 16 characters (PKCS #11 v2.40 §3.2), both padded with blanks. */
const padded =
  (octets: number): Parse =>
  (value) => {
    const trimmed = typeof value === 'string' ? value.trim() : '';
    if (trimmed !== '' && Buffer.byteLength(trimmed) <= octets) return trimmed;
    throw new Error(`is to be a text of ${octets} octets at the most`);
  };

/** Each setting: its key, how it is read, and its default. */
export const pkcs11Settings = {
  'pkcs11.module': [text, null],
  'pkcs11.token_label': [padded(32), null],
  'pkcs11.token_serial': [padded(16), null],
  'pkcs11.pin_file': [text, null],
  'pkcs11.pin_variable': [text, null],
  'pkcs11.sessions': [wholeNumber(1, 128), 8],
} as const satisfies Record<string, readonly [Parse, unknown]>;

/** The key of one of them. */
export type Pkcs11SettingKey = keyof typeof pkcs11Settings;

/** Of each pair there is to be exactly one. */
const pairs = [
  ['pkcs11.token_label', 'pkcs11.token_serial'],
  ['pkcs11.pin_file', 'pkcs11.pin_variable'],
] as const;

/** The custodian's settings, each read once by its key; null where there is no HSM. Adds what is wrong to `faults`. */
export function readPkcs11(read: (key: Pkcs11SettingKey) => unknown, faults: string[]): Pkcs11Settings | null {
  const before = faults.length;
  /** Given and wrong: a fault already, and none of what is missing. */
  const wrong = new Set<Pkcs11SettingKey>();
  const values = new Map<Pkcs11SettingKey, unknown>();
  for (const key of Object.keys(pkcs11Settings) as Pkcs11SettingKey[]) {
    const known = faults.length;
    values.set(key, read(key));
    if (faults.length > known) wrong.add(key);
  }
  const get = (key: Pkcs11SettingKey) => values.get(key) as string | null;
  const isGiven = (key: Pkcs11SettingKey) => wrong.has(key) || get(key) !== pkcs11Settings[key][1];
  const module = get('pkcs11.module');
  if (module === null) {
    const alone = [...values.keys()].find(isGiven);
    if (alone !== undefined && wrong.size === 0) faults.push(`${alone} is given, but not pkcs11.module`);
    return null;
  }
  for (const [one, other] of pairs) {
    if (isGiven(one) && isGiven(other)) faults.push(`${one} and ${other} are given: keep one`);
    if (!isGiven(one) && !isGiven(other)) faults.push(`pkcs11.module is given, but neither ${one} nor ${other}`);
  }
  if (faults.length > before) return null;
  const pinFile = get('pkcs11.pin_file');
  return {
    module: resolve(module),
    tokenLabel: get('pkcs11.token_label'),
    tokenSerial: get('pkcs11.token_serial'),
    pinFile: pinFile === null ? null : resolve(pinFile),
    pinVariable: get('pkcs11.pin_variable'),
    sessions: values.get('pkcs11.sessions') as number,
  };
}
