// The only way to a signature by a key of ours: prepare shapes and lints a certificate, issue records, signs, records.

import { hash, randomUUID } from 'node:crypto';

import { CustodyProblem, type SigningAlgorithm } from '../custody/custodian.ts';
import { Metrics, secondsSince } from '../metrics.ts';
import type { Intention } from '../registry/certificates.ts';
import type { Registry } from '../registry/writer.ts';
import { parseCertificate, verifySignature } from '../x509/certificate.ts';
import { detached } from './detached.ts';
import type { HeldKeys, KeyCare } from './held-keys.ts';
import { lint } from './lint.ts';
import { type IssuanceRequest, type Plan, planOf } from './request.ts';
import type { SigningKey } from './signing-ca.ts';
import { encodeCertificate, encodeTbsCertificate } from './tbs-certificate.ts';

/** A certificate that has passed the lint, to be issued once, by the issuer that prepared it. Only `prepare` makes one. */
export interface Prepared {
  /** What is recorded before the signature; whoever records it may say more than is known here. */
  readonly intention: Readonly<Intention>;
}

/** Where an issuance is recorded. Each step resolves when it is on the disk. */
export interface Recording {
  /** Before the signature. */
  intend(certificate: Intention): Promise<unknown>;
  /** After it, before anybody gets the certificate. */
  complete(signed: { account_id: string; tbs_sha256: string; sha256: string; der: Uint8Array }): Promise<unknown>;
  /** Where there will be no certificate after all. Does nothing for one that has been completed. */
  abandon(named: { account_id: string; tbs_sha256: string }): Promise<unknown>;
}

/** What `issue` signs for a token: the bytes that were linted, and who signs them. */
interface Linted {
  readonly maker: CertificateMaker;
  readonly tbs: Buffer;
  readonly plan: Plan;
}

/** The only class of Prepared there is, and not exported: nobody else makes one, reads its bytes, or has it twice. */
class Token implements Prepared {
  readonly intention: Readonly<Intention>;
  #linted: Linted | null;

  constructor(intention: Intention, linted: Linted) {
    this.intention = intention;
    this.#linted = linted;
  }

  /** Gives what was linted, to the maker that linted it and once. Throws TypeError. */
  static redeem(token: Prepared, maker: CertificateMaker): Linted {
    const linted = #linted in token ? token.#linted : null;
    if (linted?.maker !== maker) throw new TypeError('this is not prepared, or has been issued already');
    (token as Token).#linted = null;
    return linted;
  }
}

/** Of the signatures for devices by one key the first and then one in so many is verified. */
const verifiedOneIn = 256;

/** Keys of ours that sign, wherever their records are kept. */
export interface SigningKeys {
  /** Throws CustodyProblem where a key's custodian is known to be away, or the key to be gone. Asks the custodian nothing. */
  ready(key: SigningKey): void;
  /** Signs data itself, not a digest of it. Throws CustodyProblem. */
  sign(key: SigningKey, algorithm: SigningAlgorithm, data: Uint8Array): Promise<Buffer>;
}

/** What signs: keys of ours, and the rule that what they sign was linted and recorded. */
export class CertificateMaker {
  readonly clock: () => number;
  readonly #keys: SigningKeys;
  readonly #recording: Recording;
  readonly #metrics: Metrics;
  /** How many device certificates each key has signed since the start, by the key's ID. */
  readonly #signed = new Map<string, number>();

  constructor({
    keys,
    recording,
    clock,
    metrics = new Metrics(),
  }: {
    keys: SigningKeys;
    recording: Recording;
    clock: () => number;
    metrics?: Metrics;
  }) {
    this.#metrics = metrics;
    this.clock = clock;
    this.#keys = keys;
    this.#recording = recording;
  }

  /**
   * Shapes the certificate from its profile and lints it, as its own reader sees it. What comes back is the only thing
   * that `issue` accepts. Throws as `planOf` does, and LintError where the certificate would break a rule.
   */
  prepare(request: IssuanceRequest): Prepared {
    const plan = planOf(request, this.clock());
    const tbs = encodeTbsCertificate(plan, randomSerial());
    const certificate = parseCertificate(encodeCertificate(tbs, plan.algorithm, Buffer.alloc(0)));
    lint(certificate, plan);
    const intention: Intention = {
      account_id: request.account.id,
      tbs_sha256: certificate.tbsSha256,
      profile: plan.profile.name,
      serial: certificate.serial,
      public_key_sha256: certificate.publicKey.sha256,
      not_before: plan.notBefore,
      not_after: plan.notAfter,
      device_uuid: null,
      subject_name: plan.commonName ?? plan.hosts[0]!,
      fleet_root_ca_id: request.profile === 'device' ? request.fleetRootCaId : null,
      provisioning_key_id: request.profile === 'device' ? request.provisioningKeyId : null,
      der: detached(tbs),
      reply: null,
    };
    return new Token(intention, { maker: this, tbs, plan });
  }

  /**
   * Signs what was prepared and gives the certificate, DER, once its record is on the disk. The intention is recorded
   * first: a power cut between the two leaves evidence of every signature that may have been made.
   * Throws TypeError for what this issuer did not prepare or has issued, Problem('custody_unavailable'), and what the
   * recording throws; then there is no certificate.
   */
  async issue(token: Prepared, recording: Recording = this.#recording): Promise<Buffer> {
    const linted = Token.redeem(token, this);
    const began = performance.now();
    let outcome: 'issued' | 'failed' = 'failed';
    try {
      const der = await this.#issue(token, linted, recording);
      outcome = 'issued';
      return der;
    } finally {
      this.#metrics.issuingDuration.observe({ profile: token.intention.profile, outcome }, secondsSince(began));
    }
  }

  async #issue(token: Prepared, linted: Linted, recording: Recording): Promise<Buffer> {
    const { account_id, tbs_sha256 } = token.intention;
    this.#keys.ready(linted.plan.key);
    await recording.intend(token.intention);
    try {
      const der = await this.#sign(linted);
      await recording.complete({ account_id, tbs_sha256, sha256: hash('sha256', der, 'hex'), der });
      return der;
    } catch (error) {
      // Where this fails too, the intention stays until the next start settles it: the first error is the one to tell.
      await recording.abandon({ account_id, tbs_sha256 }).catch(() => {});
      throw error;
    }
  }

  /**
   * Verifies the signature before anything leaves: a wrong one shows a custodian that mixes up its keys, or a failing
   * machine. In bulk that would cost more than all the rest together, so of devices' certificates the first by each key
   * and a sample are verified. A mix-up shows at the first, a failing machine soon, and a wrong signature in between
   * lets nobody in: one device has a certificate that its gateway refuses, until it is reprovisioned.
   */
  async #sign({ tbs, plan: { algorithm, issuer, key, profile } }: Linted): Promise<Buffer> {
    const signature = await this.#keys.sign(key, algorithm, tbs);
    const der = encodeCertificate(tbs, algorithm, signature);
    const inBulk = profile.name === 'device' || profile.name === 'line_device';
    if (!inBulk || this.#isVerified(key)) {
      const certificate = parseCertificate(der);
      const right = verifySignature(certificate, (issuer?.certificate ?? certificate).publicKey);
      if (!right) throw new CustodyProblem('corrupted', `Custody has made a wrong signature with key ${key.id}.`);
    }
    return der;
  }

  #isVerified({ id }: SigningKey): boolean {
    const before = this.#signed.get(id) ?? 0;
    this.#signed.set(id, before + 1);
    return before % verifiedOneIn === 0;
  }
}

/** The server's: certificates are recorded in the registry, and its keys are those that it holds. */
export class Issuer extends CertificateMaker {
  readonly registry: Registry;
  /** Our keys, for whatever is done with them but signing. */
  readonly keys: KeyCare;

  constructor({
    registry,
    keys,
    clock,
    metrics,
  }: {
    registry: Registry;
    keys: HeldKeys;
    clock: () => number;
    metrics?: Metrics;
  }) {
    const recording: Recording = {
      intend: (certificate) => registry.write('intendCertificate', { certificate }),
      complete: (signed) => registry.write('completeCertificate', signed),
      abandon: (named) => registry.write('abandonCertificate', named),
    };
    super({ keys, recording, clock, ...(metrics && { metrics }) });
    this.registry = registry;
    this.keys = keys;
  }
}

/**
 * 16 octets, positive and in DER's shortest form (RFC 5280 §4.1.2.2). 120 bits are random: those of a UUID, which Node
 * draws many at a time, less two. Drawn one by one they would cost as much as the lint.
 */
function randomSerial(): Buffer {
  const serial = Buffer.from(randomUUID().replaceAll('-', ''), 'hex');
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  return serial;
}
