// What nobody sends who means well, made from an OpenAPI document: for each operation, one thing wrong at a time.

import type { Operation } from './operations.ts';

/** A call as it goes out: `path` as it stands on the wire. */
export interface HostileCall {
  /** What is wrong with it. */
  readonly what: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: string | Buffer | undefined;
}

/** Texts that have broken other programs: SQL, headers, logs, files, terminals, numbers, prototypes. */
const hostileTexts = [
  '',
  ' ',
  "'; DROP TABLE devices; --",
  '" OR 1=1 --',
  'line\r\nSet-Cookie: injected=1\r\n\r\ninjected',
  '{"level":30,"msg":"injected"}\n{"level":60}',
  'nul\0byte',
  '../../../../etc/passwd',
  '..%2f..%2fetc%2fpasswd',
  '\u001b[2J\u001b]0;injected\u0007',
  '\u202e\u2066\ufeff\ud7ff',
  '\u{1f69a}'.repeat(20),
  '__proto__',
  'constructor',
  '${jndi:ldap://127.0.0.1:1/x}',
  '%s%n{{7*7}}<script>',
  '1e400',
  '-1',
  '9'.repeat(400),
  'x'.repeat(2_000),
];

const hostileValues: readonly unknown[] = [
  ...hostileTexts,
  null,
  true,
  -1,
  0.5,
  1e308,
  [],
  [[[]]],
  {},
  { $ne: null },
  ['x', 'x'],
];

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
const bodies = [
  '',
  '{',
  '[]',
  'null',
  '"text"',
  '42',
  '{}',
  '\0',
  '{"a":1}{"b":2}',
  '{"__proto__":{"admin":true}}',
  '{"constructor":{"prototype":{"admin":true}}}',
  `{"deep":${nested(100)}}`,
  `{"deeper":${nested(200_000)}}`,
  `{"name":"${'x'.repeat(5 * 1024 * 1024)}"}`,
  '{"name":"\ud800"}',
];
const files = [
  Buffer.alloc(0),
  Buffer.from('\0'),
  Buffer.alloc(70_000, 0x41),
  Buffer.from('-----BEGIN CERTIFICATE-----\nAA==\n'),
  Buffer.from('3082ffff', 'hex'),
  Buffer.from('0'.repeat(300) + '\n,,,"'),
];

/** All hostile calls of one operation. `valid` gives values that parameters of a name may have. */
export function hostileCalls(
  operation: Operation,
  valid: Readonly<Record<string, string>>,
  components: any,
): HostileCall[] {
  const { method, path, operation: said } = operation;
  const parameters: any[] = said.parameters ?? [];
  const inPath = parameters.filter((each) => each.in === 'path').map(({ name }) => String(name));
  const inQuery = parameters.filter((each) => each.in === 'query').map(({ name }) => String(name));
  const [type = null] = Object.keys(said.requestBody?.content ?? {});
  const sample = type === 'application/json' ? sampleOf(said.requestBody.content[type].schema, components) : undefined;
  const content = type === 'application/octet-stream' ? Buffer.from('none') : sample && JSON.stringify(sample);

  const at = (values: Readonly<Record<string, string>>): string =>
    path.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name] ?? encodeURIComponent(valid[name] ?? 'none'));
  const call = (what: string, changed: Partial<HostileCall> = {}): HostileCall => ({
    what,
    method,
    path: at({}),
    headers: type === null ? {} : { 'content-type': type },
    body: content,
    ...changed,
  });

  const calls: HostileCall[] = [];
  for (const name of inPath) {
    for (const text of hostileTexts)
      calls.push(call(`path ${name}`, { path: at({ [name]: encodeURIComponent(text) }) }));
    for (const raw of ['%00', '%0d%0aX:%20y', '%ff%fe', '%', '%zz', '..', '%2e%2e', '%2f', 'x'.repeat(6_000)]) {
      calls.push(call(`path ${name}, raw`, { path: at({ [name]: raw }) }));
    }
  }
  const query = (what: string, text: string): number => calls.push(call(what, { path: `${at({})}?${text}` }));
  for (const text of [
    'nobody_knows=1',
    '__proto__=1',
    '__proto__[x]=1',
    'a[]=1',
    '%00=1',
    '=',
    '&&&',
    `x=${'y'.repeat(8_000)}`,
  ]) {
    query('an unknown query', text);
  }
  for (const name of inQuery) {
    for (const text of hostileTexts) query(`query ${name}`, `${name}=${encodeURIComponent(text)}`);
    query(`query ${name}, repeated`, `${name}=1&${name}=2&${name}=${'3'.repeat(50)}`);
    query(`query ${name}, often`, Array.from({ length: 300 }, () => `${name}=1`).join('&'));
  }
  for (const [name, value] of [
    ['idempotency-key', "' OR 1=1 --"],
    ['if-match', '"\u00ff", W/"x", x'],
    ['accept', '*/*, '.repeat(500)],
    ['content-type', 'text/xml'],
    ['content-type', 'application/json; charset=utf-7'],
    ['x-padding', 'x'.repeat(20_000)],
    ['authorization', 'Bearer none'],
    ['cookie', 'fleetroot=none; __Host-fleetroot=none; a=b; a=c'],
    ['x-request-id', 'injected {"level":60}'],
    ['last-event-id', "1'; --"],
  ] as const) {
    calls.push(call(`header ${name}`, { headers: { ...(type !== null && { 'content-type': type }), [name]: value } }));
  }
  if (type === 'application/octet-stream') for (const body of files) calls.push(call('a file that is none', { body }));
  if (type !== 'application/json') return calls;
  for (const body of bodies) calls.push(call('a body that is none', { body }));
  calls.push(call('a body of another type', { headers: { 'content-type': 'application/octet-stream' } }));
  calls.push(call('an unknown member', { body: JSON.stringify({ ...sample, nobody_knows: 1 }) }));
  for (const name of Object.keys(sample ?? {})) {
    for (const value of hostileValues)
      calls.push(call(`member ${name}`, { body: JSON.stringify({ ...sample, [name]: value }) }));
    const { [name]: _, ...without } = sample as Record<string, unknown>;
    calls.push(call(`no member ${name}`, { body: JSON.stringify(without) }));
  }
  return calls;
}

/** A value of a schema with all of its members, as well as that can be told from the schema alone. */
function sampleOf(schema: any, components: any): any {
  if (schema.$ref !== undefined) return sampleOf(components.schemas[schema.$ref.split('/').at(-1)], components);
  const [first] = schema.enum ?? schema.anyOf ?? schema.oneOf ?? [];
  if (schema.enum) return first;
  if (first !== undefined) return sampleOf(first, components);
  if (schema.const !== undefined) return schema.const;
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case 'object':
      return Object.fromEntries(
        Object.entries(schema.properties ?? {}).map(([name, member]) => [name, sampleOf(member, components)]),
      );
    case 'array':
      return [sampleOf(schema.items ?? {}, components)];
    case 'integer':
    case 'number':
      return schema.minimum ?? 1;
    case 'boolean':
      return true;
    default:
      return schema.format === 'date-time' ? '2040-01-01T00:00:00Z' : 'x'.repeat(Math.max(1, schema.minLength ?? 1));
  }
}
