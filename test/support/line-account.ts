// What a factory line accounts for, written and signed by a test with the line's own key: a log, and manifests of it.

import { createPrivateKey, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { CompactSign } from 'jose';
import { mandateType } from '../../src/manifest/mandate.ts';
import { type CertificateNote, type ManifestPayload, manifestType } from '../../src/manifest/manifest.ts';
import { hashBeforeFirst, hashOfEntry } from '../../src/registry/audit-chain.ts';
import { type Certificate, parseCertificates } from '../../src/x509/certificate.ts';
import { type Ca, type Credentials, deviceExtensions, type Pki } from './pki.ts';

/** What makes a certificate that of a line's CA. */
const lineExtensions = ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign'];
const evidence = { kind: 'station' } as const;
const year = 365 * 24 * 60 * 60 * 1000;

/** A line under a Fleet Root CA: its CA's key makes certificates, with or past its service, and signs its manifests. */
export class LineAccount {
  readonly ca: Ca;
  readonly name: string;
  readonly #pki: Pki;
  readonly #root: Ca;
  readonly #log = randomUUID();
  readonly #mandate = randomUUID();
  readonly #quota: number;
  #hash = hashBeforeFirst(this.#log);
  #number = 0;
  #signedMandate: string | null = null;
  /** Since the last manifest. */
  #bodies: string[] = [];

  private constructor(pki: Pki, root: Ca, ca: Ca, name: string, quota: number) {
    this.#quota = quota;
    this.#pki = pki;
    this.#root = root;
    this.ca = ca;
    this.name = name;
  }

  static async open(pki: Pki, root: Ca, name: string, quota = 1_000): Promise<LineAccount> {
    return new LineAccount(pki, root, await root.intermediate(name, { extensions: lineExtensions }), name, quota);
  }

  /** The same line with a log that was begun anew, as where its key is in use in two places. */
  anew(): LineAccount {
    return new LineAccount(this.#pki, this.#root, this.ca, this.name, this.#quota);
  }

  /** A certificate that the line makes and accounts for: the leaf alone. */
  async make(deviceId: string): Promise<Credentials> {
    const device = await this.stolen(deviceId);
    await this.#note('certificate.make', device);
    return device;
  }

  /** A certificate that somebody makes with the line's key, past its service: in no manifest ever. */
  stolen(deviceId: string): Promise<Credentials> {
    return this.ca.device(deviceId, { extensions: deviceExtensions });
  }

  /** Accounts for a certificate that is there: that the line made it, or has withdrawn it; with `claim`, as what it is not. */
  account(
    action: 'make' | 'withdraw',
    device: Pick<Credentials, 'certificate'>,
    claim: Partial<Pick<CertificateNote, 'device_id' | 'public_key_sha256'>> = {},
  ): Promise<void> {
    return this.#note(`certificate.${action}`, device, claim);
  }

  /** The leaf with the certificate of the line's CA. */
  chain(device: Credentials): Promise<Credentials> {
    return this.#pki.chain(device, this.ca.certificate);
  }

  async #note(action: string, { certificate }: Pick<Credentials, 'certificate'>, claim = {}): Promise<void> {
    const [leaf] = parseCertificates(await readFile(certificate)) as [Certificate];
    const after: CertificateNote = {
      device_id: leaf.subject.attributes[0]?.value ?? '',
      tbs_sha256: leaf.tbsSha256,
      public_key_sha256: leaf.publicKey.sha256,
      serial: leaf.serial.padStart(16, '0'),
      not_after: new Date(leaf.notAfter).toISOString(),
      order: 'order-1',
      batch: null,
      station: 'station-1',
      evidence,
      mandate: this.#mandate,
      ...claim,
    };
    this.#bodies.push(JSON.stringify({ at: new Date().toISOString(), action, after }));
  }

  /** The file of a manifest with what has been accounted for since the one before. */
  async manifest(): Promise<string> {
    // A manifest covers something.
    if (this.#bodies.length === 0) throw new Error('nothing has been accounted for since the last manifest');
    const [first, previous_hash] = [this.#number + 1, this.#hash];
    for (const body of this.#bodies) {
      this.#number += 1;
      this.#hash = hashOfEntry(this.#hash, this.#number, body);
    }
    const line = await this.#certificate(this.ca);
    const payload: ManifestPayload = {
      log: this.#log,
      line: line.publicKey.sha256,
      name: this.name,
      site: null,
      made_at: new Date().toISOString(),
      first,
      last: this.#number,
      previous_hash,
      head_hash: this.#hash,
      entries: this.#bodies.map((body) => ({ body })),
      mandates: [(this.#signedMandate ??= await this.#signMandate(line))],
    };
    this.#bodies = [];
    return this.#pki.write(`${await this.#sign(this.ca, manifestType, payload, [line])}\n`, '.jws');
  }

  #signMandate(line: Certificate): Promise<string> {
    return this.#sign(this.#root, mandateType, {
      id: this.#mandate,
      line: line.publicKey.sha256,
      name: this.name,
      quota: this.#quota,
      issued_at: new Date().toISOString(),
      not_after: new Date(Date.now() + year).toISOString(),
      device_id_pattern: '.*',
      order: null,
    });
  }

  async #sign(by: Ca, typ: string, payload: object, shown: readonly Certificate[] = []): Promise<string> {
    const x5c = [...shown, await this.#certificate(this.#root)].map(({ der }) => Buffer.from(der).toString('base64'));
    return new CompactSign(Buffer.from(JSON.stringify(payload)))
      .setProtectedHeader({ alg: 'ES256', typ, ...(shown.length > 0 && { x5c }) })
      .sign(createPrivateKey(await readFile(by.key)));
  }

  async #certificate({ certificate }: Pick<Credentials, 'certificate'>): Promise<Certificate> {
    return parseCertificates(await readFile(certificate))[0] as Certificate;
  }
}
