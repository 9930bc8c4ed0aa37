// The OpenAPI 3.1 document of the operators' API, drawn from its routes: their schemas, their rules, their names.

import fastify, { type FastifyInstance, type FastifySchema, type RouteOptions } from 'fastify';
import { type TObject, Type } from 'typebox';
import { programVersion } from '../version.ts';
import * as auditSchemas from './audit-schemas.ts';
import * as eventSchemas from './event-schemas.ts';
import * as fleetSchemas from './fleet-schemas.ts';
import * as impactSchemas from './impact-schemas.ts';
import * as keySchemas from './key-schemas.ts';
import * as loginSchemas from './login-schemas.ts';
import * as memberSchemas from './member-schemas.ts';
import { compilersFactory } from './compilers.ts';
import type { Access } from './rule.ts';
import * as schemas from './schemas.ts';
import * as tokenSchemas from './token-schemas.ts';

/** The schemas that stand in the document by a name, once: those of the modules that hold nothing else. */
const named = namesOf({
  ...schemas,
  ...auditSchemas,
  ...eventSchemas,
  ...fleetSchemas,
  ...impactSchemas,
  ...keySchemas,
  ...loginSchemas,
  ...memberSchemas,
  ...tokenSchemas,
});
const problems = {
  description: 'A problem (RFC 9457).',
  content: { 'application/problem+json': { schema: schemas.ProblemSchema } },
};

declare module 'fastify' {
  interface FastifyInstance {
    /** The OpenAPI document of its routes. */
    openApi(): Promise<object>;
  }
}

/** Has every route that `app` gets from now on described: when somebody asks for it, since hardly anybody does. */
export function describeRoutes(app: FastifyInstance): void {
  const routes: RouteOptions[] = [];
  app.addHook('onRoute', (route) => {
    if (route.method !== 'HEAD') routes.push(route);
  });
  let document: Promise<object> | undefined;
  app.decorate('openApi', () => (document ??= draw(routes)));
}

/** Draws the document from routes that are added for it, and never asked, to a server that never listens. */
async function draw(routes: readonly RouteOptions[]): Promise<object> {
  const { default: swagger } = await import('@fastify/swagger');
  const app = fastify({ exposeHeadRoutes: false, schemaController: { compilersFactory } });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Fleetroot',
        description: "The operators' API. docs/operator-api.md says what all of its operations have in common.",
        version: programVersion(),
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      components: {
        securitySchemes: {
          session: { type: 'apiKey', in: 'cookie', name: '__Host-fleetroot', description: 'A login.' },
          token: { type: 'http', scheme: 'bearer', description: 'An API token.' },
        },
      },
    },
    transform: ({ schema, url, route }) => ({ schema: describe(schema, url, route), url }),
    transformObject: (document) =>
      ordered(replaceNamed('openapiObject' in document ? (document.openapiObject as Document) : {})),
  });
  for (const { method, url, schema, config } of routes) {
    app.route({ method, url, ...(schema && { schema }), ...(config && { config }), handler: async () => null });
  }
  await app.ready();
  const document = app.swagger();
  await app.close();
  return document;
}

/** What stands in the document beside the schemas of a route. */
function describe(schema: FastifySchema | undefined, url: string, { config, method }: RouteOptions): FastifySchema {
  const { operationId = url, access = 'signed-in', grants = false } = config ?? {};
  return {
    ...schema,
    operationId,
    summary: sentenceOf(operationId),
    tags: [tagOf(url)],
    security: access === 'anyone' ? [] : [{ session: [] }, { token: [] }],
    'x-roles': rolesOf(access),
    ...(grants && { 'x-grants': true }),
    // Whatever an identity provider sends back cannot be named beforehand.
    ...(isOpen(schema?.querystring) && { querystring: undefined }),
    ...headersOf(String(method), url, access),
    ...(isFile(schema?.body) && { consumes: ['application/octet-stream'] }),
    response: { ...answersOf(operationId, schema?.response as Responses | undefined), default: problems },
  } as FastifySchema;
}

type Responses = Readonly<Record<string, unknown>>;

/** What is answered in another form than JSON, or in JSON that no schema of the route's holds to. */
const forms: Readonly<Record<string, readonly string[]>> = {
  exportAudit: ['application/jsonl'],
  exportDevices: ['text/csv', 'application/jsonl'],
  finishSingleSignOn: ['text/html'],
  getApiPage: ['text/html'],
  getApiPagePart: ['text/css', 'text/javascript', 'image/png'],
  getApiPageScript: ['text/javascript'],
  getHealth: ['application/json'],
  getMetrics: ['text/plain'],
  getOpenApi: ['application/json'],
  getReadiness: ['application/json'],
  makeBackup: ['application/vnd.age'],
};
const streams = ['listEvents', 'listServerEvents'];

/** What the operation answers where all is well, by its status. */
function answersOf(operationId: string, response: Responses = {}): Responses {
  const described = (content: object) => ({ ...response, 200: { description: 'Done.', content } });
  const form = forms[operationId];
  if (form !== undefined) {
    const schema = form.includes('application/json') ? { type: 'object' } : { type: 'string' };
    return described(Object.fromEntries(form.map((type) => [type, { schema }])));
  }
  if (!streams.includes(operationId)) return response;
  const stream = { 'text/event-stream': { schema: { type: 'string' } } };
  return described({ 'application/json': { schema: response['200'] }, ...stream });
}

/** What every call of its kind may come with, whose schemas no route repeats. */
function headersOf(method: string, url: string, access: Access): { headers?: TObject } {
  if (method === 'GET' || method === 'HEAD' || access === 'anyone') return {};
  const headers = { ...(method === 'POST' && idempotencyKey), ...(url.includes('/:') && ifMatch) };
  return Object.keys(headers).length === 0 ? {} : { headers: Type.Object(headers) };
}

const idempotencyKey = {
  'Idempotency-Key': Type.Optional(
    Type.String({ minLength: 1, maxLength: 257, description: 'A repeat with the same key is answered as the first.' }),
  ),
};
const ifMatch = {
  'If-Match': Type.Optional(
    Type.String({ maxLength: 1024, description: 'The ETag of what is changed, as it was read: else 412.' }),
  ),
};

/** `listDevices` is "List devices". */
function sentenceOf(operationId: string): string {
  const words = operationId.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** What the operation is about: the noun after the account, or the first one. */
function tagOf(url: string): string {
  const [, path] = /^\/api\/v1\/(.*)$/.exec(url) ?? [];
  if (path === undefined) return 'health';
  const [first = '', , second] = path.split('/');
  if (/^(docs|openapi)\b/.test(first)) return 'description';
  return (first === 'accounts' ? second : undefined) ?? first;
}

function rolesOf(access: Access): string[] {
  if (access === 'metrics') return ['metrics', 'administrator'];
  return typeof access === 'string' ? [access] : [...access, 'administrator'];
}

function isOpen(query: unknown): boolean {
  return (query as { patternProperties?: object } | undefined)?.patternProperties !== undefined;
}

function isFile(body: unknown): boolean {
  return (body as { contentMediaType?: string } | undefined)?.contentMediaType === 'application/octet-stream';
}

function namesOf(all: Record<string, unknown>): ReadonlyMap<string, string> {
  const found = Object.entries(all).filter(([name]) => name.endsWith('Schema'));
  return new Map(found.map(([name, schema]) => [JSON.stringify(schema), name.replace(/Schema$/, '')]));
}

/** The parts of a document that are gone through here. */
interface Document {
  readonly paths?: Record<string, object>;
  readonly components?: object;
}

/** Puts a reference in the place of each named schema, and the schema itself among the components. */
function replaceNamed(document: Document): Document & { readonly schemas: Record<string, unknown> } {
  const schemas: Record<string, unknown> = {};
  const replaced = (value: unknown, within: string | null): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return value.map((each) => replaced(each, within));
    const name = named.get(JSON.stringify(value));
    const members = () =>
      Object.fromEntries(Object.entries(value).map(([key, member]) => [key, replaced(member, name ?? within)]));
    if (name === undefined || name === within) return members();
    schemas[name] ??= members();
    return { $ref: `#/components/schemas/${name}` };
  };
  return { ...document, paths: replaced(document.paths, null) as Record<string, object>, schemas };
}

/** The same document whatever order the routes were added in. */
function ordered({ schemas, ...document }: ReturnType<typeof replaceNamed>): Document {
  const paths = Object.entries(document.paths ?? {}).map(([path, methods]) => [path, sorted(methods)] as const);
  return {
    ...document,
    paths: sorted(Object.fromEntries(paths)),
    components: { ...document.components, schemas: sorted(schemas) },
  };
}

function sorted<Member>(members: Record<string, Member> | object): Record<string, Member> {
  const entries = Object.entries<Member>(members as Record<string, Member>);
  return Object.fromEntries(entries.toSorted(([one], [other]) => (one < other ? -1 : 1)));
}
