// What a certificate says (RFC 5280), read in the browser. What reads DER is loaded when the first is shown.

import type { AttributeValue, Certificate, Name } from '@peculiar/asn1-x509';
import { texts } from '../texts.ts';

/** A certificate's fields, as people read them. */
export interface CertificateFields {
  readonly pem: string;
  /** Distinguished names as the server says them, the last part first: `CN=pump-17,O=ACME`. */
  readonly subject: string;
  readonly issuer: string;
  /** Hex, as `openssl x509 -serial` has it, in lower case. */
  readonly serial: string;
  readonly notBefore: string;
  readonly notAfter: string;
  /** Such as `EC P-256` or `RSA 2048`. */
  readonly key: string;
  readonly signature: string;
  /** Names of bits, such as `digitalSignature`; null where the certificate has no key usage. */
  readonly keyUsage: readonly string[] | null;
  readonly extendedKeyUsage: readonly string[] | null;
  /** Such as `DNS:pump-17.acme.example`. */
  readonly alternativeNames: readonly string[];
  readonly ca: boolean;
  /** How many intermediates may follow; null for any number. */
  readonly pathLength: number | null;
  /** SHA-256, in lower-case hex. */
  readonly sha256: string;
  readonly publicKeySha256: string;
  /** What paths are found by: names in DER and key identifiers, as hex. */
  readonly subjectDer: string;
  readonly issuerDer: string;
  readonly subjectKeyId: string | null;
  readonly authorityKeyId: string | null;
}

const attributes: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.4': 'SN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'street',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.5.4.12': 'title',
  '2.5.4.42': 'GN',
  '2.5.4.46': 'dnQualifier',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
  '1.2.840.113549.1.9.1': 'emailAddress',
};

const algorithms: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.1': 'RSA',
  '1.2.840.10045.2.1': 'EC',
  '1.3.101.112': 'Ed25519',
  '1.3.101.113': 'Ed448',
  '1.2.840.113549.1.1.5': texts.certificate.with('RSA', 'SHA-1'),
  '1.2.840.113549.1.1.11': texts.certificate.with('RSA', 'SHA-256'),
  '1.2.840.113549.1.1.12': texts.certificate.with('RSA', 'SHA-384'),
  '1.2.840.113549.1.1.13': texts.certificate.with('RSA', 'SHA-512'),
  '1.2.840.113549.1.1.10': 'RSA-PSS',
  '1.2.840.10045.4.1': texts.certificate.with('ECDSA', 'SHA-1'),
  '1.2.840.10045.4.3.2': texts.certificate.with('ECDSA', 'SHA-256'),
  '1.2.840.10045.4.3.3': texts.certificate.with('ECDSA', 'SHA-384'),
  '1.2.840.10045.4.3.4': texts.certificate.with('ECDSA', 'SHA-512'),
};

/** Named curves by the DER of their OIDs (RFC 5480 §2.1.1.1). */
const curves: Readonly<Record<string, string>> = {
  '06082a8648ce3d030107': 'P-256',
  '06052b81040022': 'P-384',
  '06052b81040023': 'P-521',
};

const purposes: Readonly<Record<string, string>> = {
  '2.5.29.37.0': 'anyExtendedKeyUsage',
  '1.3.6.1.5.5.7.3.1': 'serverAuth',
  '1.3.6.1.5.5.7.3.2': 'clientAuth',
  '1.3.6.1.5.5.7.3.3': 'codeSigning',
  '1.3.6.1.5.5.7.3.4': 'emailProtection',
  '1.3.6.1.5.5.7.3.8': 'timeStamping',
  '1.3.6.1.5.5.7.3.9': 'OCSPSigning',
};

const hex = (bytes: ArrayBuffer): string => new Uint8Array(bytes).toHex();
const sha256 = async (bytes: ArrayBuffer | Uint8Array<ArrayBuffer>): Promise<string> =>
  hex(await crypto.subtle.digest('SHA-256', bytes));

/** The certificates of a PEM text, in its order. Rejects where one cannot be read. */
export async function readCertificates(pem: string): Promise<CertificateFields[]> {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return Promise.all(blocks.map((block) => readCertificate(block)));
}

async function readCertificate(pem: string): Promise<CertificateFields> {
  const [{ AsnConvert }, x509] = await Promise.all([import('@peculiar/asn1-schema'), import('@peculiar/asn1-x509')]);
  const der = Uint8Array.fromBase64(pem.replaceAll(/-----[^-]+-----/g, ''));
  const certificate = AsnConvert.parse(der, x509.Certificate);
  const { subject, issuer, serialNumber, validity, subjectPublicKeyInfo, extensions = [] } = certificate.tbsCertificate;
  const extension = <T>(oid: string, type: new () => T): T | null => {
    const found = extensions.find(({ extnID }) => extnID === oid);
    return found ? AsnConvert.parse(found.extnValue, type) : null;
  };
  const constraints = extension(x509.id_ce_basicConstraints, x509.BasicConstraints);
  const keyUsage = extension(x509.id_ce_keyUsage, x509.KeyUsage);
  const extended = extension(x509.id_ce_extKeyUsage, x509.ExtendedKeyUsage);
  const names = extension(x509.id_ce_subjectAltName, x509.SubjectAlternativeName);
  const subjectKeyId = extension(x509.id_ce_subjectKeyIdentifier, x509.SubjectKeyIdentifier);
  const authorityKeyId = extension(x509.id_ce_authorityKeyIdentifier, x509.AuthorityKeyIdentifier)?.keyIdentifier;
  const [fingerprint, keyFingerprint] = await Promise.all([
    sha256(der),
    sha256(AsnConvert.serialize(subjectPublicKeyInfo)),
  ]);
  return {
    pem: `${pem}\n`,
    subject: saidName(subject),
    issuer: saidName(issuer),
    serial: hex(serialNumber).replace(/^(00)+(?=..)/, ''),
    notBefore: validity.notBefore.getTime().toISOString(),
    notAfter: validity.notAfter.getTime().toISOString(),
    key: saidKey(certificate),
    signature: saidAlgorithm(certificate.signatureAlgorithm.algorithm),
    keyUsage: keyUsage && keyUsage.toJSON(),
    extendedKeyUsage: extended && [...extended].map((oid) => purposes[oid] ?? oid),
    alternativeNames: [...(names ?? [])].flatMap(
      ({ dNSName, iPAddress, uniformResourceIdentifier, rfc822Name, directoryName }) =>
        [
          dNSName && `DNS:${seen(dNSName)}`,
          iPAddress && `IP:${seen(iPAddress)}`,
          uniformResourceIdentifier && `URI:${seen(uniformResourceIdentifier)}`,
          rfc822Name && `email:${seen(rfc822Name)}`,
          directoryName && `DirName:${saidName(directoryName)}`,
        ].filter((name): name is string => Boolean(name)),
    ),
    ca: constraints?.cA ?? false,
    pathLength: constraints?.pathLenConstraint ?? null,
    sha256: fingerprint,
    publicKeySha256: keyFingerprint,
    subjectDer: hex(AsnConvert.serialize(subject)),
    issuerDer: hex(AsnConvert.serialize(issuer)),
    subjectKeyId: subjectKeyId && hex(subjectKeyId.buffer),
    authorityKeyId: authorityKeyId ? hex(authorityKeyId.buffer) : null,
  };
}

/** What is invisible or turns the direction of the text, by its code point. */
const seen = (text: string): string =>
  text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);

/** As the server has it (src/x509/name.ts, RFC 4514 §2): no value can pass for several parts. A value that is no text is its DER. */
function saidName(name: Name): string {
  const said = (value: AttributeValue): string =>
    value.anyValue ? `#${hex(value.anyValue)}` : seen(value.toString().replaceAll(/[\\",+;<>=]|^[ #]| $/g, '\\$&'));
  return [...name]
    .map((part) => [...part].map(({ type, value }) => `${attributes[type] ?? type}=${said(value)}`).join('+'))
    .toReversed()
    .join(',');
}

const saidAlgorithm = (oid: string): string => algorithms[oid] ?? oid;

function saidKey({ tbsCertificate: { subjectPublicKeyInfo } }: Certificate): string {
  const { algorithm, subjectPublicKey } = subjectPublicKeyInfo;
  const name = saidAlgorithm(algorithm.algorithm);
  if (name === 'RSA') return `RSA ${modulusBits(new Uint8Array(subjectPublicKey))}`;
  if (name !== 'EC' || !algorithm.parameters) return name;
  return `EC ${curves[hex(algorithm.parameters)] ?? texts.certificate.otherCurve}`;
}

/** The length of an RSA key (RFC 8017 §A.1.1): SEQUENCE { INTEGER n, INTEGER e }. */
function modulusBits(der: Uint8Array): number {
  const [, modulusAt] = lengthAt(der, 1);
  const [length, at] = lengthAt(der, modulusAt + 1);
  // A zero before it keeps the number positive.
  const zeros = der[at] === 0 ? 1 : 0;
  return (length - zeros) * 8 - Math.clz32(der[at + zeros] ?? 0) + 24;
}

/** A length in DER, and where what it measures begins (X.690 §8.1.3). */
function lengthAt(der: Uint8Array, at: number): [length: number, content: number] {
  const first = der[at] ?? 0;
  if (first < 0x80) return [first, at + 1];
  const octets = first & 0x7f;
  return [der.slice(at + 1, at + 1 + octets).reduce((sum, octet) => sum * 256 + octet, 0), at + 1 + octets];
}

/**
 * The path from `leaf` up to a certificate that is signed by itself, of those that are known: by names and key identifiers,
 * as a client looks for it (RFC 4158 §2). It ends where the next is not known. Signatures are the server's to check.
 */
export function certificatePath(leaf: CertificateFields, known: readonly CertificateFields[]): CertificateFields[] {
  const path = [leaf];
  for (;;) {
    const last = path.at(-1)!;
    if (last.subjectDer === last.issuerDer) return path;
    const issuer = known.find(
      (each) =>
        each.subjectDer === last.issuerDer &&
        (last.authorityKeyId === null || each.subjectKeyId === null || last.authorityKeyId === each.subjectKeyId) &&
        !path.includes(each),
    );
    if (issuer === undefined) return path;
    path.push(issuer);
  }
}
