import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commands } from '../../src/cli/commands.ts';
import { UsageError } from '../../src/cli/failure.ts';
import { parse } from '../../src/cli/parse.ts';

const read = (line: string) => parse(line.split(' ').filter(Boolean), commands);

function given(line: string): Record<string, unknown> {
  const parsed = read(line);
  assert.equal(parsed.kind, 'run');
  return parsed.kind === 'run' ? parsed.given : {};
}

function refused(words: readonly string[]): UsageError {
  try {
    parse(words, commands);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error(`${words.join(' ')} was not refused`);
}

test('options may stand before, between and after the words of a command', () => {
  const expected = { name: 'acme', kind: 'production', exportable: undefined, 'owner-key': undefined };
  for (const line of [
    'account create acme --kind production',
    '--kind production account create acme',
    'account --kind=production create acme',
    'account create --kind production acme',
  ]) {
    assert.deepEqual(given(line), expected, line);
  }
  assert.deepEqual(read('--data /d --json account list --yes'), {
    ...read('account list'),
    pointers: { data: '/d' },
    json: true,
    yes: true,
  });
});

test('a short option is the long one', () => {
  assert.equal(given('credentials create acme -o a.zip')['output'], 'a.zip');
  assert.equal(given('credentials create acme -oa.zip')['output'], 'a.zip');
  assert.equal(given('credentials create acme --output a.zip')['output'], 'a.zip');
});

test('an option that may be repeated gives all its values, another stands once', () => {
  assert.deepEqual(given('credentials create acme -o x --network 10.0.0.0/8 --network ::/0')['network'], [
    '10.0.0.0/8',
    '::/0',
  ]);
  assert.match(refused(['account', 'create', 'a', '--kind', 'test', '--kind', 'test']).message, /--kind stands twice/);
});

test('several devices can be named where the usage says so', () => {
  assert.deepEqual(given('allow-list remove acme a b c')['devices'], ['a', 'b', 'c']);
});

test('what begins with a dash can be an argument, after two dashes', () => {
  assert.deepEqual(given('device show acme -- --json'), { account: 'acme', device: '--json' });
  assert.equal(given('account set acme --namespace=--json')['namespace'], '--json');
});

test('an option does not swallow the option behind it', () => {
  assert.match(refused(['account', 'set', 'acme', '--namespace', '--json']).message, /--namespace needs a value/);
});

test('explain takes an account and a chain, or roots and a chain', () => {
  assert.deepEqual(given('explain acme chain.pem'), { words: ['acme', 'chain.pem'], root: [] });
  assert.deepEqual(given('explain --root a.crt b.crt chain.pem'), { words: ['b.crt', 'chain.pem'], root: ['a.crt'] });
  assert.deepEqual(given('explain chain.pem --root a.crt --root b.crt'), {
    words: ['chain.pem'],
    root: ['a.crt', 'b.crt'],
  });
  assert.match(refused(['explain', 'chain.pem']).message, /give ACCOUNT and CHAIN.pem, or --root/);
});

test('refusals are listed of an account or of none, never of both', () => {
  const [ofAccount, ofNone] = [given('refusal list acme'), given('refusal list --unassigned')];
  assert.deepEqual([ofAccount['account'], ofAccount['unassigned']], ['acme', false]);
  assert.deepEqual([ofNone['account'], ofNone['unassigned']], [undefined, true]);
  for (const words of [
    ['refusal', 'list'],
    ['refusal', 'list', 'acme', '--unassigned'],
  ]) {
    assert.match(refused(words).message, /either ACCOUNT or --unassigned/);
  }
});

test('a duration or an instant is taken where the usage shows one', () => {
  const { expires } = given('credentials create acme -o x --expires 2099-01-31T12:00:00Z');
  assert.equal(expires, '2099-01-31T12:00:00.000Z');
  assert.match(String(given('credentials create acme -o x --expires 90d')['expires']), /^\d{4}-\d\d-\d\dT.*Z$/);
  assert.equal(given('account set acme --validity 90d')['validity'], '90d');
  assert.match(String(given('account set acme --validity 2099-01-31T12:00:00Z')['validity']), /^\d{9,}s$/);
  assert.match(refused(['account', 'set', 'acme', '--validity', 'soon']).message, /neither a duration nor an instant/);
  assert.match(refused(['account', 'set', 'acme', '--validity', '2001-01-01T00:00:00Z']).message, /to come/);
});

test('wrong usage is told with the usage of the command meant, and where to read more', () => {
  const missing = refused(['account', 'create']);
  assert.equal(missing.message, 'NAME is missing');
  assert.equal(
    missing.usage,
    'fleetroot account create NAME [--kind test|production] [--exportable yes|no] [--owner-key FILE]',
  );
  assert.equal(missing.hint, '`fleetroot account create --help` explains it');
  assert.match(refused(['account', 'create', 'a', 'b']).message, /"b" is one word too many/);
  assert.match(refused(['account', 'delete', '']).message, /an argument is empty/);
  assert.match(refused(['account', 'create', 'a', '--wrong']).message, /account create has no option --wrong/);
  assert.match(refused(['account', 'create', 'a', '-z']).message, /has no option -z/);
  assert.match(refused(['account', 'create', 'a', '--kind', 'x']).message, /--kind: "x" is none of test, production/);
  assert.match(refused(['credentials', 'create', 'a']).message, /^-o FILE is missing$/);
  assert.match(refused(['credentials', 'create', 'a', '-o']).message, /^-o needs FILE$/);
  assert.match(refused(['credentials', 'create', 'a', '-o', 'x', '--max-uses', '0']).message, /whole number from 1/);
  for (const port of ['x', '-1', '65536', '8443.5']) {
    assert.match(refused(['serve', `--gateway-port=${port}`]).message, /no whole number from 0 to 65535/);
  }
  assert.match(refused(['serve', '--public-port', '0']).message, /no whole number from 1 to 65535/);
  assert.match(refused(['account', 'list', '--json=yes']).message, /--json takes no value/);
  assert.match(refused(['account', 'set', 'acme']).message, /nothing is to be changed/);
  assert.match(refused(['serve', '--json']).message, /serve has no option --json/);
});

test('a word that is missing or wrong is told with the words that there are', () => {
  assert.match(refused(['account']).message, /"account" needs one word more/);
  assert.match(refused(['account', 'host']).hint ?? '', /account host add, account host remove/);
  assert.match(refused(['account', 'destroy', 'x']).message, /there is no command "account destroy"/);
  assert.match(refused(['acount']).message, /there is no command "acount"/);
  assert.match(refused(['--json']).message, /there is no command$/);
});

test('help and version are asked for anywhere, whatever else is wrong', () => {
  assert.deepEqual(read('account create --help --wrong'), { kind: 'help', words: ['account', 'create'] });
  assert.deepEqual(read('-h'), { kind: 'help', words: [] });
  assert.deepEqual(read(''), { kind: 'help', words: [] });
  assert.deepEqual(read('--version'), { kind: 'version' });
});

test('no name means an option with a value in one command and without in another', () => {
  const kinds = new Map<string, boolean>();
  for (const { options } of commands) {
    for (const [name, { occurs }] of Object.entries(options)) {
      const isFlag = occurs === 'flag';
      assert.equal(kinds.get(name) ?? isFlag, isFlag, name);
      kinds.set(name, isFlag);
    }
  }
});
