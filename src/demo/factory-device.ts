// A device of the story at the end of its line: a key that it made itself, and the request that it sends.

import { generateKeyPairSync, sign } from 'node:crypto';
import https from 'node:https';
import * as der from '../x509/der-write.ts';
import { commonName, encodeName } from '../x509/name.ts';
import { encodePem } from '../x509/pem.ts';

/** What a device has before anybody has signed for it. PEM. */
export interface NewDevice {
  readonly deviceId: string;
  readonly key: string;
  readonly publicKey: string;
  /** PKCS#10. */
  readonly request: string;
}

/** Makes a device: what an HSM in it would do, done by Node here. */
export function makeDevice(deviceId: string): NewDevice {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const info = der.sequence(
    der.integer(0),
    encodeName([{ type: commonName, value: deviceId }]),
    publicKey.export({ type: 'spki', format: 'der' }),
    der.implicit(0, Buffer.alloc(0), true),
  );
  const algorithm = der.sequence(der.oid('1.2.840.10045.4.3.2'));
  const request = der.sequence(info, algorithm, der.bitString(sign('sha256', info, privateKey)));
  return {
    deviceId,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }),
    request: encodePem('CERTIFICATE REQUEST', request),
  };
}

/** The line's service as a station knows it, and how it shows itself there. PEM. */
export interface StationAccess {
  readonly port: number;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Sends a request to POST /sign, on a connection of its own. Rejects where no answer comes. */
export function askToSign(
  { port, ...credentials }: StationAccess,
  { request }: NewDevice,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const options = { ...credentials, host: '127.0.0.1', servername: 'localhost', port, agent: false };
    const asked = https.request({ ...options, path: '/sign', method: 'POST' }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      response.once('error', reject).once('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asked.setHeader('content-type', 'application/pkcs10');
    asked.once('error', reject).end(request);
  });
}
