// What a token looks like: a prefix and a checksum by which scanners find one that was put where it should not be.

import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Secret } from '../secret.ts';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const prefix = 'frt_';
/** 62^43 is just beyond 2^256. */
const randomLength = 43;
/** 62^6 is beyond 2^32. */
const checksumLength = 6;
const form = new RegExp(`^${prefix}([0-9A-Za-z]{${randomLength}})([0-9A-Za-z]{${checksumLength}})$`);

/** A new token: `frt_`, 256 random bits in base 62, and the CRC-32 of those 43 characters in base 62. */
export function newTokenText(): Secret {
  const random = inBase62(BigInt(`0x${randomBytes(32).toString('hex')}`), randomLength);
  return Secret.fromText(prefix + random + checksumOf(random));
}

/** Whether a text has the form of a token and its checksum is right: one that does not was never made here. */
export function isTokenText(text: string): boolean {
  const [, random, checksum] = form.exec(text) ?? [];
  return random !== undefined && checksum === checksumOf(random);
}

const checksumOf = (random: string): string => inBase62(BigInt(crc32(random)), checksumLength);

/** A number in base 62, the most significant digit first. */
function inBase62(number: bigint, length: number): string {
  const digits: string[] = [];
  for (let left = number; digits.length < length; left /= 62n) digits.unshift(alphabet[Number(left % 62n)]!);
  return digits.join('');
}
