// A version of the program that is still to come: its sources as they are, with one more migration and a number of its own.

import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { migrations } from '../../src/registry/migrations.ts';

const root = join(import.meta.dirname, '../..');

/** A migration of a version to come. */
export interface ComingMigration {
  readonly name: string;
  /** How many migrations a program must know to work on what it makes. */
  readonly needs: number;
  /** What it does, as SQL. */
  readonly statements: readonly string[];
}

/** How many migrations the program at hand knows. */
export const known = migrations.length;

/** The words that call the program at hand without its launcher. */
export const programAtHand = wordsOf(root);

/** Puts a version to come into a directory, with these migrations after all that there are. Gives the words that call it. */
export async function comingVersion(
  directory: string,
  version: string,
  coming: readonly ComingMigration[],
): Promise<readonly string[]> {
  await mkdir(directory);
  await cp(join(root, 'src'), join(directory, 'src'), { recursive: true });
  // The launcher, which would install packages by way of it, is not among what is copied.
  await symlink(join(root, 'node_modules'), join(directory, 'node_modules'));
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as object;
  await writeFile(join(directory, 'package.json'), JSON.stringify({ ...manifest, version }));
  const registry = join(directory, 'src/registry');
  for (const { name, needs, statements } of coming) {
    await writeFile(
      join(registry, 'migrations', `${name}.ts`),
      `import { sql } from 'kysely';
export const name = ${JSON.stringify(name)};
export const needs = ${needs};
export async function up(db) {
  for (const statement of ${JSON.stringify(statements)}) await sql.raw(statement).execute(db);
}
`,
    );
  }
  const list = join(registry, 'migrations.ts');
  const imports = coming.map(({ name }, at) => `import * as coming${at} from './migrations/${name}.ts';\n`);
  const entries = coming.map((_, at) => `  coming${at},\n`);
  const text = await readFile(list, 'utf8');
  await writeFile(list, imports.join('') + text.replace(/^\];$/m, `${entries.join('')}];`));
  return wordsOf(directory);
}

function wordsOf(directory: string): readonly string[] {
  return [process.execPath, `--openssl-config=${join(directory, 'src/openssl.cnf')}`, join(directory, 'src/main.ts')];
}
