// The operators' API as the console calls it: typed from docs/openapi.json, every failure a Refused, ends of sessions told.

import createClient from 'openapi-fetch';
import type { components, operations, paths } from './generated/openapi.d.ts';

/** What the API answers to an operation where all is well. */
export type Answer<Name extends keyof operations> = operations[Name] extends { responses: infer Responses }
  ? Body<Responses extends { 200: infer Ok } ? Ok : Responses extends { 201: infer Made } ? Made : never>
  : never;
type Body<Response> = Response extends { content: { 'application/json': infer Json } } ? Json : never;
/** A schema that has a name in the document. */
export type Schema<Name extends keyof components['schemas']> = components['schemas'][Name];
export type Impact = Schema<'Impact'>;

/** A call that was not done: what the API said of it, or that it was not reached. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly code: string;
  /** 0 where the server could not be reached. */
  readonly status: number;
  readonly hint: string | null;
  /** What the server's log knows the call by. */
  readonly requestId: string | null;
  /** The second factors that are taken, where one is due. */
  readonly factors: readonly string[];

  constructor(said: {
    code: string;
    status: number;
    detail: string;
    hint?: string | null;
    requestId?: string | null;
    factors?: readonly string[] | undefined;
  }) {
    super(said.detail);
    this.code = said.code;
    this.status = said.status;
    this.hint = said.hint ?? null;
    this.requestId = said.requestId ?? null;
    this.factors = said.factors ?? [];
  }
}

/** Who is told when the API says that nobody is signed in. */
const watchers = new Set<() => void>();
export function onSessionEnd(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/** Calls of the API. A failure rejects with Refused. Path members are encoded; name devices by `deviceName`. */
export const api = createClient<paths>({
  baseUrl: location.origin,
  // What every call that changes something must carry beside a cookie.
  headers: { 'x-fleetroot': '1' },
  fetch: askServer,
});

/** As `fetch`, for what is no JSON: files up and down. Rejects with Refused. */
export async function askServer(input: Request | string, init?: RequestInit): Promise<Response> {
  const headers = new Headers(init?.headers);
  if (typeof input === 'string') headers.set('x-fleetroot', '1');
  const response = await fetch(input, typeof input === 'string' ? { ...init, headers } : init).catch(
    (error: unknown) => {
      if (error instanceof DOMException && error.name === 'AbortError') throw error;
      throw new Refused({ code: 'unreachable', status: 0, detail: 'The server cannot be reached.' });
    },
  );
  if (response.ok) return response;
  const said = (await response.json().catch(() => ({}))) as Partial<Schema<'Problem'>>;
  const refused = new Refused({
    code: said.code ?? 'internal_error',
    status: response.status,
    detail: said.detail ?? said.title ?? `The server answered ${response.status}.`,
    hint: said.hint ?? null,
    requestId: response.headers.get('x-request-id'),
    factors: said.factors,
  });
  if (refused.code === 'unauthenticated') for (const watcher of watchers) watcher();
  throw refused;
}

/** The JSON of a call: `await answerOf(api.GET('/api/v1/session'))`. */
export async function answerOf<T>(call: Promise<{ data?: T }>): Promise<Exclude<T, undefined>> {
  return (await call).data as Exclude<T, undefined>;
}

/** A page of a long list, and the cursor of the next one; null after the last. */
export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly next: string | null;
}

/** A page of a list with what its `Link` header says of the next (RFC 8288). */
export async function pageOf<Row>(call: Promise<{ data?: readonly Row[]; response: Response }>): Promise<Page<Row>> {
  const { data = [], response } = await call;
  const link = /<([^>]*)>; *rel="next"/.exec(response.headers.get('link') ?? '')?.[1];
  return { rows: data, next: link === undefined ? null : new URL(link, location.origin).searchParams.get('cursor') };
}

/** A file as a call's body, with what openapi-fetch is to be told of it: `api.POST(path, { params, ...fileBody(bytes) })`. */
export function fileBody(file: Blob | ArrayBuffer | Uint8Array): {
  body: string;
  bodySerializer: () => BodyInit;
  headers: Record<string, string>;
} {
  return {
    // The document has a file's type as a string.
    body: '',
    bodySerializer: () => file as BodyInit,
    headers: { 'content-type': 'application/octet-stream' },
  };
}

/** How a device is named in a path: a browser takes `.` and `..` out of paths, however they are encoded. */
export const deviceName = (uuid: string): string => `uuid:${uuid}`;
