// The policy that docs/production.md gives the server in OpenBao: it suffices for all that the custodian does, and nothing
// in it is superfluous.

import assert from 'node:assert/strict';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';

import type { Custodian, CustodyKey } from '../../src/custody/custodian.ts';
import { Secret } from '../../src/secret.ts';
import { openbao, OpenBao } from '../support/openbao.ts';
import { byToken, newKey, signSomething, vaultOf } from '../support/vault-custodian.ts';

/** One path of a policy, as the page has it. */
interface Stanza {
  path: string;
  capabilities: string[];
  rest: string;
}

/** The policies on the page, in their order: the one that every server needs, and what may be added. */
async function policies(): Promise<Stanza[][]> {
  const page = await readFile(new URL('../../docs/production.md', import.meta.url), 'utf8');
  return [...page.matchAll(/^```hcl\n(.*?)^```$/gms)].map(([, block]) =>
    [...block!.matchAll(/^path "([^"]+)" \{\n\s*capabilities\s*= \[([^\]]*)\]\n(.*?)^\}$/gms)].map(
      ([, path, capabilities, rest]) => ({
        path: path!,
        capabilities: [...capabilities!.matchAll(/"(\w+)"/g)].map(([, one]) => one!),
        rest: rest!,
      }),
    ),
  );
}

function written(stanzas: readonly Stanza[]): string {
  return stanzas
    .map(
      ({ path, capabilities, rest }) => `path "${path}" {\n  capabilities = ${JSON.stringify(capabilities)}\n${rest}}`,
    )
    .join('\n');
}

/** All policies with one capability less, each with what is taken out. */
function lesser(stanzas: readonly Stanza[]): { without: string; policy: string }[] {
  return stanzas.flatMap((stanza, at) =>
    stanza.capabilities.map((capability) => {
      const left = { ...stanza, capabilities: stanza.capabilities.filter((one) => one !== capability) };
      return { without: `${capability} of ${stanza.path}`, policy: written(stanzas.with(at, left)) };
    }),
  );
}

/** What a custodian does for a server whose keys stay in the vault. The login is by the way: it renews the token. */
const everyday: Record<string, (custodian: Custodian, keys: Keys) => Promise<unknown>> = {
  check: (custodian) => custodian.check(),
  create: (custodian) => newKey(custodian),
  publicKey: (custodian, { plain }) => custodian.publicKey(plain),
  sign: (custodian, { plain }) => signSomething(custodian, plain),
  destroy: (custodian, { doomed }) => custodian.destroy(doomed),
};

/** What it does where keys move. */
const moving: typeof everyday = {
  async import(custodian) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    using secret = new Secret(privateKey.export({ type: 'pkcs8', format: 'der' }));
    await custodian.import({ id: randomUUID(), keyType: 'p256', exportable: false }, secret);
  },
  export: async (custodian, { exportable }) => (await custodian.export(exportable)).wipe(),
};

interface Keys {
  plain: CustodyKey;
  exportable: CustodyKey;
  doomed: CustodyKey;
}

/** A server that has those keys, and custodians with other policies over it. */
class Story implements AsyncDisposable {
  readonly bao: OpenBao;
  readonly #root: Custodian;

  private constructor(bao: OpenBao) {
    this.bao = bao;
    this.#root = vaultOf(bao);
  }

  static async open(): Promise<Story> {
    const bao = await OpenBao.dev();
    await bao.transit();
    return new Story(bao);
  }

  /** A token that may do what this policy says, and nothing else. */
  async tokenOf(policy: string): Promise<string> {
    const name = randomUUID();
    await this.bao.policy(name, policy);
    return this.bao.token({ policies: [name], ttl: '1h', noDefaultPolicy: true });
  }

  /** Which of these it cannot do with this policy. */
  async refused(policy: string, ...all: (typeof everyday)[]): Promise<string[]> {
    await using custodian = vaultOf(this.bao, { login: byToken(await this.tokenOf(policy)) });
    const keys = {
      plain: await newKey(this.#root),
      exportable: await newKey(this.#root, { exportable: true }),
      doomed: await newKey(this.#root),
    };
    const refused: string[] = [];
    for (const [name, act] of all.flatMap((one) => Object.entries(one))) {
      await act(custodian, keys).catch((error: { fault?: string }) => {
        assert.equal(error.fault, 'denied', name);
        refused.push(name);
      });
    }
    return refused;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#root[Symbol.asyncDispose]();
    await this.bao[Symbol.asyncDispose]();
  }
}

describe('the least-privilege policy of docs/production.md', { skip: openbao() }, () => {
  test('suffices for a server whose keys stay in the vault, and lets no key in or out', async () => {
    await using story = await Story.open();
    const [base = []] = await policies();
    assert.deepEqual(await story.refused(written(base), everyday, moving), ['import', 'export']);
  });

  test('suffices with its second part for keys that move', async () => {
    await using story = await Story.open();
    const [base = [], more = []] = await policies();
    assert.deepEqual(await story.refused(written([...base, ...more]), everyday, moving), []);
  });

  test('has nothing superfluous: without any part of it, something is refused', async () => {
    await using story = await Story.open();
    const [base = [], more = []] = await policies();
    const variants = lesser([...base, ...more]);
    assert.equal(variants.length, 9);
    for (const { without, policy } of variants) {
      assert.notDeepEqual(await story.refused(policy, everyday, moving), [], `without ${without}`);
    }
  });

  test('keeps whoever has the token from making a key exportable, rotating it, or restoring another in its place', async () => {
    await using story = await Story.open();
    const [base = [], more = []] = await policies();
    const token = await story.tokenOf(written([...base, ...more]));
    const { id } = await newKey(vaultOf(story.bao));
    for (const [path, body] of [
      ['config', { exportable: true }],
      ['config', { deletion_allowed: true, exportable: true }],
      ['config', { allow_plaintext_backup: true }],
      ['rotate', {}],
      ['trim', { min_available_version: 1 }],
    ] as const) {
      const call = story.bao.api('POST', `transit/keys/fleetroot-${id}/${path}`, { body, token });
      await assert.rejects(call, /403/, `${path} ${JSON.stringify(body)}`);
    }
    await assert.rejects(story.bao.api('GET', `transit/backup/fleetroot-${id}`, { token }), /403/);
    await assert.rejects(story.bao.api('POST', 'transit/restore', { body: { backup: '' }, token }), /403/);
  });
});
