// What a request may hold before anybody looks at what it means: how deep its JSON is, and which queries it has.

import type { FastifyInstance } from 'fastify';
import { Problem } from '../problem.ts';

/** How deep JSON may be nested: no body of the API needs more than a handful. */
const deepest = 32;

/** Has `app` take JSON in bounds, and no query that its route does not name. To be called before the routes are added. */
export function boundInput(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, text, done) => {
    const depth = depthOf(text);
    if (depth > deepest) {
      done(new Problem('invalid_request', `The body is nested more than ${deepest} levels deep.`));
    } else {
      void parse(request, text, done);
    }
  });

  app.addHook('preValidation', async ({ query, routeOptions }) => {
    const { properties = {}, patternProperties } = (routeOptions.schema?.querystring ?? {}) as {
      properties?: object;
      patternProperties?: object;
    };
    if (patternProperties !== undefined || routeOptions.config.operationId === undefined) return;
    const unknown = Object.keys(query as object).filter((name) => !Object.hasOwn(properties, name));
    if (unknown.length === 0) return;
    throw new Problem('invalid_request', `The query takes no ${unknown.join(', ')}.`);
  });
}

/** How deep the brackets of a JSON text are nested; what stands in its strings is none of them. */
function depthOf(text: string): number {
  let [depth, most, inString] = [0, 0, false];
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (inString) {
      if (code === backslash) at += 1;
      else if (code === quote) inString = false;
    } else if (code === quote) {
      inString = true;
    } else if (code === openBrace || code === openBracket) {
      depth += 1;
      if (depth > most) most = depth;
    } else if (code === closeBrace || code === closeBracket) {
      depth -= 1;
    }
  }
  return most;
}

const [quote, backslash] = [0x22, 0x5c];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];
