import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { commands } from '../../src/cli/commands.ts';
import { commandHelp, commandReference, helpText } from '../../src/cli/help.ts';

const file = new URL('../../docs/commands.md', import.meta.url);
const mark = /<!-- What follows is written by .* -->\n/;

function reference(): string {
  return commands.map((each) => `\n### ${each.words.join(' ')}\n\n\`\`\`\n${commandReference(each)}\`\`\`\n`).join('');
}

test('docs/commands.md tells of every command and option what --help tells', () => {
  const text = readFileSync(file, 'utf8');
  const [line = ''] = mark.exec(text) ?? [];
  const [before = ''] = text.split(mark);
  if (process.env['FLEETROOT_WRITE_DOCS']) writeFileSync(file, before + line + reference());
  assert.equal(readFileSync(file, 'utf8'), before + line + reference());
});

test('the overview names every command, and a group of commands its own', () => {
  const overview = helpText([], commands);
  for (const { words } of commands) assert.ok(overview.includes(`  ${words.join(' ')} `), words.join(' '));
  const group = helpText(['fleet-root'], commands);
  assert.ok(group.includes('fleet-root distrust') && !group.includes('account create'));
  assert.throws(() => helpText(['fleet-rot'], commands), /there is no command "fleet-rot"/);
});

test('every argument and option is explained', () => {
  for (const command of commands) {
    const help = commandHelp(command);
    for (const { about, shown } of [...Object.values(command.arguments), ...Object.values(command.options)]) {
      assert.ok(
        about.length > 3 && help.includes(about) && help.includes(shown),
        `${command.words.join(' ')}: ${shown}`,
      );
    }
  }
});

test('the commands are those of the contract', () => {
  const contract = {
    serve: [''],
    demo: [''],
    account: [
      'create',
      'list',
      'show',
      'delete',
      'set',
      'host add',
      'host remove',
      'file set',
      'file remove',
      'gateway-ca switch',
      'gateway-ca export',
      'gateway-ca erase',
      'gateway-ca import',
      'operators',
    ],
    event: ['list', 'follow'],
    webhook: ['create', 'list', 'show', 'set', 'delete', 'test', 'rotate-secret', 'deliveries', 'redeliver'],
    credentials: ['create'],
    'provisioning-key': ['list', 'show', 'disable'],
    'fleet-root': [
      'export',
      'register',
      'list',
      'show',
      'activate',
      'close',
      'disable',
      'set',
      'add-intermediate',
      'distrust',
      'trust',
      'successor',
      'changes',
      'apply',
    ],
    device: [
      'list',
      'count',
      'export',
      'suspend-all',
      'resume-all',
      'revoke-all',
      'label',
      'ecus',
      'show',
      'approve',
      'reject',
      'suspend',
      'resume',
      'revoke',
      'delete',
      'reprovision',
      'move-root',
    ],
    certificate: ['list', 'revoke'],
    'allow-list': ['import', 'list', 'count', 'remove'],
    manifest: ['import', 'list', 'reconcile', 'certificates'],
    refusal: ['list'],
    explain: [''],
    upstream: ['set', 'list', 'remove', 'preset'],
    token: ['create', 'list', 'revoke'],
    operator: [
      'create',
      'list',
      'show',
      'disable',
      'enable',
      'end-sessions',
      'reset',
      'promote',
      'demote',
      'rename',
      'delete',
      'grant',
      'invite',
      'withdraw',
    ],
    custody: ['list', 'show', 'check', 'move', 'rotate-master'],
    node: ['list', 'forget'],
    audit: ['list', 'export', 'checkpoint', 'verify'],
    backup: [''],
    restore: [''],
    restoration: ['show', 'acknowledge'],
    registry: ['move'],
    login: [''],
    logout: [''],
    whoami: [''],
    context: ['list', 'use'],
    factory: [
      'serve',
      'station add',
      'station list',
      'station remove',
      'root create',
      'root show',
      'root sign-line',
      'root list',
      'line request',
      'line accept',
      'line show',
      'mandate list',
      'order add',
      'order list',
      'order show',
      'window open',
      'window close',
      'window list',
      'rework',
      'status',
      'certificate list',
      'certificate show',
      'log list',
      'log verify',
      'log head',
      'clock accept',
      'sign-batch',
      'export',
      'tpm-root add',
      'tpm-root list',
      'tpm-root remove',
    ],
    completion: [''],
  };
  const expected = Object.entries(contract).flatMap(([group, words]) => words.map((word) => `${group} ${word}`.trim()));
  assert.deepEqual(commands.map(({ words }) => words.join(' ')).sort(), expected.sort());
});
