// The web console: what `scripts/install-dependencies` built of console/, as files that never change and one page that names them.

import { randomBytes } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { Problem } from '../problem.ts';
import { rule } from './rule.ts';
import type { Api } from './typed-api.ts';

const built = join(import.meta.dirname, '../../console/dist');

const types: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
/** How a part may lie there, the best first, by what a browser takes (RFC 9110 §12.5.3). */
const codings = [
  ['br', '.br'],
  ['gzip', '.gz'],
] as const;

/** They are no part of the API, so its description has none of them. */
const schema = { hide: true };
/** Filters live in the query of an address, which the console itself reads. */
const ofPage = { ...schema, querystring: Type.Record(Type.String(), Type.Unknown()) };

/** The addresses of its pages: which page is shown, the console reads from the address by itself. */
const pages = {
  getConsole: '/',
  getConsoleOfFirstAdministrator: '/first-administrator',
  getConsoleOfInvitation: '/invitation',
  getConsoleOfFirstDevice: '/welcome/*',
  getConsoleOfAccounts: '/accounts',
  getConsoleOfAccount: '/accounts/*',
  getConsoleOfServer: '/server/*',
  getConsoleOfOwnLogin: '/me',
} as const;

const notBuilt = `<!doctype html>
<html lang="en">
  <head><meta charset="utf-8"><title>Fleetroot</title></head>
  <body><p>The console is not built: run scripts/install-dependencies, and start the server again.</p></body>
</html>
`;

/** Whether a browser takes a content coding: it names it, and not with a quality of 0 (RFC 9110 §12.5.3). */
function accepts({ 'accept-encoding': accepted = '' }: FastifyRequest['headers'], coding: string): boolean {
  return accepted
    .split(',')
    .map((each) => each.toLowerCase().split(';'))
    .some(([name = '', quality = '']) => name.trim() === coding && !/^\s*q=0(?:\.0*)?\s*$/.test(quality));
}

/** Adds the routes of the console. What is built anew while the server runs is shown after its next start. */
export function consoleRoutes(api: Api): void {
  const parts = new Map(
    globSync('{icon-*.svg,assets/*}', { cwd: built }).map((file) => [
      file.split('/').at(-1)!,
      readFileSync(join(built, file)),
    ]),
  );
  const page =
    globSync('index.html', { cwd: built }).map((file) => readFileSync(join(built, file), 'utf8'))[0] ?? notBuilt;

  const show = async (_request: FastifyRequest, reply: FastifyReply) => {
    // Of each reply its own, so that no style sheet but the console's can be put into it (CSP Level 3 §8.1).
    const nonce = randomBytes(16).toString('base64');
    const policy = String(reply.getHeader('content-security-policy'));
    return reply
      .header('content-security-policy', policy.replace("style-src 'self'", `style-src 'self' 'nonce-${nonce}'`))
      .type('text/html; charset=utf-8')
      .send(page.replaceAll('__CSP_NONCE__', nonce));
  };
  for (const [operationId, url] of Object.entries(pages))
    api.get(url, { ...rule(operationId, 'anyone'), schema: ofPage }, show);

  api.get(
    '/assets/:part',
    {
      ...rule('getConsolePart', 'anyone'),
      schema: { ...schema, params: Type.Object({ part: Type.String({ maxLength: 200 }) }) },
    },
    async ({ params: { part }, headers }, reply) => {
      const type = types[extname(part)];
      const plain = parts.get(part);
      if (type === undefined || plain === undefined) {
        throw new Problem('not_found', 'The console has no such part.', 'It was built anew: load the page again.');
      }
      const coding = codings.find(([name, ending]) => accepts(headers, name) && parts.has(part + ending));
      if (coding) void reply.header('content-encoding', coding[0]);
      return (
        reply
          .type(type)
          .header('vary', 'accept-encoding')
          // Its name has the hash of what it holds.
          .header('cache-control', 'public, max-age=31536000, immutable')
          .send(coding ? parts.get(part + coding[1]) : plain)
      );
    },
  );
}
