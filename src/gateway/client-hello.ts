// Which host a TLS connection asks for, read from its first bytes before anything is spent on its handshake; pure.

/** What the bytes so far are: a ClientHello, with its server name if it has one; its beginning; or something else. */
export type ClientHello =
  | { readonly kind: 'partial' }
  | { readonly kind: 'whole'; readonly serverName: string | null }
  | { readonly kind: 'other' };

const handshakeRecord = 22;
const recordHeader = 5;
const longestRecord = 16 * 1024;
const clientHello = 1;
const messageHeader = 4;
/** A ClientHello with several post-quantum key shares has 10 KiB; nobody is heard out without end. */
const longestHello = 32 * 1024;
/** Nobody divides it into more; and each time that something comes, all is read anew, by the thread that serves everybody. */
const mostRecords = 64;
const serverNameExtension = 0;
const hostName = 0;

const partial: ClientHello = { kind: 'partial' };
const other: ClientHello = { kind: 'other' };

/**
 * Reads the ClientHello with which a connection begins, as far as it is there (RFC 8446 §4.1.2, §5.1; RFC 6066 §3).
 * It only says in whose turn a connection waits: TLS itself reads all of it once more, and is to say what is wrong with it.
 */
export function readClientHello(bytes: Buffer): ClientHello {
  const message = messageIn(bytes);
  if (!Buffer.isBuffer(message)) return message;
  const fields = new Fields(message);
  // Version and random; session ID, cipher suites, compression methods.
  fields.skip(2 + 32);
  fields.vector(1);
  fields.vector(2);
  fields.vector(1);
  const extensions = new Fields(fields.vector(2));
  while (extensions.left > 0) {
    const type = extensions.number(2);
    const extension = new Fields(extensions.vector(2));
    if (type !== serverNameExtension) continue;
    const names = new Fields(extension.vector(2));
    const nameType = names.number(1);
    const name = names.vector(2).toString('latin1');
    return { kind: 'whole', serverName: nameType === hostName && !names.broken && name !== '' ? name : null };
  }
  return { kind: 'whole', serverName: null };
}

/** The first handshake message, put together from the records that it comes in. */
function messageIn(bytes: Buffer): Buffer | ClientHello {
  const parts: Buffer[] = [];
  let gathered = 0;
  let size: number | null = null;
  for (let at = 0; at < bytes.length;) {
    if (bytes[at] !== handshakeRecord || parts.length === mostRecords) return other;
    if (bytes.length < at + recordHeader) return partial;
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0 || length > longestRecord) return other;
    const part = bytes.subarray(at + recordHeader, at + recordHeader + length);
    parts.push(part);
    gathered += part.length;
    at += recordHeader + length;
    if (size === null && gathered >= messageHeader) {
      const head = Buffer.concat(parts);
      size = head.readUIntBE(1, 3);
      if (head[0] !== clientHello || size > longestHello) return other;
    }
    if (size === null || gathered < messageHeader + size) continue;
    const message = parts.length === 1 ? part : Buffer.concat(parts);
    return message.subarray(messageHeader, messageHeader + size);
  }
  return partial;
}

/** Bytes read one field after the other; past their end, and past the first fault, everything is empty. */
class Fields {
  #bytes: Buffer;
  broken = false;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length;
  }

  skip(size: number): void {
    this.#take(size);
  }

  number(size: 1 | 2): number {
    const bytes = this.#take(size);
    return bytes.length === 0 ? 0 : bytes.readUIntBE(0, size);
  }

  /** What follows its length of so many octets. */
  vector(lengthOctets: 1 | 2): Buffer {
    return this.#take(this.number(lengthOctets));
  }

  #take(size: number): Buffer {
    this.broken ||= size > this.#bytes.length;
    const taken = this.broken ? Buffer.alloc(0) : this.#bytes.subarray(0, size);
    this.#bytes = this.broken ? Buffer.alloc(0) : this.#bytes.subarray(size);
    return taken;
  }
}
