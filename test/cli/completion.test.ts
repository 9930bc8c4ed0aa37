// A shell completes what the program would take: words, options, the values of a choice.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { commands } from '../../src/cli/commands.ts';
import { completions, completionScripts } from '../../src/cli/completion.ts';
import { run } from '../../src/cli/program.ts';
import { needs } from '../support/require.ts';
import { temporaryDirectory } from '../support/process.ts';

const after = (...words: string[]) => completions(words, commands);

test('the words of commands come one after the other', () => {
  assert.ok(after('').includes('account') && after('').includes('serve'));
  assert.deepEqual(after('prov'), ['provisioning-key']);
  assert.deepEqual(after('fleet-root', 'dis'), ['disable', 'distrust']);
  assert.deepEqual(after('account', 'gateway-ca', 'sw'), ['switch']);
  assert.deepEqual(after('no-such-command', ''), []);
});

test('options and the values of a choice are offered where they are taken, also after other options', () => {
  assert.ok(after('account', 'set', 'acme', '--adm').includes('--admission'));
  assert.deepEqual(after('account', 'set', 'acme', '--admission', 'a'), ['allow-list', 'approval', 'automatic']);
  assert.deepEqual(after('--data', 'somewhere', 'fleet-root', 'clo'), ['close']);
  assert.deepEqual(after('account', 'create', 'acme', '--kind', ''), ['production', 'test']);
  assert.ok(!after('account', 'list', '--').includes('--admission'));
});

test('what only the shell knows is left to it', () => {
  assert.deepEqual(after('fleet-root', 'register', 'acme', ''), []);
  assert.deepEqual(after('credentials', 'create', 'acme', '--output', ''), []);
});

test('whatever is asked, it answers with words and nothing else', async () => {
  let said = '';
  const terminal = {
    out: (text: string | Uint8Array) => void (said += String(text)),
    err: () => assert.fail(),
    ask: async () => null,
    askSecret: async () => null,
  };
  for (const words of [[], [''], ['--'], ['-'], ['--data'], ['device', 'list', '--state='], ['\u0000', '\n']]) {
    assert.equal(await run(['complete', '--', ...words], {}, terminal), 0);
  }
  assert.match(said, /^([a-z-]+\n)*$/);
});

for (const shell of ['bash', 'zsh', 'fish'] as const) {
  test(`${shell} reads its script and completes by it`, { skip: needs(shell) }, async () => {
    await using directory = await temporaryDirectory();
    const program = directory.file('fleetroot');
    const node = process.execPath;
    const main = new URL('../../src/main.ts', import.meta.url).pathname;
    writeFileSync(program, `#!/bin/sh\nexec '${node}' '${main}' "$@"\n`, { mode: 0o755 });
    const script = directory.file('script');
    writeFileSync(script, completionScripts[shell]);
    const asked = {
      bash: `source ${script}; COMP_WORDS=(${program} fleet-root dis); COMP_CWORD=2; _fleetroot; echo "\${COMPREPLY[@]}"`,
      zsh: `compdef() { :; }; compadd() { echo "\${(P)2}"; }; _files() { :; }; source ${script}; words=(${program} fleet-root dis); CURRENT=3; _fleetroot`,
      fish: `source ${script}; function commandline; if test $argv[1] = -opc; printf '%s\\n' ${program} fleet-root; else; echo dis; end; end; string join ' ' (__fleetroot_complete)`,
    }[shell];
    assert.equal(execFileSync(shell, ['-c', asked], { encoding: 'utf8' }).trim(), 'disable distrust');
  });
}
