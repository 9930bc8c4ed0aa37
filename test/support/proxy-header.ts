// What load balancers say before a client's bytes, made as proxy-protocol.txt has it and by nothing of the server's.

/** The first twelve octets of version 2 (§2.2). */
const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** A header of version 2 of any content. */
export function binaryHeader({
  versionAndCommand = 0x21,
  family = 0x11,
  content = Buffer.alloc(0),
}: {
  versionAndCommand?: number;
  family?: number;
  content?: Uint8Array;
}): Buffer {
  const fixed = Buffer.alloc(4);
  fixed.writeUInt8(versionAndCommand, 0);
  fixed.writeUInt8(family, 1);
  fixed.writeUInt16BE(content.length, 2);
  return Buffer.concat([signature, fixed, content]);
}

/** One of a connection from one IPv4 address to another, with what else its balancer says (TLVs). */
export function headerOf(from: string, to: string, more: Uint8Array = Buffer.alloc(0)): Buffer {
  const ports = Buffer.from([0x9c, 0x40, 0x01, 0xbb]);
  return binaryHeader({ content: Buffer.concat([octetsOf(from), octetsOf(to), ports, more]) });
}

function octetsOf(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}

/** One of a connection that the balancer makes for itself. */
export const localHeader = binaryHeader({ versionAndCommand: 0x20, family: 0 });

/** A TLV (§2.2). */
export function tlv(type: number, value: Uint8Array): Buffer {
  const head = Buffer.alloc(3);
  head.writeUInt8(type, 0);
  head.writeUInt16BE(value.length, 1);
  return Buffer.concat([head, value]);
}
