// Patterns of device IDs, which tenants write: they match the whole ID, and none is slow.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkPattern, matchesPattern } from '../../src/provisioning/device-id.ts';

describe('a pattern of device IDs', () => {
  test('matches the whole ID or nothing', () => {
    assert.ok(matchesPattern('car-[0-9]{3}', 'car-001'));
    for (const other of ['xcar-001', 'car-0011', 'car-001\n', 'CAR-001'])
      assert.ok(!matchesPattern('car-[0-9]{3}', other));
    assert.ok(matchesPattern('[\\p{L}\\p{N} ._-]{1,64}', 'Ärmelkanal 7'));
  });

  test('is refused where its repetitions make a large program of it, which every character would run through', () => {
    for (const pattern of ['(a?){1000}', '((a?){30}){30}', '((a?){999}|(b?){999}|(c?){999}|(d?){999})'.repeat(12)]) {
      assert.throws(() => checkPattern(pattern), { code: 'invalid_request', message: /repeats too much/ });
    }
    for (const pattern of ['(a?){400}', '(([a-z])+.)+[A-Z]([a-z])+', '[a-z0-9-]{1,64}']) checkPattern(pattern);
  });
});
