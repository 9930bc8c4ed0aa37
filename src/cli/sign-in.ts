// Signing in to a server elsewhere: a password (and a second factor where one is due) for a session's cookie.

import type { IncomingMessage } from 'node:http';
import { isProblemCode, Problem } from '../problem.ts';
import type { Secret } from '../secret.ts';
import { type Place, send } from './connection.ts';
import { Failure } from './failure.ts';

/** What a person types, without an echo; null where nobody is there to. */
export type Ask = (question: string) => Promise<Secret | null>;

const path = '/api/v1/session';

/** Signs in as `name`. Gives the cookie that shows it from then on. Throws Problem of the server's, or Failure. */
export async function signIn(place: Place, name: string, ask: Ask): Promise<string> {
  using password = await typed(ask, 'Password: ');
  const first = await post(place, { name, password: password.reveal().toString('utf8') });
  if (first.code !== 'second_factor_required') return cookieOf(first);
  using code = await typed(ask, 'Code of your authenticator app, or a recovery code: ');
  const totp = code.reveal().toString('utf8').trim();
  return cookieOf(await post(place, { name, password: password.reveal().toString('utf8'), totp }));
}

async function typed(ask: Ask, question: string): Promise<Secret> {
  const answer = await ask(question);
  if (answer === null) throw new Failure('nothing was typed: you are not signed in', 'an API token needs no typing');
  return answer;
}

interface Answer {
  readonly status: number;
  readonly code: string | null;
  readonly detail: string | null;
  readonly hint: string | null;
  readonly cookies: readonly string[];
}

async function post(place: Place, body: Readonly<Record<string, string>>): Promise<Answer> {
  const payload = Buffer.from(JSON.stringify(body));
  const type = 'application/json';
  const reply = await send(place, { method: 'POST', path, accept: type, type, payload });
  const told = await jsonOf(reply);
  payload.fill(0);
  return {
    status: reply.statusCode ?? 0,
    code: told['code'] ?? null,
    detail: told['detail'] ?? null,
    hint: told['hint'] ?? null,
    cookies: reply.headers['set-cookie'] ?? [],
  };
}

async function jsonOf(reply: IncomingMessage): Promise<Record<string, string>> {
  const text = Buffer.concat(await reply.toArray()).toString('utf8');
  try {
    return (JSON.parse(text) ?? {}) as Record<string, string>;
  } catch {
    return {};
  }
}

/** `name=value` of the session's cookie. */
function cookieOf({ status, code, detail, hint, cookies }: Answer): string {
  if (code !== null && isProblemCode(code)) throw new Problem(code, detail ?? undefined, hint);
  const cookie = cookies.map((each) => each.split(';', 1)[0]!).find((each) => /^(__Host-)?fleetroot=./.test(each));
  if (status >= 400 || cookie === undefined)
    throw new Failure(`the server answered with status ${status}, and no session`);
  return cookie;
}
