// Verdicts remembered: until something changes under them, until they end, and never from before a change.

import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { Connection } from '../../src/gateway/connections.ts';
import { rememberedPeer } from '../../src/gateway/peer.ts';
import { Trust } from '../../src/gateway/trust.ts';
import { type Verdict, Verdicts } from '../../src/gateway/verdicts.ts';
import { mostCertificates } from '../../src/provisioning/device-identity.ts';
import type { Change } from '../../src/registry/changes.ts';

const device = (uuid: string, validUntil = 100): Verdict =>
  ({ kind: 'device', device: { uuid }, validUntil, publicKeys: [] }) as unknown as Verdict;
const provisioningKey = (id: string): Verdict =>
  ({ kind: 'provisioning_key', provisioningKey: { id }, validUntil: 100, publicKeys: [] }) as unknown as Verdict;

describe('verdicts', () => {
  let verdicts: Verdicts;
  beforeEach(() => {
    verdicts = new Verdicts();
  });

  const remember = (account: string, leaf: string, verdict: Verdict): void =>
    verdicts.remember(account, leaf, verdict, verdicts.epoch);

  test('are of one leaf in one account', () => {
    remember('one', 'leaf', device('d'));
    assert.ok(verdicts.find('one', 'leaf', 0));
    assert.equal(verdicts.find('other', 'leaf', 0), null);
    assert.equal(verdicts.find('one', 'another', 0), null);
  });

  test('end with their certificate, whose last instant counts', () => {
    remember('one', 'leaf', device('d', 100));
    assert.ok(verdicts.find('one', 'leaf', 100));
    assert.equal(verdicts.find('one', 'leaf', 101), null);
  });

  test('that were worked out before a change are not remembered after it', () => {
    const { epoch } = verdicts;
    verdicts.forget({ kind: 'device', account_id: 'one', device_uuid: 'd' });
    verdicts.remember('one', 'leaf', device('d'), epoch);
    assert.equal(verdicts.find('one', 'leaf', 0), null);
  });

  test('are forgotten at a change that concerns them, and at no other', () => {
    for (const [change, forgotten] of [
      [{ kind: 'device', account_id: 'one', device_uuid: 'd1' }, ['d1', 'd1 again']],
      [{ kind: 'provisioning_key', account_id: 'one', provisioning_key_id: 'k' }, ['k']],
      [{ kind: 'trust', account_id: 'one' }, ['d1', 'd1 again', 'd2', 'k']],
      [{ kind: 'account', account_id: 'one' }, ['d1', 'd1 again', 'd2', 'k']],
      [{ kind: 'account', account_id: 'nobody' }, []],
    ] as const satisfies [Change, string[]][]) {
      verdicts = new Verdicts();
      remember('one', 'd1', device('d1'));
      remember('one', 'd1 again', device('d1'));
      remember('one', 'd2', device('d2'));
      remember('one', 'k', provisioningKey('k'));
      remember('other', 'd3', device('d3'));
      verdicts.forget(change);
      const gone = ['d1', 'd1 again', 'd2', 'k'].filter((leaf) => verdicts.find('one', leaf, 0) === null);
      assert.deepEqual(gone, forgotten, change.kind);
      assert.ok(verdicts.find('other', 'd3', 0));
    }
  });
});

describe('who a connection was found to be', () => {
  const standing = { reachable: true, since: 0 };
  const registry = { standing };
  let trust: Trust;
  let shown: { ders: Buffer[]; tbsSha256: string | null };
  beforeEach(() => {
    standing.reachable = true;
    trust = new Trust({ registry } as unknown as ConstructorParameters<typeof Trust>[0], 60);
    trust.verdicts.remember('one', 'leaf', device('d', 100), trust.verdicts.epoch);
    shown = { ders: [Buffer.from('leaf')], tbsSha256: 'leaf' };
  });

  const found = (now: number) =>
    rememberedPeer(trust, { account_id: 'one', shown } as unknown as Connection, now)?.kind ?? null;

  test('counts until its certificate ends', () => {
    assert.equal(found(100), 'device');
    assert.equal(found(101), null);
  });

  test('counts until the device, what its account trusts, the account, or anything unknown has changed', () => {
    for (const change of [
      { kind: 'device', account_id: 'one', device_uuid: 'd' },
      { kind: 'trust', account_id: 'one' },
      { kind: 'account', account_id: 'one' },
      { kind: 'everything' },
    ] as const satisfies Change[]) {
      trust.verdicts.remember('one', 'leaf', device('d', 100), trust.verdicts.epoch);
      assert.equal(found(0), 'device');
      trust.forget(change);
      assert.equal(found(0), null, change.kind);
    }
  });

  test('counts for the leaf that was shown, with no more beside it than may be', () => {
    shown.ders.push(...Array.from({ length: mostCertificates }, () => Buffer.from('another')));
    assert.equal(found(0), null);
    shown = { ders: [Buffer.from('other')], tbsSha256: 'other' };
    assert.equal(found(0), null);
    shown = { ders: [], tbsSha256: null };
    assert.equal(found(0), null);
  });

  test('counts no longer than the registry may be away', () => {
    standing.reachable = false;
    assert.equal(found(59), 'device');
    assert.throws(() => found(60), { code: 'unavailable' });
  });
});
