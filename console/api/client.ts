// The operators' API as the console calls it: typed from docs/openapi.json, every failure a Refused, ends of sessions told.

import createClient from 'openapi-fetch';
import { texts } from '../texts.ts';
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

/** Who is told when the API says that nobody is signed in, or that who is may not do something. */
const watchers = new Set<(code: 'unauthenticated' | 'forbidden') => void>();
export function onLackOfRight(watcher: (code: 'unauthenticated' | 'forbidden') => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

let lastUse = 0;
/** When the server last answered a call that somebody was there for, in milliseconds since 1970: their session lasts from there on. */
export const lastUsed = (): number => lastUse;

/** Calls of the API. A failure rejects with Refused. Path members are encoded; name devices by `deviceName`. */
export const api = createClient<paths>({
  baseUrl: location.origin,
  fetch: askServer,
});

/** When somebody last touched this page, in milliseconds. */
let lastTouch = Date.now();
for (const touch of ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart'])
  window.addEventListener(touch, () => (lastTouch = Date.now()), { passive: true, capture: true });
/** After so many milliseconds nobody is at it: what it asks by itself does not keep the session from ending. */
const attendedFor = 60_000;

/** As `fetch`, for what is no JSON: files up and down. Rejects with Refused. */
export async function askServer(input: Request | string, init?: RequestInit): Promise<Response> {
  const request = new Request(input, init);
  // What every call that changes something must carry beside a cookie.
  request.headers.set('x-fleetroot', '1');
  const unattended = Date.now() - lastTouch > attendedFor;
  if (unattended) request.headers.set('x-fleetroot-unattended', '1');
  const response = await fetch(request).catch((error: unknown) => {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Refused({ code: 'unreachable', status: 0, detail: texts.common.unreachable });
  });
  if (!unattended && response.status !== 401) lastUse = Date.now();
  if (response.ok) return response;
  const said = (await response.json().catch(() => ({}))) as Partial<Schema<'Problem'>>;
  const refused = new Refused({
    code: said.code ?? 'internal_error',
    status: response.status,
    detail: said.detail ?? said.title ?? texts.common.answered(response.status),
    hint: said.hint ?? null,
    requestId: response.headers.get('x-request-id'),
    factors: said.factors,
  });
  const { code } = refused;
  if (code === 'unauthenticated' || code === 'forbidden') for (const watcher of watchers) watcher(code);
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
