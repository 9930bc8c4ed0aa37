// The settings of the custodian `vault`: where OpenBao or HashiCorp Vault is, and the one way of logging in there.

import { resolve } from 'node:path';
import { asciiText as text, isLoopback, type Parse, wholeNumber } from './value.ts';

/** Where the vault is, how to log in, and what of it is ours. */
export interface VaultSettings {
  /** `https://HOST:PORT`; `http://` only to this machine itself. */
  readonly address: string;
  /** The file (PEM) with the only CAs that the vault's certificate may be from; null for those of the system. */
  readonly ca: string | null;
  readonly namespace: string | null;
  /** Where the transit engine is mounted. */
  readonly mount: string;
  /** What the names of our keys begin with. */
  readonly keyPrefix: string;
  readonly login: VaultLoginSettings;
  /** Connections at the most. */
  readonly connections: number;
}

/** How to log in. Paths are absolute. */
export type VaultLoginSettings =
  | { readonly by: 'token'; readonly file: string }
  | { readonly by: 'token'; readonly variable: string }
  | { readonly by: 'approle'; readonly roleId: string; readonly secretIdFile: string; readonly mount: string }
  | {
      readonly by: 'certificate';
      readonly certificate: string;
      readonly key: string;
      readonly role: string | null;
      readonly mount: string;
    };

const address: Parse = (value) => {
  const url = typeof value === 'string' ? URL.parse(value) : null;
  const plain = url?.pathname === '/' && url.search === '' && url.hash === '' && url.username + url.password === '';
  if (!plain || !['https:', 'http:'].includes(url.protocol)) {
    throw new Error('is to be an address such as "https://vault.acme.example:8200", without a path');
  }
  if (url.protocol === 'https:' || isLoopback(url.hostname)) return url.origin;
  throw new Error('is to begin with https://: without TLS only a vault on this machine itself (127.0.0.1) is used');
};

const mount: Parse = (value) => {
  const path = typeof value === 'string' ? value.replaceAll(/^\/|\/$/g, '') : '';
  if (path.split('/').every((part) => /^(?!\.{1,2}$)[\w.-]+$/.test(part))) return path;
  throw new Error('is to be the path of a mount, such as "transit"');
};

/** A UUID comes after it, and transit's names begin with a letter, a digit or an underscore. */
const keyPrefix: Parse = (value) => {
  if (typeof value === 'string' && /^(\w[\w.-]{0,62})?$/.test(value)) return value;
  throw new Error('is to be of letters, digits, "_", "-" and ".", 63 at the most');
};

/** Each setting: its key, how it is read, and its default. */
export const vaultSettings = {
  'vault.address': [address, null],
  'vault.ca': [text, null],
  'vault.namespace': [text, null],
  'vault.mount': [mount, 'transit'],
  'vault.key_prefix': [keyPrefix, 'fleetroot-'],
  'vault.token_file': [text, null],
  'vault.token_variable': [text, null],
  'vault.approle_role_id': [text, null],
  'vault.approle_secret_id_file': [text, null],
  'vault.approle_mount': [mount, 'approle'],
  'vault.certificate': [text, null],
  'vault.key': [text, null],
  'vault.certificate_role': [text, null],
  'vault.certificate_mount': [mount, 'cert'],
  'vault.connections': [wholeNumber(1, 256), 16],
} as const satisfies Record<string, readonly [Parse, unknown]>;

/** The key of one of them. */
export type VaultSettingKey = keyof typeof vaultSettings;

/** What belongs to each way of logging in. */
const ways = [
  ['vault.token_file'],
  ['vault.token_variable'],
  ['vault.approle_role_id', 'vault.approle_secret_id_file'],
  ['vault.certificate', 'vault.key'],
] as const;

/** The custodian's settings, each read once by its key; null where there is no vault. Adds what is wrong to `faults`. */
export function readVault(read: (key: VaultSettingKey) => unknown, faults: string[]): VaultSettings | null {
  const before = faults.length;
  const values = new Map((Object.keys(vaultSettings) as VaultSettingKey[]).map((key) => [key, read(key)]));
  const get = (key: VaultSettingKey) => values.get(key) as string | null;
  const isGiven = (key: VaultSettingKey) => get(key) !== vaultSettings[key][1];
  const vaultAddress = get('vault.address');
  if (vaultAddress === null) {
    const alone = [...values.keys()].find(isGiven);
    // An address that is given and wrong is a fault already.
    if (alone !== undefined && faults.length === before) faults.push(`${alone} is given, but not vault.address`);
    return null;
  }

  const chosen = ways.filter((keys) => keys.some(isGiven));
  if (chosen.length === 0) {
    faults.push(`vault.address is given, but no login: ${ways.map((keys) => keys.join(' with ')).join(', or ')}`);
  }
  if (chosen.length > 1) {
    faults.push(`${chosen.flat().filter(isGiven).join(' and ')} are given: keep one way of logging in`);
  }
  for (const keys of chosen) {
    const [missing, there] = [keys.find((key) => !isGiven(key)), keys.find(isGiven)];
    if (missing !== undefined) faults.push(`${there} is given, but not ${missing}`);
  }
  if (faults.length > before) return null;
  return {
    address: vaultAddress,
    ca: pathOf(get('vault.ca')),
    namespace: get('vault.namespace'),
    mount: get('vault.mount')!,
    keyPrefix: get('vault.key_prefix')!,
    login: loginOf(get),
    connections: values.get('vault.connections') as number,
  };
}

function loginOf(get: (key: VaultSettingKey) => string | null): VaultLoginSettings {
  const [file, variable] = [pathOf(get('vault.token_file')), get('vault.token_variable')];
  if (file !== null) return { by: 'token', file };
  if (variable !== null) return { by: 'token', variable };
  const [roleId, secretIdFile] = [get('vault.approle_role_id'), pathOf(get('vault.approle_secret_id_file'))];
  if (roleId !== null) {
    return { by: 'approle', roleId, secretIdFile: secretIdFile!, mount: get('vault.approle_mount')! };
  }
  return {
    by: 'certificate',
    certificate: pathOf(get('vault.certificate'))!,
    key: pathOf(get('vault.key'))!,
    role: get('vault.certificate_role'),
    mount: get('vault.certificate_mount')!,
  };
}

function pathOf(file: string | null): string | null {
  return file === null ? null : resolve(file);
}
