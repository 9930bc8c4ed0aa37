// How a command reaches a factory: over the socket of the program that has the directory open, or by opening it itself.

import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import type { MasterKeySource } from '../custody/master-key-source.ts';
import { listenOnSocket } from '../listen-on-socket.ts';
import { openLog } from '../log.ts';
import { isProblemCode, Problem } from '../problem.ts';
import { actAs } from '../registry/acting.ts';
import { socketPath as shortened } from '../socket-path.ts';
import { type ActionArguments, type ActionName, type ActionResult, type Action, actions } from './actions.ts';
import { type Factory, openFactory } from './factory.ts';

/** Octets of an action's arguments at the most: a list of device IDs may be among them. */
const bodyLimit = 64 * 1024 * 1024;

/** Does one thing at a factory. Throws Problem. */
export type AtFactory = <N extends ActionName>(name: N, args: ActionArguments<N>) => Promise<ActionResult<N>>;

interface Asked {
  readonly name: string;
  readonly args: unknown;
  /** The login name of whoever asks: the socket is its owner's alone. */
  readonly person: string;
}

/**
 * Runs `work` with a factory's actions, whether or not its service is running; `masterKey` is asked for where it is not,
 * as `openFactory` takes it. Throws what the actions throw.
 */
export async function atFactory<T>(
  config: Config,
  work: (at: AtFactory) => Promise<T>,
  masterKey: () => Promise<MasterKeySource | null> = async () => null,
): Promise<T> {
  const person = userInfo().username;
  const socket = join(config.dataDir, socketName);
  if (await answers(socket)) return work((name, args) => ask(socket, { name, args, person }) as never);
  await using factory = await openFactory(config, { log: openLog('warn'), masterKey: await masterKey() });
  // Awaited here, before the factory is closed.
  return await work((name, args) => perform(factory, { name, args, person }) as never);
}

const socketName = 'factory.sock';

// Not by `import`, for the reason that cli/connection.ts gives.
const http = process.getBuiltinModule('node:http');

/** What a person does is done by that name, whoever runs the program. */
async function perform(factory: Factory, { name, args, person }: Asked): Promise<unknown> {
  const action = Object.hasOwn(actions, name) ? (actions[name as ActionName] as Action) : null;
  if (action === null) throw new Problem('not_found', `A factory knows no action ${name}.`);
  const actor = { kind: 'operator', id: null, name: person, address: null, request: null } as const;
  return actAs(actor, () => action(factory, args as never));
}

/** Takes commands on a Unix socket in the factory's directory, its owner's alone, until disposed of. */
export async function takeCommands(factory: Factory): Promise<AsyncDisposable> {
  // Loaded here, since a command that only asks needs none of it.
  const { default: fastify } = await import('fastify');
  const app = fastify({ bodyLimit, forceCloseConnections: true });
  app.post('/', async (request, reply) => {
    try {
      return { result: (await perform(factory, request.body as Asked)) ?? null };
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const { code, message, hint } = error;
      return reply.code(error.status).send({ code, message, hint });
    }
  });
  const listening = await listenOnSocket(app, join(factory.config.dataDir, socketName));
  return {
    async [Symbol.asyncDispose]() {
      listening[Symbol.dispose]();
      await app.close();
    },
  };
}

/** Whether somebody listens there. */
async function answers(path: string): Promise<boolean> {
  try {
    await call(path, 'GET', null);
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ECONNREFUSED'].includes(code)) return false;
    throw error;
  }
}

async function ask(path: string, asked: Asked): Promise<unknown> {
  const { status, body } = await call(path, 'POST', JSON.stringify(asked));
  const answer = JSON.parse(body) as { result?: unknown; code?: string; message?: string; hint?: string | null };
  if (status === 200) return answer.result;
  const { code = '', message, hint = null } = answer;
  throw new Problem(isProblemCode(code) ? code : 'internal_error', message, hint);
}

async function call(
  path: string,
  method: 'GET' | 'POST',
  body: string | null,
): Promise<{ status: number; body: string }> {
  using short = shortened(path);
  return await new Promise((resolve, reject) => {
    const headers = body === null ? {} : { 'content-type': 'application/json' };
    const request = http.request({ socketPath: short.path, path: '/', method, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
      response.on('error', reject);
    });
    request.on('error', reject).end(body ?? undefined);
  });
}
