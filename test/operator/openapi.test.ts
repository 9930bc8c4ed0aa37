// The OpenAPI document: it is what the code says, it is committed, and every operation in it says all that it has to.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Compile } from 'typebox/schema';
import { Fleetroot } from '../support/fleetroot.ts';
import { operatorCall } from '../support/operator-call.ts';
import { operationsOf } from '../support/operations.ts';

const file = new URL('../../docs/openapi.json', import.meta.url);

let fleetroot: Fleetroot;
let document: any;

before(async () => {
  fleetroot = await Fleetroot.start();
  document = (await operatorCall(fleetroot.dir, 'GET', '/openapi.json')).json;
});
after(() => fleetroot[Symbol.asyncDispose]());

test('docs/openapi.json is what the code says (FLEETROOT_WRITE_DOCS=1 writes it anew)', () => {
  const text = `${JSON.stringify(document, null, 2)}\n`;
  if (process.env['FLEETROOT_WRITE_DOCS']) writeFileSync(file, text);
  assert.ok(
    readFileSync(file, 'utf8') === text,
    'run FLEETROOT_WRITE_DOCS=1 node --test test/operator/openapi.test.ts',
  );
});

test('it is OpenAPI 3.1 with the version of the program', () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  assert.equal(document.openapi, '3.1.0');
  assert.deepEqual([document.info.title, document.info.version], ['Fleetroot', version]);
});

test('every operation has a name of its own, a summary, a tag, its security, its roles and its problems', () => {
  const operations = operationsOf(document);
  assert.ok(operations.length > 50);
  assert.equal(new Set(operations.map(({ operation }) => operation.operationId)).size, operations.length);
  for (const { method, path, operation } of operations) {
    const what = `${method} ${path}`;
    assert.match(operation.operationId, /^[a-z][A-Za-z]+$/, what);
    assert.match(operation.summary, /^[A-Z][a-z ]+/, what);
    assert.equal(operation.tags.length, 1, what);
    assert.ok(operation['x-roles'].length > 0, what);
    assert.ok(
      Object.keys(operation.responses).some((status) => /^[23]/.test(status)),
      `${what} says what it answers`,
    );
    const open = operation['x-roles'].includes('anyone');
    assert.deepEqual(operation.security, open ? [] : [{ session: [] }, { token: [] }], what);
    assert.deepEqual(
      operation.responses.default.content,
      { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      what,
    );
  }
});

test('what stands in a path is what its parameters are', () => {
  for (const { method, path, operation } of operationsOf(document)) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!);
    const declared = (operation.parameters ?? []).filter((each: any) => each.in === 'path');
    assert.deepEqual(declared.map(({ name }: any) => name).toSorted(), inPath.toSorted(), `${method} ${path}`);
    assert.ok(declared.every((each: any) => each.required === true));
  }
});

test('what is sent and answered has a type, and a body that is a file says so', () => {
  for (const { method, path, operation } of operationsOf(document)) {
    const types = Object.keys(operation.requestBody?.content ?? {});
    assert.ok(types.length <= 1, `${method} ${path}`);
    if (method === 'GET') assert.deepEqual(types, [], path);
    assert.ok(Object.keys(operation.responses).length > 0);
  }
  const import_ = document.paths['/api/v1/accounts/{account}/fleet-root-cas'].post;
  assert.deepEqual(Object.keys(import_.requestBody.content), ['application/octet-stream']);
});

test('every reference leads somewhere, and every schema can be checked against', () => {
  for (const ref of JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)) {
    const [, name] = /^#\/components\/schemas\/(\w+)$/.exec(ref[1]!) ?? [];
    assert.ok(name !== undefined && Object.hasOwn(document.components.schemas, name), ref[0]);
  }
  for (const { operation } of operationsOf(document)) {
    const schemas = [
      ...(operation.parameters ?? []).map((each: any) => each.schema),
      ...Object.values<any>(operation.requestBody?.content ?? {}).map((each) => each.schema),
      ...Object.values<any>(operation.responses).flatMap((each) =>
        Object.values<any>(each.content ?? {}).map(({ schema }) => schema),
      ),
    ];
    // A schema of JSON Schema 2020-12, as OpenAPI 3.1 has them, with the components it refers to.
    for (const schema of schemas) Compile({ components: document.components, ...schema });
  }
});

test('it is served to whoever asks, as is the page to browse it with, which asks nobody else for anything', async () => {
  const origin = `http://127.0.0.1:${fleetroot.server.operatorPort}`;
  assert.deepEqual(await (await fetch(`${origin}/api/v1/openapi.json`)).json(), document);
  const page = await fetch(`${origin}/api/v1/docs`);
  const html = await page.text();
  assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8');
  assert.match(page.headers.get('content-security-policy')!, /^default-src 'none';script-src 'self';style-src 'self';/);
  assert.doesNotMatch(html, /<script(?! src=)|<style| style=| on\w+=|https?:/);
  for (const [, path] of html.matchAll(/(?:src|href)="([^"]+)"/g)) {
    const part = await fetch(`${origin}${path}`);
    assert.equal(part.status, 200, part.url);
    assert.ok((await part.arrayBuffer()).byteLength > 100, part.url);
  }
  for (const other of ['package.json', '..%2Findex.js', 'constructor', '%2e%2e%2fpackage.json']) {
    assert.equal((await fetch(`${origin}/api/v1/docs/${other}`)).status, 400, other);
  }
});
