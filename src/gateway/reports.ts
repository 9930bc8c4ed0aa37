// What a device tells of itself: checked, stripped of secrets, and recorded in the registry.

import { parse as parseToml, stringify as writeToml, TomlError } from 'smol-toml';
import { Type, type Static } from 'typebox';
import { Value } from 'typebox/value';
import { Problem } from '../problem.ts';
import type { ReportKind } from '../registry/tables.ts';

const kibibyte = 1024;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** A call that Fleetroot records itself. */
export interface ReportCall {
  readonly method: 'POST' | 'PUT';
  readonly kind: ReportKind;
  readonly contentType: 'application/json' | 'application/toml';
  /** Largest body, in bytes. */
  readonly limit: number;
}

/** The recorded calls by path. */
export const reportCalls: ReadonlyMap<string, ReportCall> = new Map<string, ReportCall>([
  ['/director/ecus', { method: 'POST', kind: 'ecus', contentType: 'application/json', limit: 64 * kibibyte }],
  ['/system_info', { method: 'PUT', kind: 'system_info', contentType: 'application/json', limit: 1024 * kibibyte }],
  ['/system_info/network', { method: 'PUT', kind: 'network', contentType: 'application/json', limit: 64 * kibibyte }],
  ['/system_info/config', { method: 'POST', kind: 'config', contentType: 'application/toml', limit: 256 * kibibyte }],
  ['/core/installed', { method: 'PUT', kind: 'installed', contentType: 'application/json', limit: 1024 * kibibyte }],
]);

const Text = Type.String({ minLength: 1, maxLength: 1024 });

const Ecus = Type.Object({
  primary_ecu_serial: Text,
  ecus: Type.Array(
    Type.Object({
      ecu_serial: Text,
      hardware_identifier: Text,
      clientKey: Type.Object({
        keytype: Type.String({ minLength: 1, maxLength: 64 }),
        keyval: Type.Object({ public: Type.String({ minLength: 1, maxLength: 16_384 }) }),
      }),
    }),
    { minItems: 1, maxItems: 256 },
  ),
});

/**
 * Checks the body of a recorded call and gives what may be kept and passed on: for a configuration, without its
 * secrets. Throws `invalid_request` with where it is wrong; then nothing of it is kept.
 */
export function readReport({ kind, contentType }: ReportCall, body: Buffer): Buffer {
  if (contentType === 'application/toml') return stripSecrets(body);
  const value = parseJson(body);
  if (kind === 'ecus') checkEcus(value);
  return body;
}

/** Reads JSON in UTF-8. Throws `invalid_request`. */
export function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(utf8.decode(body));
  } catch (error) {
    throw new Problem('invalid_request', 'The body is no JSON in UTF-8.', null, { cause: error });
  }
}

function checkEcus(value: unknown): void {
  if (!Value.Check(Ecus, value)) {
    const [error] = Value.Errors(Ecus, value);
    throw new Problem(
      'invalid_request',
      `The ECU list is malformed at ${error?.instancePath || '/'}: ${error?.message}.`,
    );
  }
  const { primary_ecu_serial, ecus }: Static<typeof Ecus> = value;
  const serials = new Set(ecus.map((ecu) => ecu.ecu_serial));
  if (serials.size < ecus.length) throw new Problem('invalid_request', 'The ECU list names a serial twice.');
  if (!serials.has(primary_ecu_serial)) {
    throw new Problem('invalid_request', 'The ECU list does not contain the primary ECU that it names.');
  }
}

const secretName = /pass(word|phrase|wd)?$|^pin$|_pin$|pass_?code|secret|token|private|credential|api_?key/i;

/** An aktualizr sends its whole configuration, secrets in clear (`p11.pass`, `provision.p12_password`). */
function stripSecrets(body: Buffer): Buffer {
  try {
    const text = utf8.decode(body);
    return Buffer.from(writeToml(withoutSecrets(parseToml(text), deepest) as Record<string, unknown>));
  } catch (error) {
    if (error instanceof TomlError || error instanceof TypeError || error instanceof RangeError) {
      // Not even the parser's message goes on: it quotes the line, which may hold a secret.
      throw new Problem('invalid_request', 'The body is no TOML in UTF-8.');
    }
    throw error;
  }
}

/** Levels of tables and arrays. The parser takes names with any number of dots, the writer gives up at 1,000. */
const deepest = 100;

function withoutSecrets(value: unknown, levels: number): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (levels === 0) throw new RangeError('too deep');
  if (Array.isArray(value)) return value.map((inner) => withoutSecrets(inner, levels - 1));
  const kept = Object.entries(value).filter(([name]) => !secretName.test(name));
  return Object.fromEntries(kept.map(([name, inner]) => [name, withoutSecrets(inner, levels - 1)]));
}
