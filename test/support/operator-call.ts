// A call of the operators' API by hand: any method, any path, any bytes.

import { request } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';

export interface OperatorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** Null where the answer is no JSON. */
  readonly json: any;
}

/** Calls the API of the server on a data directory, at a path under `/api/v1` that is sent as it is. */
export async function operatorCall(
  dir: string,
  method: string,
  path: string,
  {
    body,
    type = 'application/json',
    headers: more = {},
  }: { body?: unknown; type?: string | null; headers?: Readonly<Record<string, string | readonly string[]>> } = {},
): Promise<OperatorAnswer> {
  const bytes = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const headers = {
    connection: 'close',
    ...(bytes !== undefined && type !== null && { 'content-type': type }),
    // Node frames the body of a DELETE in no way by itself.
    ...(bytes !== undefined && { 'content-length': Buffer.byteLength(bytes) }),
    ...more,
  };
  const call = request({ socketPath: join(dir, 'operator.sock'), method, path: `/api/v1${path}`, headers }).end(bytes);
  const [response] = await once(call, 'response');
  const text = Buffer.concat(await response.toArray()).toString('utf8');
  const isJson = /^application\/(problem\+)?json\b/.test(String(response.headers['content-type']));
  return {
    status: response.statusCode,
    headers: response.headers,
    text,
    json: isJson && text !== '' ? JSON.parse(text) : null,
  };
}
