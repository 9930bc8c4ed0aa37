// The API's own description: the OpenAPI document, and a page to browse it with.

import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Type } from 'typebox';
import { rule } from './rule.ts';
import type { Api } from './typed-api.ts';

/** The page's parts that come with Swagger UI, and their types: nothing else is read. */
const parts = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
} as const;
const partNames = Object.keys(parts) as (keyof typeof parts)[];

/** It asks nobody else: no validator's badge, no fonts. */
const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Fleetroot: the operators' API</title>
    <link rel="stylesheet" href="/api/v1/docs/swagger-ui.css">
    <link rel="icon" type="image/png" href="/api/v1/docs/favicon-32x32.png">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="/api/v1/docs/swagger-ui-bundle.js"></script>
    <script src="/api/v1/docs.js"></script>
  </body>
</html>
`;

const script = `SwaggerUIBundle({
  url: '/api/v1/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  validatorUrl: null,
});
`;

/** Adds the routes of the description. */
export function descriptionRoutes(api: Api): void {
  api.get('/openapi.json', rule('getOpenApi', 'anyone'), () => api.openApi());

  api.get('/docs', rule('getApiPage', 'anyone'), async (_request, reply) =>
    reply.type('text/html; charset=utf-8').send(page),
  );

  api.get('/docs.js', rule('getApiPageScript', 'anyone'), async (_request, reply) =>
    reply.type('text/javascript; charset=utf-8').send(script),
  );

  const folder = join(dirname(fileURLToPath(import.meta.resolve('@fastify/swagger-ui'))), 'static');
  api.get(
    '/docs/:part',
    {
      ...rule('getApiPagePart', 'anyone'),
      schema: { params: Type.Object({ part: Type.Enum(partNames) }) },
    },
    async ({ params: { part } }, reply) =>
      reply
        .type(parts[part])
        .header('cache-control', 'max-age=3600')
        .send(await readFile(join(folder, part))),
  );
}
