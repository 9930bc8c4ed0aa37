// An ECDSA signature as HSMs give it, made into the DER that certificates carry.

/**
 * The DER of RFC 3279 §2.2.3, `SEQUENCE { r INTEGER, s INTEGER }`, of r ‖ s, two numbers of the same length (PKCS #11
 * v2.40 Mechanisms §2.3.1). For curves up to 384 bits, whose SEQUENCE has a short length (X.690 §8.1.3.4).
 */
export function ecdsaSignature(raw: Uint8Array): Buffer {
  const half = raw.length / 2;
  if (!Number.isInteger(half) || half === 0 || half > 48) throw new RangeError(`${raw.length} octets are no r and s`);
  const body = Buffer.concat([integer(raw.subarray(0, half)), integer(raw.subarray(half))]);
  return Buffer.concat([Buffer.of(0x30, body.length), body]);
}

/** As few octets as there can be, and one more of zero where the first would look like a sign (X.690 §8.3.2). */
function integer(number: Uint8Array): Buffer {
  let start = 0;
  while (start < number.length - 1 && number[start] === 0) start += 1;
  const digits = number.subarray(start);
  const padding = digits[0]! >= 0x80 ? [0] : [];
  return Buffer.concat([Buffer.of(0x02, digits.length + padding.length, ...padding), digits]);
}
