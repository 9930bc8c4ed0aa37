// The search for paths among what a stranger sends: any order, duplicates, loops, floods, and no running away.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';

import fc from 'fast-check';

import { parseCertificate, type Certificate } from '../../src/x509/certificate.ts';
import { octetString, sequence, implicit } from '../../src/x509/der-write.ts';
import { extensionOids } from '../../src/x509/extensions.ts';
import { sameName } from '../../src/x509/name.ts';
import { findPaths } from '../../src/x509/path.ts';
import {
  day,
  extension,
  general,
  make,
  makeCa,
  nameConstraints,
  newKey,
  now,
  subjectAltName,
  type Made,
} from '../support/certificate-maker.ts';
import { accepts, countSignatureChecks, refuses, search } from '../support/path-search.ts';

const root = makeCa('Root');
const anchors = [root];
const keys = Array.from({ length: 12 }, () => newKey());

test('intermediates are found in any order, with duplicates, the root, the leaf and strangers among them', () => {
  const a = makeCa('A', { by: root });
  const b = makeCa('B', { by: a });
  const leaf = make({ by: b });
  const stranger = makeCa('Stranger');
  const crowd = [a, b, a, b, root, leaf, stranger, makeCa('A', { by: stranger }), make({ subject: 'B' })];
  fc.assert(
    fc.property(fc.shuffledSubarray(crowd, { minLength: crowd.length }), (others) => {
      assert.deepEqual(accepts(leaf, { anchors, others }), ['CN=device-1', 'CN=B', 'CN=A', 'CN=Root']);
    }),
    { numRuns: 50 },
  );
});

test('of several CAs with one name, the one whose key signed is found, also where key identifiers mislead', () => {
  const identified = (hex: string): Buffer =>
    extension(extensionOids.subjectKeyIdentifier, octetString(Buffer.from(hex, 'hex')));
  const cas = keys
    .slice(0, 4)
    .map((key, index) => makeCa('Factory', { key, by: root, extensions: [identified(`0${index}`)] }));
  for (const [index, ca] of cas.entries()) {
    for (const wanted of [index, 0, 9]) {
      const authority = extension(
        extensionOids.authorityKeyIdentifier,
        sequence(implicit(0, Buffer.of(wanted), false)),
      );
      const leaf = make({ by: ca, extensions: [authority] });
      const { paths } = search(leaf, { anchors, others: cas });
      assert.deepEqual(
        paths.map(({ certificates }) => certificates[1]!.publicKey.sha256),
        [ca.certificate.publicKey.sha256],
      );
    }
  }
});

test('a key identifier leads to the right one of many CAs at once', () => {
  const identified = (index: number): Buffer =>
    extension(extensionOids.subjectKeyIdentifier, octetString(Buffer.of(index)));
  const cas = keys.map((key, index) => makeCa('Factory', { key, by: root, extensions: [identified(index)] }));
  const authority = extension(extensionOids.authorityKeyIdentifier, sequence(implicit(0, Buffer.of(11), false)));
  const leaf = make({ by: cas[11]!, extensions: [authority] });
  assert.equal(
    countSignatureChecks(() => accepts(leaf, { anchors, others: cas })),
    2,
  );
});

test('of two certificates of one CA, a valid one is enough', () => {
  const ended = makeCa('A', { key: keys[0]!, by: root, notAfter: now - 1_000 });
  const narrow = makeCa('A', {
    key: keys[0]!,
    by: root,
    extensions: [nameConstraints({ permitted: [general.dns('a')] })],
  });
  const fine = makeCa('A', { key: keys[0]!, by: root });
  const leaf = make({ by: fine, extensions: [subjectAltName(general.dns('b'))] });
  for (const others of [
    [ended, narrow, fine],
    [fine, narrow, ended],
  ])
    accepts(leaf, { anchors, others });
  refuses(leaf, { anchors, others: [narrow] }, 'certificate_invalid', /name constraints/);
  refuses(leaf, { anchors, others: [ended] }, 'certificate_expired', /"CN=A" expired/);
});

test('of several failures the one that is told is that of a complete chain', () => {
  const ended = makeCa('A', { key: keys[0]!, by: root, notAfter: now - 1_000 });
  const sha1 = makeCa('A', { key: keys[1]!, by: root, algorithm: 'ecdsa-sha1' });
  const leaf = make({ by: ended });
  for (const others of [
    [ended, sha1],
    [sha1, ended],
  ])
    refuses(leaf, { anchors, others }, 'certificate_expired', /"CN=A" expired/);
  refuses(leaf, { anchors, others: [sha1] }, 'certificate_invalid', /signed by ECDSA with SHA-1/);
});

test('cross-certificates lead to whichever root is trusted, and their loop ends', () => {
  const [one, two] = [makeCa('One'), makeCa('Two')];
  const oneByTwo = makeCa('One', { key: one.key, by: two });
  const twoByOne = makeCa('Two', { key: two.key, by: one });
  const leaf = make({ by: one });
  const others = [oneByTwo, twoByOne, one, two];
  accepts(leaf, { anchors: [one], others });
  assert.deepEqual(accepts(leaf, { anchors: [two], others }), ['CN=device-1', 'CN=One', 'CN=Two']);
  refuses(
    leaf,
    { anchors, others },
    'certificate_untrusted',
    /"CN=One" is signed by itself|"CN=Two" is signed by itself/,
  );
  refuses(
    leaf,
    { anchors, others: [oneByTwo, twoByOne] },
    'certificate_untrusted',
    /The issuers of "CN=device-1" lead in a circle/,
  );
});

test('a certificate that is its own issuer, fifty times over, changes nothing', () => {
  const loop = makeCa('Loop');
  const leaf = make({ by: loop });
  const many = Array.from({ length: 50 }, () => loop);
  refuses(leaf, { anchors, others: many }, 'certificate_untrusted', /"CN=Loop" is signed by itself/);
  assert.equal(
    countSignatureChecks(() => search(leaf, { anchors, others: many })),
    0,
  );
});

test('duplicates are looked at once', () => {
  const a = makeCa('A', { by: root });
  const impostor = make({ by: makeCa('A') });
  const others = Array.from({ length: 9 }, () => a);
  assert.equal(
    countSignatureChecks(() => search(impostor, { anchors, others })),
    2,
  );
});

test('a chain of fifty is followed', () => {
  const chain = [root];
  for (let depth = 1; depth <= 50; depth += 1)
    chain.push(makeCa(`CA ${depth}`, { key: keys[depth % 12]!, by: chain.at(-1)! }));
  const leaf = make({ by: chain.at(-1)! });
  assert.equal(accepts(leaf, { anchors, others: chain.slice(1).toReversed() }).length, 52);
});

test('no key is used before something trusted vouches for it: strangers cost nothing', () => {
  const stranger = makeCa('Stranger');
  const chain = [stranger];
  for (let depth = 1; depth < 9; depth += 1) chain.push(makeCa(`S${depth}`, { key: keys[depth]!, by: chain.at(-1)! }));
  assert.equal(
    countSignatureChecks(() => search(make({ by: chain.at(-1)! }), { anchors, others: chain })),
    0,
  );
});

/** What an attacker who holds a CA can send: every CA certified by every other, so that paths are beyond counting. */
function everyoneByEveryone(count: number): Made[] {
  const cas = keys.slice(0, count).map((key, index) => makeCa(`C${index}`, { key, by: root }));
  return cas.flatMap((ca) => [
    ca,
    ...cas.filter((other) => other !== ca).map((by) => makeCa(ca.certificate.subject.der, { key: ca.key, by })),
  ]);
}

test('a crowd of CAs that certify each other is given up on, with a bounded number of signature checks', () => {
  const nowhere = make({ by: makeCa('C0') });
  // 12 CAs have 300 million paths between them, 7 have 13,700.
  for (const others of [everyoneByEveryone(12), everyoneByEveryone(7)]) {
    const checks = countSignatureChecks(() =>
      refuses(nowhere, { anchors, others }, 'certificate_untrusted', /given up: too many certificates/),
    );
    assert.ok(checks <= 100, `${checks}`);
  }
});

test('the same CA many times over, each certificate another one, does not multiply paths', () => {
  const cas = Array.from({ length: 30 }, (_, index) =>
    makeCa('A', { key: keys[0]!, by: root, serial: Buffer.of(index + 1) }),
  );
  const selves = Array.from({ length: 30 }, (_, index) =>
    makeCa('A', { key: keys[0]!, by: cas[0]!, serial: Buffer.of(index + 50) }),
  );
  const impostor = make({ by: makeCa('A') });
  refuses(impostor, { anchors, others: [...cas, ...selves] }, 'certificate_untrusted', /"CN=device-1" names "CN=A"/);
  accepts(make({ by: cas[0]! }), { anchors, others: [...selves, ...cas] });
});

test('many keys under one name, each vouching for the next, are given up on', () => {
  const cas = keys.map((key, index) => makeCa('A', { key, by: root, serial: Buffer.of(index + 1) }));
  const selves = cas.flatMap((ca, index) =>
    cas.filter((_, to) => to !== index).map((to) => makeCa('A', { key: to.key, by: ca })),
  );
  const impostor = make({ by: makeCa('A') });
  const checks = countSignatureChecks(() =>
    refuses(impostor, { anchors, others: [...cas, ...selves] }, 'certificate_untrusted', /given up/),
  );
  assert.equal(checks, 100);
});

test('names without end are not compared without end', () => {
  const many = Array.from({ length: 600 }, (_, index) => general.dns(`n${index}`));
  const ca = makeCa('A', { by: root, extensions: [nameConstraints({ permitted: many })] });
  refuses(
    make({ by: ca, extensions: [subjectAltName(...many)] }),
    { anchors, others: [ca] },
    'certificate_invalid',
    /more names than can be held against/,
  );
});

test('a registered intermediate is checked once, however many devices stand under it', () => {
  const factory = parseCertificate(makeCa('Factory', { key: keys[0]!, by: root }).certificate.der);
  const by = { certificate: factory, key: keys[0]! };
  const ask = (): void => {
    const { paths } = findPaths({
      leaf: make({ by }).certificate,
      others: [factory],
      anchors: [{ id: 'root', certificate: root.certificate }],
      now,
      tolerance: 0,
      excluded: new Set(),
    });
    assert.equal(paths.length, 1);
  };
  assert.equal(countSignatureChecks(ask), 2);
  assert.equal(countSignatureChecks(ask), 1);
});

/** A small world of CAs, as numbers: who is certified by whom, and what is wrong with it. */
interface Edge {
  readonly subject: number;
  readonly issuer: number;
  readonly pathLength: number | undefined;
  readonly ended: boolean;
}

const worlds = fc.record({
  edges: fc.array(
    fc.record<Edge>({
      subject: fc.nat(4),
      issuer: fc.nat(4),
      pathLength: fc.option(fc.nat(2), { nil: undefined, freq: 2 }),
      ended: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
    }),
    { minLength: 1, maxLength: 7 },
  ),
  leaf: fc.nat(4),
  excluded: fc.subarray([0, 1, 2, 3, 4], { maxLength: 1 }),
});

// 0 is the root; 3 and 4 have one name, so that their certificates for each other are self-issued.
const world = ['Root', 'W1', 'W2', 'W3', 'W3'].map((name, index) =>
  makeCa(name, { key: index === 0 ? root.key : keys[index]! }),
);

test('the search finds a path exactly where trying every sequence of certificates finds one', () => {
  fc.assert(
    fc.property(worlds, ({ edges, leaf: leafIssuer, excluded }) => {
      const leaf = make({ by: world[leafIssuer]!, key: keys[11]! });
      const others = edges.map(({ subject, issuer, pathLength, ended }) =>
        makeCa(world[subject]!.certificate.subject.der, {
          key: world[subject]!.key,
          by: world[issuer]!,
          ...(pathLength === undefined ? {} : { pathLength }),
          notAfter: ended ? now - 1_000 : now + day,
        }),
      );
      const forbidden = excluded.map((index) => world[index]!);
      const { paths } = search(leaf, { anchors: [world[0]!], others, excluded: forbidden });
      const keysOut = new Set(forbidden.map(({ certificate }) => certificate.publicKey.sha256));
      assert.equal(
        paths.length > 0,
        bruteForce(
          leaf.certificate,
          others.map(({ certificate }) => certificate),
          world[0]!.certificate,
          keysOut,
        ),
      );
    }),
    { numRuns: 150 },
  );
});

/** Every sequence of distinct certificates, by the letter of RFC 5280 §6.1, from the anchor down. */
function bruteForce(
  leaf: Certificate,
  others: readonly Certificate[],
  anchor: Certificate,
  excluded: ReadonlySet<string>,
): boolean {
  const signed = (child: Certificate, issuer: Certificate): boolean =>
    sameName(child.issuer, issuer.subject) &&
    signers.get(child)?.some((key) => key === issuer.publicKey.sha256) === true;
  const signers = new Map([leaf, ...others].map((child) => [child, signersOf(child)]));
  const walk = (issuer: Certificate, left: readonly Certificate[], length: number): boolean => {
    if (excluded.has(issuer.publicKey.sha256)) return false;
    if (signed(leaf, issuer) && !excluded.has(leaf.publicKey.sha256)) return true;
    return left.some((child) => {
      if (!signed(child, issuer) || child.notAfter < now) return false;
      const selfIssued = sameName(child.issuer, child.subject);
      if (!selfIssued && length === 0) return false;
      const own = child.extensions.basicConstraints?.pathLength ?? Infinity;
      return walk(
        child,
        left.filter((other) => other !== child),
        Math.min(selfIssued ? length : length - 1, own),
      );
    });
  };
  return walk(anchor, others, Infinity);
}

/** The keys of the world that have signed a certificate, by the second opinion of `node:crypto`. */
function signersOf(certificate: Certificate): string[] {
  const theirs = new X509Certificate(certificate.der);
  return world
    .filter(({ certificate: ca }) => theirs.verify(ca.publicKey.toKeyObject()))
    .map(({ certificate: ca }) => ca.publicKey.sha256);
}
