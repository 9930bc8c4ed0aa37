// A device of the story: one mutual-TLS connection for each call, as real clients make them.

import https from 'node:https';

/** The gateway as credentials.zip describes it. */
export interface Trusted {
  readonly host: string;
  readonly port: number;
  /** PEM: what the device pins. */
  readonly ca: string | Buffer;
}

export interface GatewayAnswer {
  readonly status: number;
  readonly body: Buffer;
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>> | null;
}

/** What a device shows: a PKCS#12 with an empty password, or a certificate with its key. */
export type ShownCredentials = { readonly pfx?: Buffer | undefined; readonly cert?: string; readonly key?: string };

/** Calls the gateway on this machine. Rejects where no answer comes. */
export function askGateway(
  { host, port, ca }: Trusted,
  { pfx, cert, key }: ShownCredentials,
  method: string,
  path: string,
  body?: string,
): Promise<GatewayAnswer> {
  const credentials = pfx ? { pfx, passphrase: '' } : { cert, key };
  return new Promise((resolve, reject) => {
    const request = https.request({
      ...credentials,
      // Names under .localhost are this machine by definition (RFC 6761 §6.3), but not every resolver knows.
      host: '127.0.0.1',
      servername: host,
      port,
      ca,
      method,
      path,
      agent: false,
      headers: { host: `${host}:${port}`, ...(body ? { 'content-type': 'application/json' } : {}) },
    });
    request.once('error', reject);
    request.once('response', (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.once('error', reject);
      response.once('end', () => {
        const bytes = Buffer.concat(parts);
        const isJson = response.headers['content-type'] === 'application/json';
        const text = isJson ? bytes.toString('utf8') : `${bytes.length} bytes`;
        resolve({ status: response.statusCode ?? 0, body: bytes, text, json: isJson ? JSON.parse(text) : null });
      });
    });
    request.end(body);
  });
}
