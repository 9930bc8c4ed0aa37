// Certification path validation (RFC 5280 §6.1): the search for the paths of a leaf among what was sent.

import { verifySignature, type Certificate } from './certificate.ts';
import type { PublicKey } from './key.ts';
import { comparisonLimit, type ComparisonBudget } from './name-constraints.ts';
import { sameName } from './name.ts';
import { invalid, quote, title, type PathFailure } from './path-failure.ts';
import { atLeaf, belowAnchor, belowIntermediate, isSelfIssued, type Conditions, type PathState } from './path-state.ts';
import { isAcceptedAlgorithm, nameOfRefusedAlgorithm } from './signature.ts';

export type { PathFailure } from './path-failure.ts';

/** A certificate that is trusted because someone said so; one CA's several certificates bear one ID. */
export interface Anchor {
  readonly id: string;
  readonly certificate: Certificate;
}

/** A valid path. Times are ms since 1970. */
export interface Path {
  readonly anchor: Anchor;
  /** The leaf first, the anchor's certificate last. */
  readonly certificates: readonly Certificate[];
  /** The latest notBefore and the earliest notAfter on the path, the anchor's included. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** SHA-256 of every public key on it. */
  readonly publicKeys: readonly string[];
}

/** What is asked. */
export interface PathQuery extends Conditions {
  readonly leaf: Certificate;
  /** Whatever may be an intermediate: in any order, with duplicates and strangers. */
  readonly others: readonly Certificate[];
  readonly anchors: readonly Anchor[];
}

/** What one search has found, and what it may still spend. */
interface Search extends ComparisonBudget {
  readonly query: PathQuery;
  /** The leaf, and then the certificates whose names lead from it upwards. */
  readonly candidates: readonly Certificate[];
  /** Those that a key on a path from an anchor has signed. */
  readonly reached: Set<Certificate>;
  signatureChecks: number;
  steps: number;
  failure: PathFailure | null;
  failureWeight: number;
}

/**
 * Bounds of one search, the furthest that certificates can draw us. An honest chain needs one signature check a
 * certificate and one step a CA. A check takes 30 µs (RSA-2048) to 2 ms (P-521).
 */
const signatureCheckLimit = 100;
const stepLimit = 1_000;

/** How many answers are remembered for one certificate: one for each key that bears its issuer's name. */
const answerLimit = 16;

/** How telling a failure is: that of a complete chain most. */
const weights = { chain: 3, exhausted: 2, algorithm: 1 } as const;

/**
 * Finds the valid paths from the anchors to the leaf (RFC 5280 §6.1): at most one for each anchor ID, followed by names
 * and checked from the anchor down, so that no key is used before something trusted vouches for it. Any one suffices.
 * With no path, the failure that tells most. The leaf's purpose is not judged here, nor is the EKU of a CA. Beyond
 * 100 signature checks (remembered as long as the certificate is) and 1,000 steps it gives up.
 *
 * An anchor may be a subordinate CA; its own path length and name constraints apply (RFC 5937 §3). It need not have
 * basicConstraints, and its own signature is not looked at. Policies: any will do, so none can fail (§6.1.1 (c)).
 */
export function findPaths(query: PathQuery): { paths: Path[]; failure: PathFailure | null } {
  const { leaf, anchors } = query;
  if (anchors.some(({ certificate }) => isSameEntity(certificate, leaf))) {
    return { paths: [], failure: invalid(leaf, 'is a trusted CA itself, and cannot stand for a device') };
  }
  const search: Search = {
    query,
    candidates: candidatesOf(query),
    reached: new Set(),
    signatureChecks: signatureCheckLimit,
    steps: stepLimit,
    comparisons: comparisonLimit,
    failure: null,
    failureWeight: 0,
  };
  const paths = new Map<string, Path>();
  // Of one CA's certificates the one that lasts longest goes first, so that a verdict lives as long as it can.
  for (const anchor of anchors.toSorted((a, b) => b.certificate.notAfter - a.certificate.notAfter)) {
    if (paths.has(anchor.id)) continue;
    const end = descend(search, belowAnchor(query, anchor.certificate));
    if (end !== null) paths.set(anchor.id, pathOf(anchor, end));
  }
  return { paths: [...paths.values()], failure: paths.size > 0 ? null : (search.failure ?? untrusted(search)) };
}

/**
 * The leaf and the certificates that its issuers' names lead to, each once, nearest first; of several issuers the one
 * with the wanted key identifier first, as worth trying and proof of nothing. Loops end, since each is taken once.
 */
function candidatesOf({ leaf, others }: PathQuery): Certificate[] {
  const found = [leaf];
  const seen = new Set<string>();
  let left = others;
  // The list grows while it is walked.
  for (const { issuer, extensions } of found) {
    const issuers = left.filter(({ subject }) => sameName(issuer, subject));
    if (issuers.length === 0) continue;
    left = left.filter(({ subject }) => !sameName(issuer, subject));
    const wanted = extensions.authorityKeyIdentifier;
    const { hinted = [], plain = [] } = Object.groupBy(issuers, (candidate) =>
      wanted !== null && candidate.extensions.subjectKeyIdentifier === wanted ? 'hinted' : 'plain',
    );
    for (const candidate of [...hinted, ...plain]) {
      if (!seen.has(candidate.sha256)) found.push(candidate);
      seen.add(candidate.sha256);
    }
  }
  return found;
}

/** Follows the signatures downwards, the leaf's first; gives the leaf's state where a flawless path ends there. */
function descend(search: Search, above: PathState): PathState | null {
  const { query } = search;
  for (const candidate of search.candidates) {
    if (!sameName(candidate.issuer, above.certificate.subject)) continue;
    // A key that comes back under the same name only makes a path longer and its rules tighter: the shorter one,
    // which is tried too, is valid wherever the longer is.
    if (isOnPath(above, candidate) || !isSignedBy(search, candidate, above.certificate.publicKey)) continue;
    search.reached.add(candidate);
    if (candidate === query.leaf) {
      const end = atLeaf(query, above, candidate, search);
      if (end.flaw === null) return end;
      note(search, weights.chain, end.flaw);
      continue;
    }
    search.steps -= 1;
    if (search.steps < 0) {
      noteExhaustion(search);
      return null;
    }
    const end = descend(search, belowIntermediate(query, above, candidate, search));
    if (end !== null) return end;
  }
  return null;
}

/** Answers of earlier checks by certificate and key: registered intermediates are asked about again and again. */
const answersOf = new WeakMap<Certificate, Map<string, boolean>>();

/** Whether a key that a path leads to has signed the certificate. */
function isSignedBy(search: Search, certificate: Certificate, key: PublicKey): boolean {
  if (!isAcceptedAlgorithm(certificate.signatureScheme)) {
    const name = nameOfRefusedAlgorithm(certificate.signatureScheme);
    note(search, weights.algorithm, invalid(certificate, `is signed by ${name}, which is not accepted`));
    return false;
  }
  let answers = answersOf.get(certificate);
  if (answers === undefined) answersOf.set(certificate, (answers = new Map()));
  const known = answers.get(key.sha256);
  if (known !== undefined) return known;
  if (search.signatureChecks === 0) {
    noteExhaustion(search);
    return false;
  }
  search.signatureChecks -= 1;
  const answer = verifySignature(certificate, key);
  if (answers.size >= answerLimit) answers.clear();
  answers.set(key.sha256, answer);
  return answer;
}

function isOnPath(lowest: PathState, certificate: Certificate): boolean {
  for (let state: PathState | null = lowest; state !== null; state = state.above) {
    if (isSameEntity(state.certificate, certificate)) return true;
  }
  return false;
}

/** The same key under the same name. */
function isSameEntity(a: Certificate, b: Certificate): boolean {
  return a.publicKey.sha256 === b.publicKey.sha256 && sameName(a.subject, b.subject);
}

function pathOf(anchor: Anchor, end: PathState): Path {
  const certificates: Certificate[] = [];
  for (let state: PathState | null = end; state !== null; state = state.above) certificates.push(state.certificate);
  return {
    anchor,
    certificates,
    notBefore: Math.max(...certificates.map(({ notBefore }) => notBefore)),
    notAfter: Math.min(...certificates.map(({ notAfter }) => notAfter)),
    publicKeys: certificates.map(({ publicKey }) => publicKey.sha256),
  };
}

/** Keeps the most telling failure, of equals the first. */
function note(search: Search, weight: number, failure: PathFailure): void {
  if (weight <= search.failureWeight) return;
  search.failure = failure;
  search.failureWeight = weight;
}

function noteExhaustion(search: Search): void {
  const rule = `The search for a path was given up: too many certificates may stand above ${title(search.query.leaf)}.`;
  note(search, weights.exhausted, { code: 'certificate_untrusted', rule });
}

/** Says where the chain breaks: at a signature, at an issuer that nobody sent, or at a root that nobody trusts. */
function untrusted({ query, candidates, reached }: Search): PathFailure {
  const code = 'certificate_untrusted';
  const trusted = [...query.anchors.map(({ certificate }) => certificate), ...reached];
  const forged = candidates.find(
    (candidate) => !reached.has(candidate) && trusted.some(({ subject }) => sameName(subject, candidate.issuer)),
  );
  if (forged !== undefined) {
    const rule = `${title(forged)} names ${quote(forged.issuer)} as its issuer, but is not signed by the key of that CA that is trusted here.`;
    return { code, rule };
  }
  const last = candidates.find(({ issuer }) => !candidates.some(({ subject }) => sameName(subject, issuer)));
  if (last !== undefined) {
    return {
      code,
      rule: `The issuer of ${title(last)}, ${quote(last.issuer)}, was neither sent nor is it known here.`,
    };
  }
  const own = candidates.find(isSelfIssued);
  const rule =
    own === undefined
      ? `The issuers of ${title(query.leaf)} lead in a circle, and to no CA that is trusted here.`
      : `${title(own)} is signed by itself, and not trusted here.`;
  return { code, rule };
}
