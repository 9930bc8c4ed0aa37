// The chain of the audit log as mathematics: whatever is done to a copy, a checkpoint over it tells.

import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ChainCheck,
  type ChainedEntry,
  type Checkpoint,
  hashBeforeFirst,
  hashOfEntry,
  isSignedBy,
  keyOfCheckpoint,
  type Misfit,
  signedCheckpoint,
  textOfCheckpoint,
} from '../../src/registry/audit-chain.ts';

const log = 'c1f5a1c4-8a0f-4d4e-9a53-5b9f0e5f6a10';
const at = '2026-11-22T12:00:00.000Z';

function chained(bodies: readonly string[], id = log): ChainedEntry[] {
  let previous_hash = hashBeforeFirst(id);
  return bodies.map((body, index) => {
    const entry = { number: index + 1, previous_hash, body, hash: hashOfEntry(previous_hash, index + 1, body) };
    previous_hash = entry.hash;
    return entry;
  });
}

function misfitOf(entries: readonly ChainedEntry[], checkpoints: readonly Checkpoint[] = []): Misfit | null {
  const check = new ChainCheck(log, checkpoints);
  return entries.reduce<Misfit | null>((found, entry) => found ?? check.take(entry), check.stranger) ?? check.end();
}

const over = (entry: ChainedEntry): Checkpoint => ({ log, number: entry.number, hash: entry.hash, at });

/** Bodies, and a place among them. */
const some = fc
  .array(fc.string({ unit: 'binary' }), { minLength: 2, maxLength: 12 })
  .chain((bodies) => fc.record({ bodies: fc.constant(bodies), place: fc.nat(bodies.length - 1) }));

test('the hashes are those that docs/verify-the-audit-log.md says how to compute', () => {
  assert.equal(hashBeforeFirst(log), '868e6abca8cbf98d7dcbf45e8e412bcb0033acb37e3e187681260cd7bbed893a');
  const [first, second] = chained(['{"a":1}', '{"a":2}']);
  assert.equal(first!.hash, '60ec10aa52bcff1cfebb40ff172ba0cb7fb9e5a196b4ef0c2d152f62f5e70d57');
  assert.equal(second!.hash, '7cb8902cc1ec9a18de4278cad2fc29ddfd271090dda3ea061592e4a076e541cf');
});

test('a log as it was written fits, whatever is in it, and up to where the checkpoint was made', () => {
  fc.assert(
    fc.property(some, ({ bodies, place }) => {
      const entries = chained(bodies);
      assert.equal(misfitOf(entries, [over(entries[place]!)]), null);
    }),
  );
});

test('an entry that was changed, cut out, put elsewhere or added is named', () => {
  fc.assert(
    fc.property(some, fc.string({ unit: 'binary' }), ({ bodies, place }, other) => {
      const entries = chained(bodies);
      const entry = entries[place]!;
      const last = [over(entries.at(-1)!)];
      if (entry.body !== other) {
        assert.equal(misfitOf(entries.with(place, { ...entry, body: other }), last)?.number, entry.number);
      }
      assert.equal(misfitOf(entries.toSpliced(place, 1), last)?.number, entry.number);
      assert.equal(misfitOf(entries.toSpliced(place, 0, entry), last)?.number, entry.number + 1);
      assert.equal(misfitOf(entries.slice(0, place), last)?.number, place + 1);
    }),
  );
});

test('a history that was chained anew from any entry on does not fit a checkpoint over it or what came after', () => {
  fc.assert(
    fc.property(some, ({ bodies, place }) => {
      const entries = chained(bodies);
      const anew = chained(bodies.with(place, `${bodies[place]}!`));
      assert.equal(misfitOf(anew), null, 'by itself it fits');
      for (const seen of entries.slice(place)) assert.equal(misfitOf(anew, [over(seen)])?.number, seen.number);
      for (const seen of entries.slice(0, place)) assert.equal(misfitOf(anew, [over(seen)]), null);
    }),
  );
});

test('no entry fits into another log, and no checkpoint', () => {
  const other = 'another log';
  const entries = chained(['a', 'b'], other);
  assert.equal(misfitOf(entries)?.number, 1);
  assert.match(misfitOf(chained(['a']), [{ ...over(entries[0]!), log: other }])?.sentence ?? '', /another history/);
});

test('a checkpoint is verified by its key alone, and by no other, with each of its members as it was signed', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [entry] = chained(['{}']);
  const signature = sign('sha256', Buffer.from(textOfCheckpoint(over(entry!))), privateKey);
  const public_key = publicKey.export({ type: 'spki', format: 'der' });
  const signed = signedCheckpoint(log, { ...entry!, at: Date.parse(at), public_key, signature });
  assert.ok(isSignedBy(signed, publicKey) && isSignedBy(signed, keyOfCheckpoint(signed)));
  assert.ok(!isSignedBy(signed, generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey));
  for (const changed of [
    { log: 'x' },
    { number: 2 },
    { hash: 'x' },
    { at: 'x' },
    { signature: `${signed.signature} ` },
  ]) {
    assert.ok(!isSignedBy({ ...signed, ...changed }, publicKey), JSON.stringify(changed));
  }
});
