// PEM (RFC 7468) as people really have it: text around it, odd white space, any line length.

import { tags } from './der.ts';

/** One block. `bytes` is null where its inside is not base64, or its end is missing. */
export interface PemBlock {
  readonly label: string;
  readonly bytes: Buffer | null;
}

const begin = '-----BEGIN ';
const dashes = '-----';

/**
 * Finds the PEM blocks in a text, in order, in one pass. A block without its own END line ends where the next one
 * begins. Never throws.
 */
export function pemBlocks(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  let start = text.indexOf(begin);
  while (start !== -1) {
    const next = text.indexOf(begin, start + begin.length);
    const block = text.slice(start + begin.length, next === -1 ? text.length : next);
    const labelEnd = block.indexOf(dashes);
    const label = labelEnd === -1 ? '' : block.slice(0, labelEnd);
    if (/^[A-Z0-9 ]{1,64}$/.test(label)) {
      const end = block.indexOf(`-----END ${label}-----`, labelEnd);
      blocks.push({ label, bytes: end === -1 ? null : decodeBase64(block.slice(labelEnd + dashes.length, end)) });
    }
    start = next;
  }
  return blocks;
}

/** Writes one block: 64 columns, a newline at the end (RFC 7468 §2). */
export function encodePem(label: string, bytes: Uint8Array): string {
  return `-----BEGIN ${label}-----\n${base64Lines(bytes)}-----END ${label}-----\n`;
}

/** Base64 in lines of 64 columns, each with a line feed at its end. */
export function base64Lines(bytes: Uint8Array): string {
  const base64 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
  return base64.replace(/.{1,64}/g, '$&\n');
}

/** The octets of base64 with any white space in it, or null: Buffer.from would skip what is none. */
export function decodeBase64(text: string): Buffer | null {
  const digits = text.replace(/\s+/g, '');
  return digits.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(digits) ? Buffer.from(digits, 'base64') : null;
}

/**
 * Whether a file is DER and not text. DER begins with 30, which is the digit 0 in a text; most are too long for a length
 * below 80 after it.
 */
export function isDerFile(file: Buffer): boolean {
  return file[0] === tags.sequence && ((file[1] ?? 0) >= 0x80 || !file.includes(begin));
}

/** The text of a file: UTF-8 or what contains it, or the UTF-16 that Windows shells write (FF FE at its start). */
export function textOfFile(file: Buffer): string {
  return file[0] === 0xff && file[1] === 0xfe ? file.toString('utf16le') : file.toString('latin1');
}
