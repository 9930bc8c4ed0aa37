// A TypeScript file read for the architecture test: what it imports in every way there is, and what its syntax holds.

import { type Expression, parseSync, Visitor } from 'oxc-parser';

/** One file named by another: `import`, `export … from`, `import()`, `import('…').Type`, or a worker's `new URL`. */
export interface Import {
  /** As written, or null where it is computed, so that nobody can tell. */
  specifier: string | null;
  /** Nothing of it is left when the types are stripped. */
  typeOnly: boolean;
}

export interface SourceFile {
  text: string;
  imports: Import[];
  /** Whether it holds nothing but `export … from`. */
  barrel: boolean;
  /** TypeScript's own run-time syntax, which stripping cannot remove. */
  enums: number;
  namespaces: number;
  parameterProperties: number;
}

function literal(expression: Expression): string | null {
  return expression.type === 'Literal' && typeof expression.value === 'string' ? expression.value : null;
}

/** Reads one file. Throws where it does not parse. */
export function readSource(file: string, text: string): SourceFile {
  const { program, errors } = parseSync(file, text);
  if (errors[0]) throw new Error(`${file}: ${errors[0].message}`);
  const imports: Import[] = [];
  const source: SourceFile = {
    text,
    imports,
    barrel:
      program.body.length > 0 &&
      program.body.every(
        (statement) =>
          statement.type === 'ExportAllDeclaration' ||
          (statement.type === 'ExportNamedDeclaration' && statement.source !== null),
      ),
    enums: 0,
    namespaces: 0,
    parameterProperties: 0,
  };
  new Visitor({
    ImportDeclaration(node) {
      const typeOnly =
        node.importKind === 'type' ||
        (node.specifiers.length > 0 &&
          node.specifiers.every(
            (specifier) => specifier.type === 'ImportSpecifier' && specifier.importKind === 'type',
          ));
      imports.push({ specifier: node.source.value, typeOnly });
    },
    ExportNamedDeclaration(node) {
      if (!node.source) return;
      const typeOnly =
        node.exportKind === 'type' ||
        (node.specifiers.length > 0 && node.specifiers.every((specifier) => specifier.exportKind === 'type'));
      imports.push({ specifier: node.source.value, typeOnly });
    },
    ExportAllDeclaration(node) {
      imports.push({ specifier: node.source.value, typeOnly: node.exportKind === 'type' });
    },
    ImportExpression(node) {
      imports.push({ specifier: literal(node.source), typeOnly: false });
    },
    TSImportType(node) {
      imports.push({ specifier: node.source.value, typeOnly: true });
    },
    NewExpression({ callee, arguments: [path, base] }) {
      if (callee.type !== 'Identifier' || callee.name !== 'URL' || !path || !base) return;
      if (text.slice(base.start, base.end) !== 'import.meta.url' || path.type === 'SpreadElement') return;
      imports.push({ specifier: literal(path), typeOnly: false });
    },
    TSEnumDeclaration() {
      source.enums++;
    },
    TSModuleDeclaration({ declare }) {
      // `declare module 'fastify' { … }` adds to the types of a package, and is stripped.
      if (!declare) source.namespaces++;
    },
    TSParameterProperty() {
      source.parameterProperties++;
    },
  }).visit(program);
  return source;
}
