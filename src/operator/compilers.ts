// What reads and writes by the routes' schemas: made when a route is first asked, not for all of them at every start.

import { createRequire } from 'node:module';
import type { FastifySchemaCompiler, FastifySerializerCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { Value } from 'typebox/value';

/**
 * For Fastify's option `schemaController`. To make the code of a hundred and forty routes on two listeners was half of a
 * start, and of most of it no use.
 */
export const compilersFactory = {
  // Fastify's types for these know its own compilers alone.
  buildValidator: () => reader as never,
  buildSerializer: () => writer as never,
};

const reader: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const compiled = once(() => Compile(schema));
  return (value) => {
    // What stands in a path, a query or a header is text, whatever it is to be.
    const converted = httpPart === 'body' ? value : Value.Convert(schema, value);
    return compiled().Check(converted) ? { value: converted } : { error: compiled().Errors(converted) as never };
  };
};

const writer: FastifySerializerCompiler<unknown> = (route) => {
  const write = once(() => fastifysOwn()(route));
  return (value) => write()(value);
};

/** Loaded when the first reply is written. */
const fastifysOwn = once((): FastifySerializerCompiler<unknown> => {
  const require = createRequire(import.meta.url);
  const { SerializerSelector } = require('@fastify/fast-json-stringify-compiler');
  return SerializerSelector()({}, {});
});

function once<Made>(make: () => Made): () => Made {
  let made: Made | undefined;
  return () => (made ??= make());
}
