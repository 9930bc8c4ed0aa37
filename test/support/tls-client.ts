// A client over libssl, compiled when first needed: it resumes, renegotiates and listens as Node's client cannot.

import { join } from 'node:path';
import type { Credentials } from './pki.ts';
import { execute, succeed, temporaryDirectory } from './process.ts';

/** How a connection is made; what is left out is not sent. */
export interface Attack {
  readonly port: number;
  readonly address?: string | undefined;
  readonly sni?: string | undefined;
  readonly tls?: '1.2' | '1.3' | undefined;
  readonly as?: Credentials | null;
  /** Files of TLS sessions: one that is offered, one that is kept. */
  readonly sessionIn?: string;
  readonly sessionOut?: string;
  /** As whom the connection is negotiated once more, after its first handshake: with nobody's certificate where null. */
  readonly thenAs?: Credentials | null;
  /** What is sent after the handshake. */
  readonly send?: string | Uint8Array;
  /** The host that its second ClientHello names, for which it gives the server a reason to ask; none where empty. */
  readonly retrySni?: string;
  /** Reads nothing before all is written, as simple clients do. */
  readonly readLast?: boolean;
}

/** What became of it. */
export interface Sequel {
  /** Null where the handshake failed. */
  readonly handshake: { readonly version: string; readonly resumed: boolean; readonly caNames: number } | null;
  /** `done`, or why not; null where none was tried. */
  readonly renegotiation: string | null;
  /** Everything that the server sent. */
  readonly received: string;
  /** Status and JSON of the first reply in it; null where there is none that is whole. */
  readonly reply: { readonly status: number; readonly json: any } | null;
  /** `in order`, or how else the connection ended; null where the handshake or the renegotiation failed. */
  readonly end: string | null;
  /** Whether the server took all that the client had to say. */
  readonly sentAll: boolean;
  /** All that the client said about it. */
  readonly told: string;
}

/** The compiled client; it goes away when disposed of. */
export class TlsClient implements AsyncDisposable {
  readonly #directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  readonly #program: string;

  private constructor(directory: Awaited<ReturnType<typeof temporaryDirectory>>, program: string) {
    this.#directory = directory;
    this.#program = program;
  }

  static async build(): Promise<TlsClient> {
    const directory = await temporaryDirectory();
    const program = directory.file('tls-client');
    await succeed('cc', ['-O1', '-o', program, join(import.meta.dirname, 'tls-client.c'), '-lssl', '-lcrypto']);
    return new TlsClient(directory, program);
  }

  /** A file of its own, for a session. */
  file(name: string): string {
    return this.#directory.file(name);
  }

  /** Connects, sends, and listens until the server ends the connection. */
  async run({
    port,
    address,
    sni,
    tls,
    as,
    sessionIn,
    sessionOut,
    thenAs,
    send,
    retrySni,
    readLast,
  }: Attack): Promise<Sequel> {
    const sessions = { 'session-in': sessionIn, 'session-out': sessionOut };
    const given = { address, sni, 'retry-sni': retrySni, tls, ...sessions, ...named(as, '') };
    const words = Object.entries({ ...given, ...named(thenAs, 'then-') }).flatMap(([name, value]) =>
      value === undefined ? [] : [`-${name}`, value],
    );
    if (thenAs !== undefined) words.push('-renegotiate', '');
    if (readLast) words.push('-read-last', '');
    const { bytes, stderr } = await execute(this.#program, [String(port), ...words], { input: send });
    const received = bytes.toString('latin1');
    const [, version, how, caNames] = /^handshake: (\S+), (\w+), (\d+) CA names$/m.exec(stderr) ?? [];
    return {
      handshake: version === undefined ? null : { version, resumed: how === 'resumed', caNames: Number(caNames) },
      renegotiation: /^renegotiation: (.*)$/m.exec(stderr)?.[1] ?? null,
      received,
      reply: firstReply(received),
      end: /^end: (.*)$/m.exec(stderr)?.[1] ?? null,
      sentAll: /^sent: all$/m.test(stderr),
      told: stderr,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#directory[Symbol.asyncDispose]();
  }
}

function named(credentials: Credentials | null | undefined, prefix: string): Record<string, string> {
  return credentials ? { [`${prefix}certificate`]: credentials.certificate, [`${prefix}key`]: credentials.key } : {};
}

function firstReply(received: string): Sequel['reply'] {
  const [, status, length] = /^HTTP\/1\.1 (\d+) [^]*?^content-length: *(\d+)/im.exec(received) ?? [];
  const start = received.indexOf('\r\n\r\n') + 4;
  const body = received.slice(start, start + Number(length));
  return body.length === Number(length) && start > 3 ? { status: Number(status), json: jsonOf(body) } : null;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
