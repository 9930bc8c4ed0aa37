// An image as it is built from credentials.zip, and the devices it is flashed on: openssl and curl in their roles.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execute, succeed } from './process.ts';

/** What a device was answered. */
export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
  readonly json: any;
  /** curl's exit code: 0, or what broke before an answer came. */
  readonly curl: number | null;
}

export interface CallOptions {
  readonly method?: string;
  readonly body?: string | Uint8Array;
  readonly contentType?: string;
  readonly tls?: '1.2' | '1.3';
  /** Further words for curl. */
  readonly curl?: readonly string[];
  /** Further variables of its environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Whoever calls a gateway: a certificate with its key, or nothing, and what it trusts. */
export interface Caller {
  readonly url: string;
  readonly trusts: string;
  readonly certificate: string | null;
  readonly key: string | null;
}

/** Calls the gateway with curl. */
export async function call(caller: Caller, path: string, options: CallOptions = {}): Promise<Answer> {
  const { method = 'GET', body, contentType = 'application/json', tls } = options;
  const { hostname, port } = new URL(caller.url);
  const words = [
    '--silent',
    '--show-error',
    '--include',
    '--path-as-is',
    '--max-time',
    '20',
    '--cacert',
    caller.trusts,
  ];
  if (!/^[[\d]/.test(hostname)) words.push('--resolve', `${hostname}:${port}:127.0.0.1`);
  if (caller.certificate !== null) words.push('--cert', caller.certificate);
  if (caller.key !== null) words.push('--key', caller.key);
  if (tls !== undefined) words.push(`--tlsv${tls}`, '--tls-max', tls);
  if (body !== undefined) words.push('--data-binary', '@-', '-H', `Content-Type: ${contentType}`);
  if (method === 'HEAD') words.push('--head');
  else words.push('--request', method);
  const outcome = await execute('curl', [...words, ...(options.curl ?? []), caller.url + path], {
    input: body,
    env: { ...process.env, ...options.env },
  });
  return readAnswer(outcome.bytes, outcome.code);
}

function readAnswer(bytes: Buffer, curl: number | null): Answer {
  let rest = bytes;
  let status = 0;
  let headers = new Map<string, string>();
  // An interim answer (100 Continue) comes before the real one.
  while (rest.subarray(0, 5).toString() === 'HTTP/' && (status === 0 || status < 200)) {
    const end = rest.indexOf('\r\n\r\n');
    const [first = '', ...fields] = rest.subarray(0, end).toString('latin1').split('\r\n');
    status = Number(first.split(' ')[1]);
    headers = new Map(
      fields.map((field) => [field.split(':')[0]!.toLowerCase(), field.slice(field.indexOf(':') + 1).trim()]),
    );
    rest = rest.subarray(end + 4);
  }
  let json: unknown = null;
  try {
    json = JSON.parse(rest.toString('utf8'));
  } catch {
    // Not every answer is JSON.
  }
  return { status, headers, body: rest, json, curl };
}

/** A device with a certificate of its own. */
export class Device implements Caller {
  readonly url: string;
  readonly trusts: string;
  readonly certificate: string;
  readonly key: string;

  constructor({ url, trusts, certificate, key }: { url: string; trusts: string; certificate: string; key: string }) {
    this.url = url;
    this.trusts = trusts;
    this.certificate = certificate;
    this.key = key;
  }

  call(path: string, options?: CallOptions): Promise<Answer> {
    return call(this, path, options);
  }

  /** The same device, at another port: where a load balancer sends it. */
  at({ port }: { port: number }): Device {
    return new Device({ ...this, url: withPort(this.url, port) });
  }

  /** `GET /device`. */
  whoAmI(options?: CallOptions): Promise<Answer> {
    return this.call('/device', options);
  }
}

/** credentials.zip, unpacked. */
export class Image {
  /** Where it was unpacked. */
  readonly dir: string;
  /** `https://<host>:<port>`. */
  readonly url: string;
  /** PEM file of the gateway's CAs. */
  readonly trusts: string;
  #provisioner: Promise<Caller> | null = null;

  private constructor(dir: string, url: string) {
    this.dir = dir;
    this.url = url;
    this.trusts = join(dir, 'server_ca.pem');
  }

  static async unpack(zip: string): Promise<Image> {
    const dir = `${zip}.d`;
    await mkdir(dir);
    await succeed('unzip', ['-q', zip, '-d', dir]);
    return new Image(dir, await readFile(join(dir, 'autoprov.url'), 'utf8'));
  }

  /** The same image, whose devices come to another port: where a load balancer sends them. */
  at({ port }: { port: number }): Image {
    return new Image(this.dir, withPort(this.url, port));
  }

  /** Nobody: trusts the gateway and shows nothing. */
  get stranger(): Caller {
    return { url: this.url, trusts: this.trusts, certificate: null, key: null };
  }

  /** Whoever holds the provisioning key. */
  provisioner(): Promise<Caller> {
    this.#provisioner ??= openP12(join(this.dir, 'autoprov_credentials.p12'), join(this.dir, 'autoprov')).then(
      ({ certificate, key }) => ({ url: this.url, trusts: this.trusts, certificate, key }),
    );
    return this.#provisioner;
  }

  /** What a device does at its first boot: `POST /devices`. */
  async provision(deviceId: string, options: CallOptions & { ttl?: unknown } = {}): Promise<Answer> {
    const body = JSON.stringify({ deviceId, ttl: options.ttl ?? '36000' });
    return call(await this.provisioner(), '/devices', { method: 'POST', body, ...options });
  }

  /** Provisions a device, which must succeed, and gives it with its key and certificate as files. */
  async boot(deviceId: string): Promise<Device> {
    const answer = await this.provision(deviceId);
    if (answer.status !== 200) throw new Error(`${deviceId} was answered ${answer.status}: ${answer.body.toString()}`);
    return this.device(answer.body);
  }

  /** The device whose PKCS#12 this is. */
  async device(pkcs12: Buffer): Promise<Device> {
    const base = join(this.dir, `device-${crypto.randomUUID()}`);
    await writeFile(`${base}.p12`, pkcs12);
    return new Device({ ...this.stranger, ...(await openP12(`${base}.p12`, base)) });
  }

  /** A device that comes with a certificate of its own. */
  withCertificate(certificate: string, key: string): Device {
    return new Device({ url: this.url, trusts: this.trusts, certificate, key });
  }
}

function withPort(of: string, port: number): string {
  const url = new URL(of);
  url.port = String(port);
  return url.origin;
}

/** Takes a PKCS#12 with an empty password apart as clients do. */
export async function openP12(file: string, base: string): Promise<{ certificate: string; key: string; cas: string }> {
  const files = { certificate: `${base}.crt`, key: `${base}.key`, cas: `${base}.cas` };
  const open = ['pkcs12', '-in', file, '-passin', 'pass:'];
  await succeed('openssl', [...open, '-clcerts', '-nokeys', '-out', files.certificate]);
  await succeed('openssl', [...open, '-nocerts', '-nodes', '-out', files.key]);
  await succeed('openssl', [...open, '-cacerts', '-nokeys', '-out', files.cas]);
  return files;
}
