// A fleet's own PKI, made with openssl as customers make it: roots, intermediates, cross-signing, device certificates.

import { createPrivateKey, createPublicKey, randomInt } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { certificateToPem, parseCertificates } from '../../src/x509/certificate.ts';
import { encodeName } from '../../src/x509/name.ts';
import { makeDer, newKey, type KeyPair, type Made, type Shape } from './certificate-maker.ts';
import { succeed } from './process.ts';

/** A certificate with its private key, as PEM files. */
export interface Credentials {
  readonly certificate: string;
  readonly key: string;
}

export type KeyType = 'p256' | 'p384' | 'p521' | 'ed25519' | 'rsa1024' | 'rsa2048' | 'rsa3072';

/** What a certificate shall be; what is left out is ordinary. */
export interface CertificateOptions {
  /** As openssl takes `-subj`; else the CN alone. */
  readonly subject?: string;
  /** The file of a key that is there already; else a new one. */
  readonly key?: string;
  readonly keyType?: KeyType;
  /** Lines of an openssl extension file; none make X.509 version 1. */
  readonly extensions?: readonly string[];
  readonly days?: number;
  /** The exact validity, in ms since 1970, whatever the clock says. */
  readonly validity?: { readonly from: number; readonly to: number };
  /** Decimal or 0x…; else a random one. */
  readonly serial?: string;
  readonly digest?: 'sha256' | 'sha384' | 'sha1' | 'md5';
}

const keyOptions: Readonly<Record<KeyType, readonly string[]>> = {
  p256: ['EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  p384: ['EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  p521: ['EC', '-pkeyopt', 'ec_paramgen_curve:P-521'],
  ed25519: ['ed25519'],
  rsa1024: ['RSA', '-pkeyopt', 'rsa_keygen_bits:1024'],
  rsa2048: ['RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  rsa3072: ['RSA', '-pkeyopt', 'rsa_keygen_bits:3072'],
};

/** What makes a certificate that of a CA. */
export const caExtensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'] as const;

/** What the guide gives the certificate of a device. */
export const deviceExtensions = [
  'keyUsage=critical, digitalSignature',
  'extendedKeyUsage=critical, clientAuth',
] as const;

/** The directory where a PKI is made; it goes away when disposed of. */
export class Pki implements AsyncDisposable {
  readonly #dir: string;
  #files = 0;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  static async open(): Promise<Pki> {
    return new Pki(await mkdtemp(join(tmpdir(), 'fleetroot-pki-')));
  }

  /** A new file name. */
  file(suffix: string): string {
    this.#files += 1;
    return join(this.#dir, `${this.#files}${suffix}`);
  }

  /** A file with this content. */
  async write(content: string | Uint8Array, suffix = '.pem'): Promise<string> {
    const path = this.file(suffix);
    await writeFile(path, content);
    return path;
  }

  /** One file with the content of several, in this order. */
  async bundle(...files: readonly string[]): Promise<string> {
    return this.write(Buffer.concat(await Promise.all(files.map((file) => readFile(file)))));
  }

  /** The key of some certificate, to be shown with a longer chain: `others` come after the leaf, in this order. */
  async chain({ certificate, key }: Credentials, ...others: readonly string[]): Promise<Credentials> {
    return { certificate: await this.bundle(certificate, ...others), key };
  }

  openssl(...args: readonly string[]): Promise<string> {
    return succeed('openssl', args, { cwd: this.#dir });
  }

  /** Runs shell lines there, with variables. */
  shell(script: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
    return succeed('sh', ['-euc', script], { cwd: this.#dir, env: { ...process.env, ...env } });
  }

  /** The environment of an openssl client (curl too) that shows even certificates that it finds too weak itself. */
  async lenient(): Promise<Readonly<Record<string, string>>> {
    const config = ['openssl_conf = conf', '[conf]', 'ssl_conf = ssl', '[ssl]', 'system_default = all', '[all]'];
    return { OPENSSL_CONF: await this.write(`${config.join('\n')}\nCipherString = DEFAULT@SECLEVEL=0\n`, '.cnf') };
  }

  async newKey(keyType: KeyType = 'p256'): Promise<string> {
    const key = this.file('.key');
    await this.openssl('genpkey', '-algorithm', ...keyOptions[keyType], '-out', key);
    return key;
  }

  /**
   * A Fleet Root CA as the guide has it made, by its commands and configuration. Its generations differ in the purpose:
   * `serverAuth` (the present one), `clientAuth`, none.
   */
  async guideRoot(fleetName: string, purpose: 'serverAuth' | 'clientAuth' | null = 'serverAuth'): Promise<Ca> {
    const config = ['[req]', 'prompt = no', 'distinguished_name = dn', 'x509_extensions = ext', '[dn]'];
    config.push('CN = $ENV::fleet_name', '[ext]', 'basicConstraints=CA:TRUE', 'keyUsage = keyCertSign');
    if (purpose !== null) config.push(`extendedKeyUsage = critical, ${purpose}`);
    const [key, certificate] = [this.file('.key'), this.file('.crt')];
    await this.shell(
      `openssl ecparam -genkey -name prime256v1 | openssl ec -out "$key"
       openssl req -new -x509 -days 3650 -key "$key" -config "$config" -out "$crt"`,
      { fleet_name: fleetName, config: await this.write(`${config.join('\n')}\n`, '.cnf'), key, crt: certificate },
    );
    return new Ca(this, { certificate, key });
  }

  /** The root of whoever typed `openssl req -x509` and nothing else: basicConstraints, and no keyUsage at all. */
  async plainRoot(name: string): Promise<Ca> {
    const [key, certificate] = [this.file('.key'), this.file('.crt')];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    await this.openssl(
      'req',
      '-x509',
      ...curve,
      '-days',
      '3650',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      key,
      '-out',
      certificate,
    );
    return new Ca(this, { certificate, key });
  }

  /** A self-signed CA. */
  async root(name: string, options: CertificateOptions = {}): Promise<Ca> {
    return new Ca(this, await this.issue(null, name, { extensions: caExtensions, days: 3650, ...options }));
  }

  /** Whatever openssl makes of it: signed by itself where `by` is null. */
  async issue(by: Ca | null, name: string, options: CertificateOptions): Promise<Credentials> {
    const { extensions = [], days = 365, validity, digest = 'sha256' } = options;
    const key = options.key ?? (await this.newKey(options.keyType));
    const request = this.file('.csr');
    const subject = options.subject ?? `/CN=${name.replaceAll(/[\\/+]/g, '\\$&')}`;
    await this.openssl('req', '-new', '-utf8', '-key', key, '-subj', subject, '-out', request);
    const certificate = this.file('.crt');
    const extensionFile =
      extensions.length > 0 ? ['-extfile', await this.write(`${extensions.join('\n')}\n`, '.ext')] : [];
    if (validity === undefined) {
      const signer = by === null ? ['-signkey', key] : ['-CA', by.certificate, '-CAkey', by.key];
      const serial = ['-set_serial', options.serial ?? String(randomInt(2 ** 47))];
      const how = [...signer, ...serial, ...extensionFile, '-days', String(days), `-${digest}`];
      await this.openssl('x509', '-req', '-in', request, ...how, '-out', certificate);
    } else {
      // In openssl 3.0 only `ca` takes dates.
      const signer = by === null ? ['-selfsign', '-keyfile', key] : ['-cert', by.certificate, '-keyfile', by.key];
      const dates = ['-startdate', opensslTime(validity.from), '-enddate', opensslTime(validity.to)];
      const how = ['-config', await this.#caConfig(), ...signer, ...dates, ...extensionFile, '-md', digest];
      await this.openssl('ca', '-batch', '-notext', '-in', request, ...how, '-out', certificate);
    }
    return { certificate, key };
  }

  async #caConfig(): Promise<string> {
    const lines = ['[ca]', 'default_ca = this', '[this]', `database = ${await this.write('', '.index')}`];
    lines.push(`new_certs_dir = ${this.#dir}`, 'rand_serial = yes', 'unique_subject = no', 'preserve = yes');
    lines.push('policy = any', '[any]');
    for (const attribute of ['countryName', 'stateOrProvinceName', 'organizationName', 'organizationalUnitName']) {
      lines.push(`${attribute} = optional`);
    }
    return this.write(`${lines.join('\n')}\ncommonName = optional\n`, '.cnf');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#dir, { recursive: true, force: true });
  }
}

/** A CA with its key: its certificate is what an operator registers. */
export class Ca implements Credentials {
  readonly certificate: string;
  readonly key: string;
  readonly #pki: Pki;
  /** openssl counts the serial numbers in a file, and two of it at once would read half of it. */
  #counting: Promise<unknown> = Promise.resolve();

  constructor(pki: Pki, { certificate, key }: Credentials) {
    this.#pki = pki;
    this.certificate = certificate;
    this.key = key;
  }

  /** A device certificate as the guide has it made, by its commands and configuration: the leaf alone. */
  guideDevice(deviceId: string): Promise<Credentials> {
    const made = this.#counting.then(() => this.#guideDevice(deviceId));
    this.#counting = made.catch(() => undefined);
    return made;
  }

  async #guideDevice(deviceId: string): Promise<Credentials> {
    const pki = this.#pki;
    const extensions = ['[ext]', ...deviceExtensions];
    const config = ['[req]', 'prompt = no', 'distinguished_name = dn', 'req_extensions = ext', '[dn]'];
    config.push('CN=$ENV::device_id', ...extensions);
    const [certificate, key] = [pki.file('.pem'), pki.file('.pem')];
    await pki.shell(
      `openssl ecparam -genkey -name prime256v1 | openssl ec -out "$key.ec"
       openssl pkcs8 -topk8 -nocrypt -in "$key.ec" -out "$key"
       openssl req -new -config "$config" -key "$key" -out "$key.csr"
       openssl x509 -req -days 365 -extfile "$extensions" \\
         -in "$key.csr" -CAkey "$ca_key" -CA "$ca_crt" -CAcreateserial -out "$crt"`,
      {
        device_id: deviceId,
        config: await pki.write(`${config.join('\n')}\n`, '.cnf'),
        extensions: await pki.write(`${deviceExtensions.join('\n')}\n`, '.ext'),
        key,
        crt: certificate,
        ca_key: this.key,
        ca_crt: this.certificate,
      },
    );
    return { certificate, key };
  }

  /**
   * A device certificate as `aktualizr-cert-provider --fleet-ca` makes it: RSA-2048, C, ST, O and CN, version 3 without
   * any extension (which the openssl command cannot make), a serial number of 20 bits, so that they repeat.
   */
  async providedDevice(deviceId: string, { serial = randomInt(2 ** 20) } = {}): Promise<Credentials> {
    const subject = encodeName([
      { type: '2.5.4.6', value: 'DE' },
      { type: '2.5.4.8', value: 'Berlin' },
      { type: '2.5.4.10', value: 'Fleet' },
      { type: '2.5.4.3', value: deviceId },
    ]);
    const content = Buffer.from(serial.toString(16).padStart(6, '0'), 'hex');
    const minimal = content.subarray(content.findIndex((octet, at) => octet > 0 || at === 2));
    const number = minimal[0]! < 0x80 ? minimal : Buffer.concat([Buffer.of(0), minimal]);
    return this.shapedDevice({ subject, serial: number, extensions: null }, newKey('rsa2048'));
  }

  /** A device certificate such as the openssl command does not make. Valid for a year from yesterday unless said. */
  async shapedDevice(shape: Shape, key: KeyPair = newKey()): Promise<Credentials> {
    const day = 24 * 60 * 60 * 1000;
    const validity = { notBefore: Date.now() - day, notAfter: Date.now() + 365 * day };
    const der = makeDer({ ...validity, by: await this.made(), ...shape }, key);
    return {
      certificate: await this.#pki.write(certificateToPem(der)),
      key: await this.#pki.write(key.privateKey.export({ type: 'pkcs8', format: 'pem' }), '.key'),
    };
  }

  /** A device certificate, by default with the guide's extensions. */
  device(deviceId: string, options: CertificateOptions = {}): Promise<Credentials> {
    return this.#pki.issue(this, deviceId, { extensions: deviceExtensions, ...options });
  }

  /** A CA below this one. */
  async intermediate(name: string, options: CertificateOptions = {}): Promise<Ca> {
    return new Ca(this.#pki, await this.#pki.issue(this, name, { extensions: caExtensions, days: 1825, ...options }));
  }

  /** Another CA's name and key, certified by this one: a cross-certificate. */
  async crossSign(other: Ca, options: CertificateOptions = {}): Promise<Ca> {
    const { subject } = parseCertificates(await readFile(other.certificate))[0]!;
    const [cn] = subject.attributes.flatMap(({ type, value }) => (type === '2.5.4.3' ? [value ?? ''] : []));
    return this.intermediate(cn ?? '', { key: other.key, ...options });
  }

  /** This CA's own name and key, signed by itself anew. */
  async renewed(options: CertificateOptions = {}): Promise<Ca> {
    const { subject } = parseCertificates(await readFile(this.certificate))[0]!;
    return this.#pki.root(subject.attributes[0]?.value ?? '', { key: this.key, ...options });
  }

  /** The CA as the certificate maker of these tests takes it. */
  async made(): Promise<Made> {
    const privateKey = createPrivateKey(await readFile(this.key));
    const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
    return { certificate: parseCertificates(await readFile(this.certificate))[0]!, key: { privateKey, spki } };
  }
}

/** `YYYYMMDDHHMMSSZ`. */
function opensslTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-T:]/g, '')}Z`;
}
