// The configuration: defaults < fleetroot.toml < environment < options -> one frozen Config, all faults told at once.

import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse as parseToml } from 'smol-toml';
import { type AuditSettings, auditSettings, readAudit } from './config/audit.ts';
import {
  type EventSettings,
  notificationSettings,
  type OutboundSettings,
  readNotification,
} from './config/notification.ts';
import { type DatabaseSettings, databaseSettings, type NodeSettings, readDatabase } from './config/database.ts';
import { type GatewaySettings, gatewaySettings, readGateway } from './config/gateway.ts';
import { address, addresses, hosts, origin, port } from './config/network.ts';
import { type LimitSettings, limitSettings, readLimits } from './config/limits.ts';
import { type OidcSettings, oidcSettings, readOidc } from './config/oidc.ts';
import { type Pkcs11Settings, pkcs11Settings, readPkcs11 } from './config/pkcs11.ts';
import { readRetention, type RetentionSettings, retentionSettings } from './config/retention.ts';
import { milliseconds, oneOf, type Parse, text, wholeNumber } from './config/value.ts';
import { readVault, type VaultSettings, vaultSettings } from './config/vault.ts';
import { Problem } from './problem.ts';
import { parseDuration } from './time.ts';

/** Everything that can be set, read and checked. */
export interface Config {
  /** Absolute path of the data directory. */
  readonly dataDir: string;
  readonly gateway: GatewaySettings;
  readonly limits: LimitSettings;
  readonly operator: {
    /** The address listened on. Plain HTTP is spoken on loopback alone. */
    readonly address: string;
    readonly port: number;
    /** Names and addresses by which operators reach the server, beside its own. */
    readonly hosts: readonly string[];
    /** The certificate given, with its chain, and its key: PEM files' absolute paths; null where the server makes its own. */
    readonly certificate: { readonly file: string; readonly keyFile: string } | null;
    /** Where operators reach the server: scheme, host and port; null where it is not said. */
    readonly publicUrl: string | null;
    /** How long a session may be idle, and how long it lives at the most, in milliseconds. */
    readonly sessionIdle: number;
    readonly sessionLifetime: number;
  };
  readonly database: DatabaseSettings;
  readonly node: NodeSettings;
  readonly custody: {
    /** Where the master key is; null for `master.key` in the data directory. */
    readonly masterKey: MasterKeyPlace | null;
    /** Where the one is that a rotation leads to; null where the server makes it beside the present one. */
    readonly nextMasterKey: MasterKeyPlace | null;
    /** The custodian that new keys are made in; those that are there stay where they are. */
    readonly default: CustodianName;
    /** How long a call to a custodian may take, in milliseconds. */
    readonly timeout: number;
  };
  /** The custodian `vault`; null where none is configured. */
  readonly vault: VaultSettings | null;
  /** The custodian `pkcs11`; null where none is configured. */
  readonly pkcs11: Pkcs11Settings | null;
  /** The identity provider; null where none is configured. */
  readonly oidc: OidcSettings | null;
  readonly trust: {
    /** Another node's owner-trust.json, for what this node does not know yet of accounts whose owner signs; or null. */
    readonly ownerFile: string | null;
  };
  readonly refusals: {
    /** How many refusals are kept for each account. */
    readonly kept: number;
  };
  readonly retention: RetentionSettings;
  readonly audit: AuditSettings;
  readonly events: EventSettings;
  readonly outbound: OutboundSettings;
  readonly metrics: {
    /** Who may read the metrics without a login. */
    readonly open: 'loopback' | 'nobody' | 'anyone';
    /** How many accounts have series of their own: those with the most devices. */
    readonly accounts: number;
  };
  /** What a factory's service listens on and makes; a server makes nothing of it. */
  readonly factory: {
    /** Each is listened on. */
    readonly addresses: readonly string[];
    readonly port: number;
    /** Names and addresses by which stations reach it, beside its own. */
    readonly hosts: readonly string[];
    /** How long a device's certificate is valid at the most, in milliseconds: its line's CA ends it earlier. */
    readonly validity: number;
  };
  readonly log: { readonly level: string };
}

/** Where a master key, or the passphrase that it is derived from, is read. */
export interface MasterKeyPlace {
  readonly holds: 'key' | 'passphrase';
  readonly in: 'file' | 'variable' | 'credential';
  /** The file's absolute path, or the name of the environment variable or systemd credential. */
  readonly name: string;
  /** The setting that says so. */
  readonly setting: string;
}

/** The custodians there are; `software` always is. */
const custodianNames = ['software', 'vault', 'pkcs11'] as const;
export type CustodianName = (typeof custodianNames)[number];

/** As systemd takes it: a file's name in a directory of the unit's own (systemd.exec(5), LoadCredential=). */
const credential: Parse = (value) => {
  if (typeof value === 'string' && /^(?!\.{1,2}$)[\x21-\x2e\x30-\x7e]{1,255}$/.test(value)) return value;
  throw new Error('is to be the name of a systemd credential');
};

const duration: Parse = (value) => {
  const time = typeof value === 'string' ? parseDuration(value) : null;
  if (time !== null) return time;
  throw new Error('is to be a time such as "90d" or "20y"');
};

/** Every setting: its key in fleetroot.toml (`section.key`), how it is read, and its default. */
const settings = {
  ...gatewaySettings,
  ...limitSettings,
  'operator.address': [address, '127.0.0.1'],
  'operator.port': [port, 8080],
  'operator.hosts': [hosts, []],
  'operator.certificate_file': [text, null],
  'operator.key_file': [text, null],
  'operator.public_url': [origin, null],
  'operator.session_idle': [milliseconds, 30 * 60_000],
  'operator.session_lifetime': [milliseconds, 12 * 60 * 60_000],
  ...databaseSettings,
  'custody.default': [oneOf(...custodianNames), 'software'],
  'custody.timeout': [milliseconds, 5_000],
  'custody.master_key_file': [text, null],
  'custody.master_key_variable': [text, null],
  'custody.master_key_credential': [credential, null],
  'custody.passphrase_file': [text, null],
  'custody.passphrase_variable': [text, null],
  'custody.passphrase_credential': [credential, null],
  'custody.next_master_key_file': [text, null],
  'custody.next_master_key_variable': [text, null],
  'custody.next_master_key_credential': [credential, null],
  'custody.next_passphrase_file': [text, null],
  'custody.next_passphrase_variable': [text, null],
  'custody.next_passphrase_credential': [credential, null],
  ...vaultSettings,
  ...pkcs11Settings,
  ...oidcSettings,
  'trust.owner_file': [text, null],
  'refusals.kept': [wholeNumber(10, 1_000_000), 1000],
  ...retentionSettings,
  ...auditSettings,
  ...notificationSettings,
  'metrics.open': [oneOf('loopback', 'nobody', 'anyone'), 'loopback'],
  'metrics.accounts': [wholeNumber(0, 10_000), 100],
  'factory.address': [addresses, ['127.0.0.1']],
  'factory.port': [port, 8444],
  'factory.hosts': [hosts, []],
  'factory.validity': [duration, 20 * 365 * 24 * 60 * 60_000],
  'log.level': [oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'), 'info'],
} as const satisfies Record<string, readonly [Parse, unknown]>;

/** A setting's key. */
export type SettingKey = keyof typeof settings;

/** Settings given on the command line. */
export type ConfigOptions = Partial<Record<SettingKey, unknown>>;

/** The keys of all settings, for the docs. */
export const settingKeys = Object.keys(settings) as SettingKey[];

/** The environment variable of a setting: `FLEETROOT_` and the key in capitals. */
export function variableOf(key: SettingKey): string {
  return `FLEETROOT_${key.replaceAll('.', '_').toUpperCase()}`;
}

/**
 * Reads the configuration. `configFile` is the file named on the command line; without one, `fleetroot.toml` in the
 * data directory is read where it exists. Throws a Problem that names every fault, not only the first.
 */
export function loadConfig({
  dataDir,
  configFile = null,
  options = {},
  env,
}: {
  dataDir: string;
  configFile?: string | null;
  options?: ConfigOptions;
  env: NodeJS.ProcessEnv;
}): Config {
  const directory = resolve(dataDir);
  const file = configFile === null ? join(directory, 'fleetroot.toml') : resolve(configFile);
  const faults: string[] = [];
  const written = readFile(file, configFile !== null, faults);

  for (const key of written.keys()) {
    if (!Object.hasOwn(settings, key)) faults.push(`${file}: there is no setting ${key}`);
  }
  const read = (key: SettingKey): unknown => {
    const [parse, fallback] = settings[key];
    const sources: [string, unknown][] = [
      [`option --${optionOf(key)}`, options[key]],
      [variableOf(key), env[variableOf(key)]],
      [`${file}: ${key}`, written.get(key)],
    ];
    const given = sources.find(([, value]) => value !== undefined);
    if (!given) return fallback;
    try {
      return parse(given[1]);
    } catch (error) {
      faults.push(`${given[0]} ${(error as Error).message}`);
      return fallback;
    }
  };

  const config = {
    dataDir: directory,
    gateway: readGateway(read),
    limits: readLimits(read),
    operator: {
      address: read('operator.address'),
      port: read('operator.port'),
      hosts: read('operator.hosts'),
      certificate: operatorCertificate(read, faults),
      publicUrl: read('operator.public_url'),
      sessionIdle: read('operator.session_idle'),
      sessionLifetime: read('operator.session_lifetime'),
    },
    ...readDatabase(read, faults),
    custody: {
      default: read('custody.default'),
      timeout: read('custody.timeout'),
      masterKey: masterKeyPlace('', read, faults),
      nextMasterKey: masterKeyPlace('next_', read, faults),
    },
    vault: readVault(read, faults),
    pkcs11: readPkcs11(read, faults),
    oidc: readOidc(read, faults),
    trust: { ownerFile: read('trust.owner_file') },
    refusals: { kept: read('refusals.kept') },
    retention: readRetention(read),
    audit: readAudit(read),
    ...readNotification(read),
    metrics: { open: read('metrics.open'), accounts: read('metrics.accounts') },
    factory: {
      addresses: read('factory.address'),
      port: read('factory.port'),
      hosts: read('factory.hosts'),
      validity: read('factory.validity'),
    },
    log: { level: read('log.level') },
  } as Config;

  if (config.custody.default === 'vault' && config.vault === null && faults.length === 0) {
    faults.push('custody.default is vault, but vault.address is not given');
  }
  if (config.custody.default === 'pkcs11' && config.pkcs11 === null && faults.length === 0) {
    faults.push('custody.default is pkcs11, but pkcs11.module is not given');
  }
  if (faults.length > 0) {
    throw new Problem('invalid_request', `The configuration has ${faults.length} fault(s):\n  ${faults.join('\n  ')}`);
  }
  for (const section of Object.values(config)) Object.freeze(section);
  return Object.freeze(config);
}

/** The one place that is given of the six that a master key may have; null for none, or where a fault was found. */
function masterKeyPlace(
  which: '' | 'next_',
  read: (key: SettingKey) => unknown,
  faults: string[],
): MasterKeyPlace | null {
  const given: MasterKeyPlace[] = [];
  for (const holds of ['key', 'passphrase'] as const) {
    for (const place of ['file', 'variable', 'credential'] as const) {
      const setting = `custody.${which}${holds === 'key' ? 'master_key' : 'passphrase'}_${place}` as const;
      const name = read(setting) as string | null;
      if (name !== null) given.push({ holds, in: place, name: place === 'file' ? resolve(name) : name, setting });
    }
  }
  if (given.length > 1) faults.push(`${given.map(({ setting }) => setting).join(' and ')} are given: keep one`);
  return given[0] ?? null;
}

function operatorCertificate(read: (key: SettingKey) => unknown, faults: string[]): Config['operator']['certificate'] {
  const file = read('operator.certificate_file') as string | null;
  const keyFile = read('operator.key_file') as string | null;
  if (file !== null && keyFile !== null) return { file: resolve(file), keyFile: resolve(keyFile) };
  if (file !== keyFile) faults.push('operator.certificate_file and operator.key_file are given together or not at all');
  return null;
}

function optionOf(key: SettingKey): string {
  const named: Partial<Record<SettingKey, string>> = {
    'gateway.public_port': 'public-port',
    'gateway.workers': 'workers',
  };
  return named[key] ?? key.replaceAll('.', '-').replaceAll('_', '-');
}

/** The settings of a TOML file by their dotted keys; a file that must exist and does not is a fault. */
function readFile(file: string, required: boolean, faults: string[]): Map<string, unknown> {
  const written = new Map<string, unknown>();
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (error) {
    if (required || (error as NodeJS.ErrnoException).code !== 'ENOENT') faults.push((error as Error).message);
    return written;
  }
  try {
    for (const [section, values] of Object.entries(parseToml(content))) {
      if (typeof values !== 'object' || values === null || Array.isArray(values)) {
        faults.push(`${file}: ${section} is to be a section, [${section}]`);
        continue;
      }
      for (const [key, value] of Object.entries(values)) written.set(`${section}.${key}`, value);
    }
  } catch (error) {
    faults.push(`${file}: ${(error as Error).message}`);
  }
  return written;
}
