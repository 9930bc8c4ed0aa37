// The headers of every reply: nothing is framed, guessed, kept, or read by a page of another origin.

import helmet from '@fastify/helmet';
import type { FastifyInstance } from 'fastify';
import { isSecure } from './listener.ts';

/** A year, in seconds. */
const year = 365 * 24 * 60 * 60;
const strictTransportSecurity = `max-age=${year}`;
const own = ["'self'"];
const none = ["'none'"];

/** Of a reply to what is no request that a route could have: the hooks below do not see it. */
export const bareHeaders = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
} as const;

/** Gives every reply of the routes that `app` gets from now on its headers. */
export async function strictHeaders(app: FastifyInstance): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: none,
        scriptSrc: own,
        styleSrc: own,
        // Swagger UI's icons are in its style sheet.
        imgSrc: [...own, 'data:'],
        fontSrc: own,
        connectSrc: own,
        formAction: own,
        frameAncestors: none,
        baseUri: none,
      },
    },
    frameguard: { action: 'deny' },
    referrerPolicy: { policy: 'no-referrer' },
    // Below: plain HTTP on loopback must not say so (RFC 6797 §7.2).
    strictTransportSecurity: false,
  });
  app.addHook('onRequest', async ({ raw }, reply) => {
    reply.header('cache-control', 'no-store');
    if (isSecure(raw.socket)) reply.header('strict-transport-security', strictTransportSecurity);
  });
}
