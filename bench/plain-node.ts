// The floor: Node's own `https` server and nothing behind it, run as a program with its options as JSON.

import { readFileSync } from 'node:fs';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { createSecureContext } from 'node:tls';

/** What it is told; each but the reply is a file. */
export interface PlainNodeOptions {
  readonly certificate: string;
  readonly key: string;
  readonly clientCa: string;
  readonly reply: string;
}

const options = JSON.parse(process.argv[2]!) as PlainNodeOptions;
const context = createSecureContext({
  cert: readFileSync(options.certificate),
  key: readFileSync(options.key),
  ca: readFileSync(options.clientCa),
});
const server = https.createServer(
  { requestCert: true, rejectUnauthorized: true, SNICallback: (_name, done) => done(null, context) },
  (_request, response) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(options.reply) };
    response.writeHead(200, headers).end(options.reply);
  },
);
server.listen(0, () => console.log(`ready on port ${(server.address() as AddressInfo).port}`));
