// The request that devices make most, `GET /device`, read from its bytes where they are nothing but that; pure.

/** What it says beside its name. */
export interface PlainRequest {
  /** The host that its one Host field names, without a port. */
  readonly host: string;
  /** Whether it is the last of its connection. */
  readonly last: boolean;
}

const beginning = 'GET /device HTTP/1.1\r\n';
const longest = 2048;
/** A field whose value is printable ASCII without white space around it but the one after the colon. */
const field = /([A-Za-z-]+): ([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)\r\n/y;
/** A host name in lower case or an IPv4 address, and a port. */
const hostAndPort = /^([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::\d{1,5})?$/;
/** They change nothing of the reply. */
const idle: ReadonlySet<string> = new Set(['user-agent', 'accept', 'accept-encoding', 'accept-language']);

/**
 * Reads a whole `GET /device` that has one Host field and no others but those which change nothing. Null for everything
 * else, be it another request, a part of one, more than one, or the same written in any other way: that is HTTP's to read
 * (RFC 9112), and to refuse.
 */
export function readPlainRequest(bytes: Buffer): PlainRequest | null {
  if (bytes.length > longest) return null;
  const text = bytes.toString('latin1');
  if (!text.startsWith(beginning)) return null;
  let host: string | null = null;
  let connection: string | null = null;
  let at = beginning.length;
  while (!text.startsWith('\r\n', at)) {
    field.lastIndex = at;
    const match = field.exec(text);
    if (match === null) return null;
    at = field.lastIndex;
    const [, name = '', value = ''] = match;
    switch (name.toLowerCase()) {
      case 'host':
        if (host !== null) return null;
        host = hostAndPort.exec(value)?.[1] ?? null;
        if (host === null) return null;
        break;
      case 'connection':
        if (connection !== null) return null;
        connection = value.toLowerCase();
        if (connection !== 'keep-alive' && connection !== 'close') return null;
        break;
      default:
        if (!idle.has(name.toLowerCase())) return null;
    }
  }
  if (at + 2 !== text.length || host === null) return null;
  return { host, last: connection === 'close' };
}
