// The Fleet Root, on a machine without a network: made once, and then it signs lines and what each of them may make.

import { randomUUID } from 'node:crypto';
import type { CustodianName } from '../config.ts';
import type { KeyType } from '../custody/custodian.ts';
import type { SigningCa, SigningKey } from '../issuing/signing-ca.ts';
import { signStatement } from '../issuing/statement.ts';
import { mandateType, readMandate } from '../manifest/mandate.ts';
import { Problem } from '../problem.ts';
import { checkPattern } from '../provisioning/device-id.ts';
import { formatInstant, parseInstant } from '../time.ts';
import { type Certificate, certificateToPem, parseCertificate } from '../x509/certificate.ts';
import { type Factory, ownerNamed } from './factory.ts';
import { writeBundle } from './line-bundle.ts';
import { readLineRequest } from './line-request.ts';
import { requireName } from './name.ts';
import { keyFor } from './records/keys.ts';
import { checkOrderName } from './records/orders.ts';
import { requireNoRoot, rootLineFor, rootLinesOf, rootMandatesOf, theRoot } from './records/roots.ts';
import type { FactoryKey, FleetRoot, RootMandate } from './records/tables.ts';

/** A Fleet Root as people are shown it. */
export interface ShownRoot {
  readonly name: string;
  readonly subject: string;
  readonly sha256: string;
  readonly key_type: string;
  readonly custodian: string;
  readonly not_after: string;
  /** PEM. */
  readonly certificate: string;
}

/** A line that the root has signed, with all that it may make. */
export interface ShownRootLine {
  readonly name: string;
  readonly site: string | null;
  /** SHA-256 of its public key. */
  readonly key_sha256: string;
  readonly sha256: string;
  readonly not_after: string;
  /** Of all its mandates together. */
  readonly quota: number;
  readonly mandates: readonly ShownRootMandate[];
}

interface ShownRootMandate extends Pick<RootMandate, 'id' | 'quota' | 'device_id_pattern'> {
  readonly not_after: string;
  readonly order: string | null;
  readonly signed_at: string;
}

/** What `signLine` gives. */
export interface SignedLine {
  /** The file for the line. */
  readonly bundle: string;
  readonly line: ShownRootLine;
  /** False where the CA is the one of before. */
  readonly new_ca: boolean;
  readonly mandate: string;
}

/** How long a line's CA lasts where nobody says: certificates of 20 years for ten years. */
const caLifetime = 30 * 365 * 24 * 60 * 60 * 1000;

interface OpenRoot {
  readonly row: FleetRoot;
  readonly ca: SigningCa<SigningKey>;
}

async function openRoot({ records }: Factory): Promise<OpenRoot> {
  const [row, key] = [await theRoot(records.read), await keyFor(records.read, 'factory-root')];
  if (row && key) return { row, ca: { certificate: parseCertificate(row.certificate), key } };
  throw new Problem('not_found', 'There is no Fleet Root in this directory.', '`factory root create DIR` makes one.');
}

function shownRoot(row: FleetRoot, { key_type, custodian }: Pick<FactoryKey, 'key_type' | 'custodian'>): ShownRoot {
  const { subject, sha256, notAfter, der } = parseCertificate(row.certificate);
  return {
    name: row.name,
    subject: subject.text,
    sha256,
    key_type,
    custodian,
    not_after: formatInstant(notAfter),
    certificate: certificateToPem(der),
  };
}

async function linesOf({ records }: Factory): Promise<ShownRootLine[]> {
  const mandates = await rootMandatesOf(records.read);
  return (await rootLinesOf(records.read)).map(({ public_key_sha256: key_sha256, name, site, certificate }) => {
    const { sha256, notAfter } = parseCertificate(certificate);
    const own = mandates.filter(({ line }) => line === key_sha256);
    return {
      name,
      site,
      key_sha256,
      sha256,
      not_after: formatInstant(notAfter),
      quota: own.reduce((sum, { quota }) => sum + quota, 0),
      mandates: own.map(({ id, quota, device_id_pattern, order_name, ...mandate }) => ({
        id,
        quota,
        device_id_pattern,
        order: order_name,
        not_after: formatInstant(mandate.not_after),
        signed_at: formatInstant(mandate.created_at),
      })),
    };
  });
}

/** What may be asked of a mandate. */
interface Mandated {
  readonly quota: number;
  /** RFC 3339. */
  readonly until: string;
  readonly device_id_pattern: string;
  readonly order: string | null;
}

/** When the CA of a line ends: the one that it has, or a new one. Throws Problem('invalid_request'). */
function endOfCa(root: Certificate, known: Certificate | null, ca_until: string | null, now: number): number {
  if (known !== null) return known.notAfter;
  if (ca_until === null) return Math.min(now + caLifetime, root.notAfter);
  const end = instantOf(ca_until, "The line's CA", now);
  if (end <= root.notAfter) return end;
  throw new Problem(
    'invalid_request',
    `The line's CA would outlast the Fleet Root, which ends at ${formatInstant(root.notAfter)}.`,
  );
}

/** When a mandate ends: not after the CA that it is for. Throws Problem('invalid_request'). */
function endOfMandate({ until }: Mandated, endOfItsCa: number, now: number): number {
  const end = instantOf(until, 'The mandate', now);
  if (end <= endOfItsCa) return end;
  throw new Problem(
    'invalid_request',
    `The mandate would outlast the line's CA, which ends at ${formatInstant(endOfItsCa)}.`,
  );
}

function instantOf(given: string, what: string, now: number): number {
  const at = parseInstant(given);
  if (at !== null && at > now) return at;
  throw new Problem('invalid_request', `${what} would have ended already, at ${given}.`);
}

export const fleetRootActions = {
  /** Throws Problem, CustodyProblem. */
  async createRoot(
    { records, keys, maker, config }: Factory,
    { name, key_type, custodian }: { name: string; key_type: KeyType; custodian: CustodianName | null },
  ): Promise<ShownRoot> {
    await requireNoRoot(records.read);
    requireName(name, 'an organisation');
    const key = await keys.create('factory-root', key_type, custodian ?? config.custody.default);
    const id = randomUUID();
    const prepared = maker.prepare({ profile: 'factory_root', account: ownerNamed(name), key, id });
    const certificate = new Uint8Array(await maker.issue(prepared));
    const { sha256 } = parseCertificate(certificate);
    return shownRoot(await records.write('recordRoot', { id, name, key, certificate, sha256 }), key);
  },

  async showRoot(factory: Factory, _: object): Promise<ShownRoot> {
    const { row, ca } = await openRoot(factory);
    return shownRoot(row, ca.key);
  },

  async listRootLines(factory: Factory, _: object): Promise<ShownRootLine[]> {
    await openRoot(factory);
    return linesOf(factory);
  },

  /**
   * Signs the CA of the line that made the request, or takes the one that it has, and a new mandate for it.
   * Throws Problem, CustodyProblem.
   */
  async signLine(
    factory: Factory,
    { request: file, ca_until, ...asked }: Mandated & { request: string; ca_until: string | null },
  ): Promise<SignedLine> {
    const { records, keys, maker, clock } = factory;
    const { row: root, ca } = await openRoot(factory);
    const { request, name, site } = readLineRequest(Buffer.from(file, 'base64'));
    const key_sha256 = request.publicKey.sha256;
    const known = await rootLineFor(records.read, { public_key_sha256: key_sha256, name });
    const now = clock();
    if (known && ca_until !== null) {
      throw new Problem('conflict', `The CA of the line "${name}" is signed, and its end stays as it is.`);
    }
    const { quota, device_id_pattern, order } = asked;
    checkPattern(device_id_pattern);
    if (order !== null) checkOrderName(order);
    const before = known ? parseCertificate(known.certificate) : null;
    const notAfter = endOfCa(ca.certificate, before, ca_until, now);
    const not_after = endOfMandate(asked, notAfter, now);
    const { canonicalSpki: publicKey } = request.publicKey;
    const wanted = { profile: 'line_ca', account: ownerNamed(root.name), ca, publicKey, name, notAfter } as const;
    const certificate = before ?? parseCertificate(await maker.issue(maker.prepare(wanted)));
    const statement = {
      id: randomUUID(),
      line: key_sha256,
      name,
      quota,
      issued_at: formatInstant(now),
      not_after: formatInstant(not_after),
      device_id_pattern,
      order,
    };
    const header = { typ: mandateType, x5c: [ca.certificate.der.toString('base64')] };
    const jws = await signStatement(keys, ca.key, header, statement);
    // Read back as the line will: what it would not take is not recorded as signed.
    const mandate = await readMandate(jws, ca.certificate.publicKey);
    const line = { public_key_sha256: key_sha256, name, site, certificate: new Uint8Array(certificate.der) };
    await records.write('recordSigned', { line, sha256: certificate.sha256, mandate });
    const bundle = writeBundle({ ca: certificate.der, root: ca.certificate.der, mandate: jws }, [
      `The line ${name} of ${root.name}: its CA, its Fleet Root, and a mandate for ${quota} device(s)`,
      `until ${statement.not_after}.`,
      'On the line: fleetroot factory line accept FILE',
    ]);
    const shown = (await linesOf(factory)).find((one) => one.key_sha256 === key_sha256)!;
    return { bundle, line: shown, new_ca: known === undefined, mandate: statement.id };
  },
};
