// Draws what the console knows of the API from docs/openapi.json: its types as openapi-fetch reads them, and who may call what.
// (openapi-typescript asks for TypeScript 5, whose API TypeScript 7 does not have: docs/decisions/0028-the-console.md.)

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What of JSON Schema stands in the document. */
interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
}
interface Content {
  readonly content?: Readonly<Record<string, { schema: Schema }>>;
}
interface Operation {
  readonly operationId: string;
  readonly 'x-roles': readonly string[];
  readonly parameters?: readonly { name: string; in: string; required?: boolean; schema: Schema }[];
  readonly requestBody?: Content & { readonly required?: boolean };
  readonly responses: Readonly<Record<string, Content>>;
}

const key = (name: string): string => JSON.stringify(name);
const member = (name: string, needed: boolean, type: string): string => `${key(name)}${needed ? '' : '?'}: ${type};`;

/** The type of what a schema lets through. */
function typeOf(schema: Schema): string {
  if (schema.$ref !== undefined) return `components["schemas"][${key(schema.$ref.split('/').at(-1)!)}]`;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.anyOf) return schema.anyOf.map((each) => `(${typeOf(each)})`).join(' | ');
  const types = typeof schema.type === 'string' ? [schema.type] : (schema.type ?? ['unknown']);
  return types.map((type) => plainType(type, schema)).join(' | ');
}

function plainType(type: string, schema: Schema): string {
  switch (type) {
    case 'integer':
      return 'number';
    case 'array':
      return `(${typeOf(schema.items ?? {})})[]`;
    case 'object':
      return objectType(schema);
    default:
      return type;
  }
}

function objectType({ properties = {}, required = [], additionalProperties, patternProperties }: Schema): string {
  const members = Object.entries(properties).map(([name, each]) => member(name, required.includes(name), typeOf(each)));
  const [others = typeof additionalProperties === 'object' ? additionalProperties : undefined] = Object.values(
    patternProperties ?? {},
  );
  if (members.length > 0) return `{ ${members.join(' ')} }`;
  return `Record<string, ${others ? typeOf(others) : additionalProperties === false ? 'never' : 'unknown'}>`;
}

function contentType({ content = {} }: Content): string {
  const types = Object.entries(content).map(([type, { schema }]) => member(type, true, typeOf(schema)));
  return `{ headers: Record<string, string>; content${types.length > 0 ? '' : '?'}: { ${types.join(' ')} } }`;
}

function operationType({ parameters = [], requestBody, responses }: Operation): string {
  const places = ['query', 'header', 'path'].map((place) => {
    const here = parameters.filter((each) => each.in === place);
    if (here.length === 0) return `${place}?: never;`;
    const needed = here.some(({ required }) => required === true);
    const members = here.map(({ name, required = false, schema }) => member(name, required, typeOf(schema)));
    return `${place}${needed ? '' : '?'}: { ${members.join(' ')} };`;
  });
  const answers = Object.entries(responses).map(([status, each]) => `${status}: ${contentType(each)};`);
  const body = requestBody ? `requestBody: ${contentType(requestBody)};` : 'requestBody?: never;';
  return `{ parameters: { ${places.join(' ')} cookie?: never }; ${body} responses: { ${answers.join(' ')} } }`;
}

const folder = join(import.meta.dirname, 'api/generated');
const { paths, components } = JSON.parse(readFileSync(join(import.meta.dirname, '../docs/openapi.json'), 'utf8')) as {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
};
const operations = Object.values(paths).flatMap((path) => Object.values(path));

mkdirSync(folder, { recursive: true });
writeFileSync(
  join(folder, 'openapi.d.ts'),
  [
    '// Drawn from docs/openapi.json by console/generate.ts.',
    'export interface components { schemas: {',
    ...Object.entries(components.schemas).map(([name, schema]) => member(name, true, typeOf(schema))),
    '} }',
    'export interface operations {',
    ...operations.map((operation) => member(operation.operationId, true, operationType(operation))),
    '}',
    'export interface paths {',
    ...Object.entries(paths).map(([path, methods]) => {
      const each = Object.entries(methods).map(
        ([method, { operationId }]) => `${method}: operations[${key(operationId)}];`,
      );
      return member(path, true, `{ ${each.join(' ')} }`);
    }),
    '}',
    '',
  ].join('\n'),
);
writeFileSync(
  join(folder, 'roles.json'),
  JSON.stringify(Object.fromEntries(operations.map(({ operationId, 'x-roles': roles }) => [operationId, roles]))),
);
