// The house, enforced: who may import whom, no circles, the names of files and how each of them begins.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { test } from 'node:test';

import { readSource, type SourceFile } from './support/source-file.ts';

/** docs/architecture.md, "Who may import whom". A folder may always import from itself. */
const table: Record<string, readonly string[]> = {
  main: ['cli', 'config'],
  cli: [
    'types of operator/schemas',
    'types of operator/key-schemas',
    'types of operator/fleet-schemas',
    'types of operator/audit-schemas',
    'types of operator/event-schemas',
    'registry/audit-chain',
    'types of operator/impact-schemas',
    'types of operator/login-schemas',
    'types of operator/token-schemas',
    'types of operator/member-schemas',
    'types of operator/manifest-schemas',
    'types of operator/node-schemas',
    'types of operator/backup-schemas',
    'server',
    'config',
    'demo',
    'factory',
    'provisioning/device-identity',
    'x509',
  ],
  demo: ['server', 'config', 'cli/client', 'factory', 'x509'],
  factory: [
    'config',
    'manifest',
    'issuing',
    'custody',
    'registry',
    'provisioning/device-identity',
    'provisioning/device-id',
    'x509',
  ],
  manifest: ['registry/audit-chain', 'x509'],
  server: [
    'config',
    'gateway',
    'operator',
    'login',
    'notification',
    'provisioning',
    'issuing',
    'custody',
    'registry',
    'x509',
  ],
  gateway: ['provisioning', 'registry', 'x509'],
  operator: ['login', 'notification', 'provisioning', 'manifest', 'issuing', 'registry', 'x509'],
  login: ['custody/seal', 'registry'],
  notification: ['custody/seal', 'registry'],
  provisioning: ['manifest', 'issuing', 'registry', 'x509'],
  issuing: ['custody/custodian', 'custody/seal', 'registry', 'x509'],
  config: [],
  custody: [],
  registry: [],
  x509: [],
};
const everyones = [
  'problem',
  'secret',
  'outbound',
  'log',
  'metrics',
  'time',
  'socket-path',
  'listen-on-socket',
  'version',
];

/** What opens a server, each of its processes a part, or restores one. */
const serverRoots = ['server', 'server/custodians', 'server/registry', 'server/restore', 'server/serving'];
/** The composition roots: the server's, and the factory's, which is a program of its own. */
const roots = [...serverRoots, 'factory/factory'];
/** What only a root may name, and only it may call: the concrete custodian and the concrete database. */
const namedByRootsAlone = ['custody/software', 'custody/vault', 'custody/pkcs11', 'types apart: registry/writer'];

/** Where a private key of ours may be used; everywhere else there is the issuer, whose `keys` have no `sign`. */
const signing = ['issuing', 'custody'];

/** x509/ is pure; SQL is the registry's alone. */
const pureParts = ['node:buffer', 'node:crypto'];
const sqlParts = ['kysely', 'node:sqlite'];

const forbiddenNames = /^(utils?|helpers?|types?|commons?|index)$/;
const longFile = 250;
const tooLongFile = 400;

/** The files by name, such as `cli/client`: their path below src/ without its ending. */
type House = ReadonlyMap<string, SourceFile>;

function house(files: Record<string, string>): House {
  return new Map(Object.entries(files).map(([file, text]) => [file.replace(/\.ts$/, ''), readSource(file, text)]));
}

interface Link {
  from: string;
  /** The file's name, or what was written where there is no such file. */
  to: string | null;
  typeOnly: boolean;
}

/** What a file imports of ours; a package or a part of Node is none of it, nor is a file that is not TypeScript. */
function links(file: string, { imports }: SourceFile): Link[] {
  return imports
    .filter(
      ({ specifier }) => specifier === null || (specifier.startsWith('.') && !/\.(json|toml|html)$/.test(specifier)),
    )
    .map(({ specifier, typeOnly }) => ({
      from: file,
      to: specifier && posix.join(posix.dirname(file), specifier).replace(/\.ts$/, ''),
      typeOnly,
    }));
}

function allLinks(here: House): Link[] {
  return [...here].flatMap(([file, source]) => links(file, source));
}

/** What is not ours: packages and parts of Node, each with the file that imports it. */
function parts(here: House): [file: string, part: string][] {
  return [...here].flatMap(([file, { imports }]) =>
    imports.flatMap(({ specifier }) => (specifier?.startsWith('.') === false ? [[file, specifier]] : [])),
  );
}

const folderOf = (file: string): string => file.split('/', 1)[0] ?? file;

/** Whether an entry of the table covers a link: a folder, one file of it, or that file's types. */
function covers(entry: string, { to, typeOnly }: Link): boolean {
  const [, types, name = entry] = /^(types of )?(.*)$/.exec(entry) ?? [];
  return (to === name || to?.startsWith(`${name}/`) === true) && (types === undefined || typeOnly);
}

function allowed(link: Link): boolean {
  const folder = folderOf(link.from);
  return [folder, ...everyones, ...(table[folder] ?? [])].some((entry) => covers(entry, link));
}

/** Each rule gives a sentence for everything that breaks it. */
const rules = {
  'every import is of a file that is there'(here) {
    return allLinks(here)
      .filter(({ to }) => to === null || !here.has(to))
      .map(({ from, to }) => `${from} imports ${to ?? 'a file whose name is computed'}`);
  },

  'every file stands in a folder or place that the import table knows'(here) {
    const places = new Set([...Object.keys(table), ...everyones]);
    return [...here.keys()].filter((file) => !places.has(folderOf(file))).map((file) => `${file} has no row`);
  },

  'who imports whom is as the import table says'(here) {
    return allLinks(here)
      .filter((link) => link.to !== null && !allowed(link))
      .map(({ from, to, typeOnly }) => `${from} may not import ${to}${typeOnly ? ', not even its types' : ''}`);
  },

  'only a composition root names a concrete custodian or database'(here) {
    return allLinks(here)
      .filter(({ from, to }) => !roots.includes(from) && to !== null)
      .filter(({ to, typeOnly }) =>
        namedByRootsAlone.some((entry) => entry === to || (entry === `types apart: ${to}` && !typeOnly)),
      )
      .map(({ from, to }) => `${from} may not import ${to}`);
  },

  'only issuing/ signs with keys of ours'(here) {
    const imports = allLinks(here).filter(
      ({ from, to }) => to === 'issuing/held-keys' && folderOf(from) !== 'issuing' && !serverRoots.includes(from),
    );
    const calls = [...here].filter(([file, { text }]) => !signing.includes(folderOf(file)) && /\.sign\b/.test(text));
    return [
      ...imports.map(
        ({ from, to, typeOnly }) => `${from} may not import ${to}${typeOnly ? ', not even its types' : ''}`,
      ),
      ...calls.map(([file]) => `${file} may not call sign`),
    ];
  },

  'the parts of a custodian are its own'(here) {
    return allLinks(here)
      .filter(({ from, to }) => folderOf(from) !== 'custody' && to !== null && /^custody\/(pkcs11|vault)-/.test(to))
      .map(({ from, to }) => `${from} may not import ${to}`);
  },

  'x509 reads and writes nothing but bytes in memory'(here) {
    return parts(here)
      .filter(([file, part]) => folderOf(file) === 'x509' && !pureParts.includes(part))
      .map(([file, part]) => `${file} may not import ${part}`);
  },

  'SQL is written in the registry and the records of a factory alone'(here) {
    return parts(here)
      .filter(([file, part]) => !/^(registry|factory\/records)\//.test(file) && sqlParts.includes(part))
      .map(([file, part]) => `${file} may not import ${part}`);
  },

  'no file comes back to itself by what it imports'(here) {
    return circles(here).map((circle) => circle.join(' -> '));
  },

  'a file is one noun in kebab-case, and no barrel'(here) {
    return [...here].flatMap(([file, { barrel }]) => {
      const parts = file.split('/');
      if (parts.some((part) => !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(part))) return [`${file} is not in kebab-case`];
      if (parts.some((part) => forbiddenNames.test(part))) return [`${file} has a name that says nothing`];
      return barrel ? [`${file} only passes on what others export`] : [];
    });
  },

  'each file opens with a sentence that says what it is'(here) {
    return [...here]
      .filter(([, { text }]) => !/^\/\/ [^\n]+(\n\/\/ [^\n]+)*\.\)?\n/.test(text))
      .map(([file]) => `${file} does not open with a // sentence`);
  },

  'Node can run each file by stripping its types'(here) {
    return [...here]
      .filter(([, { enums, namespaces, parameterProperties }]) => enums + namespaces + parameterProperties > 0)
      .map(([file]) => `${file} has an enum, a namespace or a parameter property`);
  },

  'no file is too long to read at a sitting'(here) {
    return [...here]
      .filter(([, { text }]) => lengthOf(text) > tooLongFile)
      .map(([file, { text }]) => `${file} has ${lengthOf(text)} lines`);
  },
} satisfies Record<string, (here: House) => string[]>;

const lengthOf = (text: string): number => text.trimEnd().split('\n').length;

/** Circles of imports, types among them, at least one of every tangle: its files in order, the first again at the end. */
function circles(here: House): string[][] {
  const found: string[][] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const source = here.get(file);
    if (path.includes(file)) found.push([...path.slice(path.indexOf(file)), file]);
    if (!source || path.includes(file) || done.has(file)) return;
    path.push(file);
    for (const { to } of links(file, source)) if (to !== null) visit(to);
    path.pop();
    done.add(file);
  };
  for (const file of here.keys()) visit(file);
  return found;
}

const root = join(import.meta.dirname, '../src');
const src = house(
  Object.fromEntries(globSync('**/*.ts', { cwd: root }).map((file) => [file, readFileSync(join(root, file), 'utf8')])),
);

for (const [rule, broken] of Object.entries(rules)) test(rule, () => assert.deepEqual(broken(src), []));

test('a file of more than 250 lines is worth a second look', (t) => {
  for (const [file, { text }] of src) if (lengthOf(text) > longFile) t.diagnostic(`${file}: ${lengthOf(text)} lines`);
});

/** What each rule must catch: without these, a rule that looks nowhere would pass for a house in order. */
const offences: [keyof typeof rules, Record<string, string>, string[]][] = [
  [
    'every import is of a file that is there',
    { 'main.ts': `import './gone.ts'; await import(name); new Worker(new URL(name, import.meta.url));` },
    ['main imports gone', 'main imports a file whose name is computed', 'main imports a file whose name is computed'],
  ],
  [
    'every file stands in a folder or place that the import table knows',
    { 'shared/clock.ts': '', 'clock.ts': '', 'log.ts': '' },
    ['shared/clock has no row', 'clock has no row'],
  ],
  [
    'who imports whom is as the import table says',
    {
      'gateway/a.ts': `import { issue } from '../issuing/issuer.ts';`,
      'gateway/b.ts': `export { seal } from '../custody/seal.ts';`,
      'gateway/c.ts': `export * from '../operator/api.ts';`,
      'gateway/d.ts': `const { serve } = await import('../server.ts');`,
      'gateway/e.ts': `new Worker(new URL('../cli/client.ts', import.meta.url));`,
      'operator/a.ts': `import type { Peer } from '../gateway/peer.ts';`,
      'operator/b.ts': `export type { Seal } from '../custody/seal.ts';`,
      'operator/c.ts': `let config: import('../config.ts').Config;`,
      'cli/a.ts': `import { account } from '../operator/schemas.ts'; import type { Account } from '../operator/schemas.ts';`,
      'issuing/a.ts': `import { createSoftwareCustodian } from '../custody/software.ts'; import '../custody/seal.ts';`,
      'x509/a.ts': `import '../registry/database.ts'; import '../problem.ts'; import './der.ts'; import 'node:crypto';`,
    },
    [
      'gateway/a may not import issuing/issuer',
      'gateway/b may not import custody/seal',
      'gateway/c may not import operator/api',
      'gateway/d may not import server',
      'gateway/e may not import cli/client',
      'operator/a may not import gateway/peer, not even its types',
      'operator/b may not import custody/seal, not even its types',
      'operator/c may not import config, not even its types',
      'cli/a may not import operator/schemas',
      'issuing/a may not import custody/software',
      'x509/a may not import registry/database',
    ],
  ],
  [
    'only a composition root names a concrete custodian or database',
    {
      'server.ts': `import { openRegistry } from './registry/writer.ts'; import './custody/software.ts';`,
      'gateway/a.ts': `import { openRegistry, type Registry } from '../registry/writer.ts';`,
      'gateway/b.ts': `import { type Registry } from '../registry/writer.ts';`,
      'custody/a.ts': `import type { Software } from './software.ts';`,
    },
    ['gateway/a may not import registry/writer', 'custody/a may not import custody/software'],
  ],
  [
    'only issuing/ signs with keys of ours',
    {
      'server.ts': `import { HeldKeys } from './issuing/held-keys.ts';`,
      'server/a.ts': `import { HeldKeys } from '../issuing/held-keys.ts';`,
      'issuing/a.ts': `import type { KeyCare } from './held-keys.ts'; keys.sign(key, algorithm, data);`,
      'provisioning/a.ts': `import type { HeldKeys } from '../issuing/held-keys.ts';`,
      'operator/a.ts': `await (issuer.keys as never as Signer).sign(key, algorithm, data);`,
      'gateway/a.ts': `const { sign } = custodian; custodian.sign;`,
    },
    [
      'server/a may not import issuing/held-keys',
      'provisioning/a may not import issuing/held-keys, not even its types',
      'operator/a may not call sign',
      'gateway/a may not call sign',
    ],
  ],
  [
    'the parts of a custodian are its own',
    {
      'server.ts': `import './custody/pkcs11.ts'; import './custody/pkcs11-token.ts';`,
      'custody/pkcs11.ts': `import './pkcs11-token.ts';`,
    },
    ['server may not import custody/pkcs11-token'],
  ],
  [
    'x509 reads and writes nothing but bytes in memory',
    { 'x509/a.ts': `import { readFile } from 'node:fs/promises'; import './der.ts'; import 'node:crypto';` },
    ['x509/a may not import node:fs/promises'],
  ],
  [
    'SQL is written in the registry and the records of a factory alone',
    {
      'gateway/a.ts': `import { sql } from 'kysely';`,
      'factory/a.ts': `import { sql } from 'kysely';`,
      'registry/a.ts': `import { sql } from 'kysely';`,
      'factory/records/a.ts': `import { sql } from 'kysely';`,
    },
    ['gateway/a may not import kysely', 'factory/a may not import kysely'],
  ],
  [
    'no file comes back to itself by what it imports',
    { 'a.ts': `import './b.ts';`, 'b.ts': `import type { C } from './c.ts';`, 'c.ts': `export * from './a.ts';` },
    ['a -> b -> c -> a'],
  ],
  [
    'a file is one noun in kebab-case, and no barrel',
    { 'x509/derWrite.ts': '', 'cli/utils.ts': '', 'types/a.ts': '', 'cli/all.ts': `export * from './a.ts';` },
    [
      'x509/derWrite is not in kebab-case',
      'cli/utils has a name that says nothing',
      'types/a has a name that says nothing',
      'cli/all only passes on what others export',
    ],
  ],
  [
    'each file opens with a sentence that says what it is',
    {
      'a.ts': '// A sentence,\n// on two lines.\n',
      'b.ts': '\n// Late.\n',
      'c.ts': '// no end\n',
      'd.ts': '/* A. */\n',
    },
    ['b does not open with a // sentence', 'c does not open with a // sentence', 'd does not open with a // sentence'],
  ],
  [
    'Node can run each file by stripping its types',
    { 'a.ts': 'enum A {}', 'b.ts': 'namespace B { let b }', 'c.ts': 'class C { constructor(private c: number) {} }' },
    ['a', 'b', 'c'].map((file) => `${file} has an enum, a namespace or a parameter property`),
  ],
  [
    'no file is too long to read at a sitting',
    { 'a.ts': '\n'.repeat(399) + 'a', 'b.ts': '\n'.repeat(400) + 'b' },
    ['b has 401 lines'],
  ],
];

for (const [rule, files, expected] of offences) {
  test(`it would be noticed if it were not so: ${rule}`, () => assert.deepEqual(rules[rule](house(files)), expected));
}

test('no rule goes without a proof that it catches something', () => {
  assert.deepEqual(new Set(offences.map(([rule]) => rule)), new Set(Object.keys(rules)));
});
