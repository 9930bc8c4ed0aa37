// Asks for the paths of made certificates, with what is ordinary filled in.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { mock } from 'node:test';

import { parseCertificate } from '../../src/x509/certificate.ts';
import { findPaths, type Path, type PathFailure } from '../../src/x509/path.ts';
import { now, type Made } from './certificate-maker.ts';

export interface Question {
  /** A CA is its own ID by its subject; or IDs and CAs. */
  readonly anchors: readonly Made[] | readonly (readonly [id: string, anchor: Made])[];
  readonly others?: readonly Made[];
  readonly at?: number;
  readonly tolerance?: number;
  readonly excluded?: readonly Made[];
}

/** The answer for a leaf. Everything is parsed anew, as it would be from the wire. */
export function search(leaf: Made, question: Question): { paths: Path[]; failure: PathFailure | null } {
  const anew = ({ certificate }: Made): ReturnType<typeof parseCertificate> => parseCertificate(certificate.der);
  return findPaths({
    leaf: anew(leaf),
    others: (question.others ?? []).map(anew),
    anchors: question.anchors.map((anchor) => {
      const [id, made] = 'key' in anchor ? [anchor.certificate.subject.text, anchor] : anchor;
      return { id, certificate: anew(made) };
    }),
    now: question.at ?? now,
    tolerance: question.tolerance ?? 0,
    excluded: new Set((question.excluded ?? []).map(({ certificate }) => certificate.publicKey.sha256)),
  });
}

/** Asserts that there is exactly one path, and gives the subjects on it, the leaf first. */
export function accepts(leaf: Made, question: Question): string[] {
  const { paths, failure } = search(leaf, question);
  assert.equal(failure, null);
  assert.equal(paths.length, 1);
  return paths[0]!.certificates.map(({ subject }) => subject.text);
}

/** Asserts that there is no path, for this reason. */
export function refuses(leaf: Made, question: Question, code: PathFailure['code'], rule: RegExp): void {
  const { paths, failure } = search(leaf, question);
  assert.deepEqual(paths, []);
  assert.ok(failure);
  assert.equal(failure.code, code, failure.rule);
  assert.match(failure.rule, rule);
}

/** How many signatures are checked while `run` runs. */
export function countSignatureChecks(run: () => void): number {
  const { mock: counter } = mock.method(crypto, 'verify');
  syncBuiltinESMExports();
  try {
    run();
    return counter.callCount();
  } finally {
    counter.restore();
    syncBuiltinESMExports();
  }
}
