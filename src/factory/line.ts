// The line where it stands: its key and its request, what the Fleet Root has answered, and what that lets it make.

import type { CustodianName } from '../config.ts';
import { signCertificationRequest } from '../issuing/certification-request.ts';
import { type Mandate, readMandate } from '../manifest/mandate.ts';
import { Problem } from '../problem.ts';
import { formatInstant } from '../time.ts';
import { type Certificate, parseCertificate, verifySignature } from '../x509/certificate.ts';
import { commonName, firstCommonName } from '../x509/name.ts';
import { findPaths } from '../x509/path.ts';
import { encodePem } from '../x509/pem.ts';
import type { Factory } from './factory.ts';
import { readBundle } from './line-bundle.ts';
import { lineMark, siteAttribute } from './line-request.ts';
import { requireName } from './name.ts';
import { keyFor } from './records/keys.ts';
import { mandatesOf, theLine } from './records/lines.ts';
import { faultOfMandate } from './records/mandate-check.ts';
import { theRoot } from './records/roots.ts';
import type { FactoryKey, Line } from './records/tables.ts';

/** A line as people are shown it. */
export interface ShownLine {
  readonly name: string;
  readonly site: string | null;
  readonly custodian: string;
  /** SHA-256 of its public key. */
  readonly key_sha256: string;
  /** Of its CA, once the Fleet Root has signed it. */
  readonly ca: { readonly subject: string; readonly sha256: string; readonly not_after: string } | null;
  readonly root: { readonly subject: string; readonly sha256: string; readonly not_after: string } | null;
}

/** A mandate as people are shown it. */
export interface ShownMandate {
  readonly id: string;
  /** `altered`: its record is not what was signed, and nothing is charged to it. */
  readonly state: 'active' | 'exhausted' | 'expired' | 'altered';
  readonly quota: number;
  readonly used: number;
  readonly left: number;
  readonly not_after: string;
  readonly device_id_pattern: string;
  readonly order: string | null;
  readonly received_at: string;
  /** What is wrong with its record. */
  readonly fault: string | null;
}

/** How far the clocks of the root's machine and the line's may differ, in ms. */
const tolerance = 5 * 60 * 1000;

interface Here {
  readonly line: Line;
  readonly key: FactoryKey;
}

async function here({ records }: Factory): Promise<Here> {
  const [line, key] = [await theLine(records.read), await keyFor(records.read, 'line')];
  if (line && key) return { line, key };
  throw new Problem(
    'not_found',
    'There is no line in this directory.',
    '`factory line request --name NAME` makes one.',
  );
}

function shownLine({ line, key }: Here): ShownLine {
  const facts = (der: Uint8Array | null) => {
    if (der === null) return null;
    const { subject, sha256, notAfter } = parseCertificate(der);
    return { subject: subject.text, sha256, not_after: formatInstant(notAfter) };
  };
  return {
    name: line.name,
    site: line.site,
    custodian: key.custodian,
    key_sha256: key.public_key_sha256,
    ca: facts(line.ca_certificate),
    root: facts(line.root_certificate),
  };
}

/** Makes the line and its key. Throws Problem, CustodyProblem. */
async function makeLine(
  { records, keys, config }: Factory,
  { name, site, custodian }: { name: string; site: string | null; custodian: CustodianName | null },
): Promise<Here> {
  if (await theRoot(records.read)) {
    throw new Problem(
      'conflict',
      'The Fleet Root is in this directory, and a line does not sign its own mandate.',
      'Make the line in a directory of its own, where it stands.',
    );
  }
  requireName(name, 'a line');
  if (site !== null) requireName(site, 'a site');
  const made = await keys.create('line', 'p256', custodian ?? config.custody.default);
  const line = await records.write('recordLine', { name, site, key: made });
  return { line, key: (await keyFor(records.read, 'line'))! };
}

/** Throws Problem('certificate_unfit') for what is no Fleet Root. */
function checkRoot(root: Certificate, sha256: string | null): void {
  const { basicConstraints, keyUsage } = root.extensions;
  const signs = keyUsage?.has('keyCertSign') === true && verifySignature(root, root.publicKey);
  if (basicConstraints?.ca !== true || basicConstraints.pathLength === 0 || !signs) {
    throw unfit(`${root.subject.text} is no Fleet Root: no CA that signs itself and may have a CA below it.`);
  }
  if (sha256 !== null && sha256 !== root.sha256) {
    throw unfit(
      `The Fleet Root in this bundle, ${root.subject.text}, has the SHA-256 ${root.sha256}, and not the one that you gave.`,
    );
  }
}

/** Throws Problem('certificate_unfit') for what is not the CA of this line's key under this root. */
function checkCa({ line, key }: Here, ca: Certificate, root: Certificate, now: number): void {
  if (ca.publicKey.sha256 !== key.public_key_sha256 || firstCommonName(ca.subject) !== line.name) {
    throw unfit(`The CA in this bundle, ${ca.subject.text}, is not that of this line, "${line.name}", and its key.`);
  }
  const { basicConstraints, keyUsage } = ca.extensions;
  if (basicConstraints?.ca !== true || basicConstraints.pathLength !== 0 || keyUsage?.has('keyCertSign') !== true) {
    throw unfit(`${ca.subject.text} is no CA that certifies devices and nothing else (pathLen 0).`);
  }
  const anchors = [{ id: 'root', certificate: root }];
  const { failure } = findPaths({ leaf: ca, others: [], anchors, now, tolerance, excluded: new Set() });
  if (failure !== null) throw unfit(failure.rule);
}

function unfit(message: string): Problem {
  return new Problem(
    'certificate_unfit',
    message,
    'Nothing was changed. Take the file that `factory root sign-line` wrote.',
  );
}

/** What was recorded stays: throws Problem('conflict') for another root, or another certificate of the line's CA. */
function checkRecorded({ line }: Here, ca: Certificate, root: Certificate): void {
  if (line.root_certificate === null || line.ca_certificate === null) return;
  if (!root.der.equals(line.root_certificate)) {
    throw new Problem(
      'conflict',
      `The line is under ${parseCertificate(line.root_certificate).subject.text}, and this bundle is of another Fleet Root.`,
      'Another root needs a line of its own: a directory of its own, and `factory line request`.',
    );
  }
  if (!ca.der.equals(line.ca_certificate)) {
    throw new Problem('conflict', `The line has another certificate of its CA already, ${ca.subject.text}.`);
  }
}

/** Throws Problem for a mandate that is not this line's, or has ended. */
async function checkMandate({ line, key }: Here, jws: string, root: Certificate, now: number): Promise<Mandate> {
  const mandate = await readMandate(jws, root.publicKey);
  if (mandate.line !== key.public_key_sha256) {
    throw new Problem('invalid_request', `The mandate is of the line "${mandate.name}", and not of "${line.name}".`);
  }
  if (mandate.notAfter > now) return mandate;
  throw new Problem('invalid_request', `The mandate has ended at ${formatInstant(mandate.notAfter)}.`);
}

export const lineActions = {
  /** Makes the line and its key, once, and gives its request (PEM); from then on a request of the same key again. */
  async requestLine(
    factory: Factory,
    { name, site, custodian }: { name: string; site: string | null; custodian: CustodianName | null },
  ): Promise<{ request: string; line: ShownLine; new_key: boolean }> {
    const known = await theLine(factory.records.read);
    if (known && (known.name !== name || (site !== null && site !== known.site))) {
      const place = known.site === null ? '' : ` at ${known.site}`;
      throw new Problem(
        'conflict',
        `This directory is of the line "${known.name}"${place}.`,
        'Another line has a directory of its own: --data DIR.',
      );
    }
    const made = known ? await here(factory) : await makeLine(factory, { name, site, custodian });
    if (custodian !== null && custodian !== made.key.custodian) {
      throw new Problem('conflict', `The line's key is in ${made.key.custodian}, and it has no second one.`);
    }
    const subject = [{ type: commonName, value: name }];
    if (made.line.site !== null) subject.unshift({ type: siteAttribute, value: made.line.site });
    subject.unshift(lineMark);
    const der = await signCertificationRequest(factory.keys, made.key, subject);
    return { request: encodePem('CERTIFICATE REQUEST', der), line: shownLine(made), new_key: !known };
  },

  /** Takes what the Fleet Root has signed: the CA the first time, and a mandate. All of it, or nothing. Throws Problem. */
  async acceptBundle(
    factory: Factory,
    { bundle, root_sha256 }: { bundle: string; root_sha256: string | null },
  ): Promise<{ line: ShownLine; mandate: ShownMandate }> {
    const { records, clock } = factory;
    const found = await here(factory);
    const { ca, root, mandate: jws } = readBundle(bundle);
    const now = clock();
    checkRoot(root, root_sha256);
    checkRecorded(found, ca, root);
    checkCa(found, ca, root, now);
    const mandate = await checkMandate(found, jws, root, now);
    await records.write('acceptSigned', {
      ca_certificate: new Uint8Array(ca.der),
      root_certificate: new Uint8Array(root.der),
      sha256: ca.sha256,
      root_sha256: root.sha256,
      mandate,
    });
    const shown = (await lineActions.listMandates(factory, {})).find(({ id }) => id === mandate.id)!;
    return { line: shownLine(await here(factory)), mandate: shown };
  },

  showLine: async (factory: Factory, _: object): Promise<ShownLine> => shownLine(await here(factory)),

  async listMandates({ records, clock }: Factory, _: object): Promise<ShownMandate[]> {
    const shown: ShownMandate[] = [];
    for (const row of await mandatesOf(records.read)) {
      const { id, quota, used, not_after, device_id_pattern, order_name: order, received_at } = row;
      const fault = await faultOfMandate(records.read, row);
      shown.push({
        id,
        state: fault !== null ? 'altered' : not_after <= clock() ? 'expired' : used >= quota ? 'exhausted' : 'active',
        quota,
        used,
        left: Math.max(quota - used, 0),
        not_after: formatInstant(not_after),
        device_id_pattern,
        order,
        received_at: formatInstant(received_at),
        fault,
      });
    }
    return shown;
  },
};
