// A back end that answers everything with the same reply, as a program: what the gateway and nginx pass requests on to.

import http from 'node:http';
import type { AddressInfo } from 'node:net';

const reply = process.argv[2]!;
const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(reply) };
const server = http.createServer({ keepAliveTimeout: 60_000 }, (_request, response) => {
  response.writeHead(200, headers).end(reply);
});
server.listen(0, '127.0.0.1', () => console.log(`ready on port ${(server.address() as AddressInfo).port}`));
