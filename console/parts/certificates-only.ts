// Whether a file can be one of certificates, by how it begins: what is secret stays on the reader's computer. And those in it.

/** What a file is in place of certificates: a private key, or holds one (as a PKCS#12 does), or something else. */
export type NoCertificates = 'key' | 'other';

const [integer, octets, sequence] = [0x02, 0x04, 0x30];

/** Null where it may be certificates, PEM or DER, which the server looks at: it takes files apart in the same way. */
export function noCertificates(bytes: Uint8Array): NoCertificates | null {
  const [first, second = 0] = bytes;
  // A length that no text has there.
  if (first === sequence && second >= 0x80) return ofDer(bytes);
  const text = textOf(bytes);
  const labels = [...text.matchAll(/-----BEGIN ([^-\r\n]*)-----/g)].map(([, label = '']) => label.trim());
  if (labels.some((label) => label.endsWith('PRIVATE KEY'))) return 'key';
  if (labels.length === 0) return ofDer(bytes);
  // Zeros beside the blocks are of something that is no text, such as a key in DER.
  return labels.some((label) => /^(X509 )?CERTIFICATE$/.test(label)) && !text.includes('\0') ? null : 'other';
}

/** The certificates of such a file as PEM, one after the other. */
export function pemOf(bytes: Uint8Array): string {
  const text = textOf(bytes);
  if (text.includes('-----BEGIN ')) return text.replaceAll('X509 CERTIFICATE', 'CERTIFICATE');
  const blocks: string[] = [];
  for (let one, at = 0; at < bytes.length && (one = elementAt(bytes, at)) !== null; at = one.end) {
    blocks.push(`-----BEGIN CERTIFICATE-----\n${bytes.slice(at, one.end).toBase64()}\n-----END CERTIFICATE-----\n`);
  }
  return blocks.join('');
}

/** Windows shells write UTF-16. */
const textOf = (bytes: Uint8Array): string =>
  new TextDecoder(bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : 'latin1').decode(bytes);

/** Certificates end to end: each a SEQUENCE of a SEQUENCE, another one and a BIT STRING (RFC 5280 §4.1). */
function ofDer(bytes: Uint8Array): NoCertificates | null {
  let at = 0;
  while (at < bytes.length) {
    const one = elementAt(bytes, at);
    if (one?.tag !== sequence) return 'other';
    const first = elementAt(bytes, one.content);
    // PKCS#8, PKCS#1, SEC 1 and PKCS#12 begin with their version.
    if (first?.tag === integer) return 'key';
    if (first?.tag !== sequence) return 'other';
    const second = elementAt(bytes, first.end)?.tag;
    // An encrypted PKCS#8 is an algorithm and octets (RFC 5958 §3).
    if (second === octets) return 'key';
    if (second !== sequence) return 'other';
    at = one.end;
  }
  return at === 0 ? 'other' : null;
}

/** The element of DER that begins somewhere: its tag, where its content begins, and where it ends (X.690 §8.1). */
function elementAt(bytes: Uint8Array, at: number): { tag: number; content: number; end: number } | null {
  const [tag, first] = bytes.subarray(at, at + 2);
  if (tag === undefined || first === undefined) return null;
  const octetsOfLength = first < 0x80 ? 0 : first & 0x7f;
  const content = at + 2 + octetsOfLength;
  const length = first < 0x80 ? first : bytes.subarray(at + 2, content).reduce((sum, octet) => sum * 256 + octet, 0);
  return { tag, content, end: content + length };
}
