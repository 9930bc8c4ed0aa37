// `login`, `logout`, `whoami` and `context …`: servers elsewhere, and who one is there.

import { isProblemCode, Problem } from '../problem.ts';
import type { SessionJson } from '../operator/login-schemas.ts';
import { clientOf } from './client.ts';
import { command, type Session } from './command.ts';
import type { Place } from './connection.ts';
import { contextNamed, readContexts, writeContexts } from './contexts.ts';
import { UsageError } from './failure.ts';
import { sentences, sheet, table } from './page.ts';
import { file, flag, optional, required, text } from './parameters.ts';
import { operatorUrl } from './place.ts';
import { signIn } from './sign-in.ts';

type Remote = Extract<Place, { kind: 'remote' }>;

const context = text('CONTEXT', 'the name that `login` gave it');

async function signedIn(
  place: Remote,
  given: { name?: string; token?: boolean },
  { terminal }: Session,
): Promise<Remote> {
  if (given.token) {
    using token = await terminal.askSecret('API token: ');
    return { ...place, login: { token: token?.reveal().toString('utf8').trim() ?? '' } };
  }
  return { ...place, login: { cookie: await signIn(place, given.name!, (question) => terminal.askSecret(question)) } };
}

export const loginCommands = [
  command({
    words: 'login',
    about: 'Sign in to a server elsewhere; later commands go there.',
    more: [
      'The login is kept in contexts.json in the config directory of this user, who alone can read it.',
      'Password and code are asked for, or read from stdin line by line.',
    ],
    options: {
      url: required(text('URL', 'https://HOST:PORT of its operators')),
      name: text('NAME', 'as whom, with a password'),
      'token-stdin': flag('with an API token, which is asked for or read from stdin'),
      as: text('CONTEXT', "what to call it (else the URL's host)"),
      ca: file('FILE', 'the CA of its certificate, PEM, where that is no public one'),
    },
    common: ['json'],
    check: ({ url, name, 'token-stdin': token }) => {
      operatorUrl(url);
      if ((name === undefined) === !token) throw new UsageError('either --name or --token-stdin is to be given');
    },
    async call({ url, name, 'token-stdin': token, as, ca }, session) {
      const where = operatorUrl(url);
      const place: Remote = {
        kind: 'remote',
        url: where,
        ca: ca === undefined ? null : Buffer.from(ca).toString('utf8'),
        login: null,
      };
      const { login } = await signedIn(place, { ...(name !== undefined && { name }), token }, session);
      const who = await clientOf({ ...place, login }).get<SessionJson>('/session');
      const called = as ?? where.host;
      const { all } = readContexts(session.env);
      const entry = { url: where.href, ca: place.ca, login: login!, name: who.name };
      writeContexts(session.env, { current: called, all: { ...all, [called]: entry } });
      return { context: called, url: where.href, name: who.name };
    },
    print: ({ context: called, url, name }) =>
      sentences(`You are signed in at ${url} as ${name}; commands go there (context ${called}).`),
  }),
  command({
    words: 'logout',
    about: 'Sign out of a server elsewhere, and forget it.',
    arguments: { context: optional(context) },
    common: ['json'],
    async call({ context: given }, { env }) {
      const contexts = readContexts(env);
      const name = given ?? contexts.current;
      if (name === null) throw new UsageError('you are signed in nowhere');
      const { url, ca, login } = contextNamed(contexts, name);
      if ('cookie' in login) {
        const place: Remote = { kind: 'remote', url: operatorUrl(url), ca, login };
        await clientOf(place)
          .delete('/session')
          .catch((error: unknown) => {
            // A session that has ended needs no end.
            if (!(error instanceof Problem) || !isProblemCode(error.code) || error.status !== 401) throw error;
          });
      }
      const { [name]: _, ...all } = contexts.all;
      writeContexts(env, { current: contexts.current === name ? null : contexts.current, all });
      return { context: name };
    },
    print: ({ context: name }) => sentences(`You are signed out of ${name}.`),
  }),
  command({
    words: 'whoami',
    about: 'Show as whom, and with which roles, commands are done.',
    call: (_, { api }) => api.get<SessionJson>('/session'),
    print: (who) =>
      sheet({
        name: who.name,
        'signed in by': who.kind,
        administrator: who.administrator,
        roles: who.roles.map(({ account_name, role }) => `${role} of ${account_name}`),
        until: who.expires_at,
      }),
  }),
  command({
    words: 'context list',
    about: 'List the servers that `login` was given.',
    common: ['json'],
    call: async (_, { env }) => {
      const { current, all } = readContexts(env);
      return Object.entries(all).map(([name, { url, name: as, login }]) => ({
        context: name,
        current: name === current,
        url,
        name: as,
        by: 'token' in login ? 'token' : 'password',
      }));
    },
    print: (contexts) =>
      table(contexts, 'You are signed in nowhere.', {
        context: (row) => row.context,
        current: (row) => row.current,
        url: (row) => row.url,
        as: (row) => row.name,
        by: (row) => row.by,
      }),
  }),
  command({
    words: 'context use',
    about: 'Have later commands go to another server that `login` was given.',
    arguments: { context },
    common: ['json'],
    call: async ({ context: name }, { env }) => {
      const contexts = readContexts(env);
      const { url } = contextNamed(contexts, name);
      writeContexts(env, { ...contexts, current: name });
      return { context: name, url };
    },
    print: ({ context: name, url }) => sentences(`Commands go to ${url} (context ${name}).`),
  }),
];
