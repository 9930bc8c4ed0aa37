// Who makes devices is apart from who lets them in: neither program ever loads the other's code, its threads included.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { FactoryProcess } from '../support/factory-service.ts';
import { startLine } from '../support/factory.ts';
import { temporaryDirectory } from '../support/process.ts';
import { ServeProcess } from '../support/serve.ts';

/** Writes down the path below src/ of every module that the process, or a thread of it, loads. */
const hook = `
import { appendFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
const file = process.env.LOADED_MODULES;
registerHooks({
  load(url, context, next) {
    const [, path] = /\\/src\\/(.*)\\.ts$/.exec(url) ?? [];
    if (path !== undefined && !url.includes('/node_modules/')) appendFileSync(file, path + '\\n');
    return next(url, context);
  },
});
`;

/** What a process is told so that it writes down what it loads; `loaded` reads it. */
async function watching(file: (name: string) => string) {
  await writeFile(file('hook.mjs'), hook);
  const list = file('loaded.txt');
  await writeFile(list, '');
  return {
    env: { LOADED_MODULES: list, NODE_OPTIONS: `--import=${pathToFileURL(file('hook.mjs')).href}` },
    loaded: async () => [...new Set((await readFile(list, 'utf8')).trim().split('\n'))].toSorted(),
  };
}

const isIn = (folders: readonly string[]) => (module: string) =>
  folders.some((folder) => module === folder || module.startsWith(`${folder}/`));

test('a factory loads no gateway, no operators, no accounts', async () => {
  await using line = await startLine();
  const { env, loaded } = await watching(line.file);
  await using service = await FactoryProcess.start(line.dir, [], env);
  await service.stop();
  const modules = await loaded();
  assert.ok(modules.includes('factory/service/service') && modules.includes('factory/records/writer-thread'));
  assert.deepEqual(modules.filter(isIn(['gateway', 'operator', 'login', 'notification', 'server', 'demo'])), []);
  assert.deepEqual(
    modules.filter(isIn(['provisioning'])),
    ['provisioning/device-id', 'provisioning/device-identity', 'provisioning/refusal'],
    'what a device ID is and whom a certificate identifies: pure, and the same for both',
  );
  const named = modules.filter((module) => /account|fleet-root-ca|admission/.test(module));
  assert.deepEqual(
    named.filter((module) => !/^(cli|metrics)\//.test(module)),
    [],
    'it knows no account',
  );
});

test('a server loads nothing of a factory', async () => {
  await using directory = await temporaryDirectory();
  const { env, loaded } = await watching(directory.file);
  const before = { ...process.env };
  Object.assign(process.env, env);
  try {
    await using server = await ServeProcess.start(directory.file('data'), '--gateway-port', '0');
    await server.stop();
  } finally {
    for (const name of Object.keys(env)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
  const modules = await loaded();
  assert.ok(modules.includes('gateway/listener'), modules.join(' '));
  assert.deepEqual(modules.filter(isIn(['factory'])), []);
});
