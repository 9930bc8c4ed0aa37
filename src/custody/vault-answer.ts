// What a vault answers, read as what comes from outside: JSON of a shape that is checked, and statuses that are faults.

import { CustodyProblem } from './custodian.ts';
import type { VaultAnswer } from './vault-transport.ts';

const longestComplaint = 200;

/** Whether the vault did what it was asked. */
export function succeeded({ status }: VaultAnswer): boolean {
  return status >= 200 && status <= 299;
}

/** The value at a path of members; undefined where the answer is no JSON, or has nothing there. */
export function member({ body }: VaultAnswer, ...path: readonly string[]): unknown {
  try {
    let value: unknown = JSON.parse(body.toString('utf8'));
    for (const name of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
      value = (value as Record<string, unknown>)[name];
    }
    return value;
  } catch {
    return undefined;
  }
}

/** What the vault says is wrong, in its own words: one line of printable ASCII, short. */
export function complaintOf(answer: VaultAnswer): string {
  const errors = member(answer, 'errors');
  const words = Array.isArray(errors) ? errors.filter((error) => typeof error === 'string').join('; ') : '';
  return words
    .replaceAll(/[^\x21-\x7E]+/g, ' ')
    .trim()
    .slice(0, longestComplaint);
}

/**
 * The fault that an answer is, where the caller knows no better: `doing` says what it was asked for (`sign with key …`).
 * Statuses as both API references have them: 429 and 472 to 474 are of nodes that do not serve, 503 of a sealed one.
 */
export function faultOf(answer: VaultAnswer, address: string, doing: string): CustodyProblem {
  const { status } = answer;
  const complaint = complaintOf(answer);
  const said = complaint === '' ? `status ${status}` : `status ${status}, ${complaint}`;
  if (status === 503 && /sealed/i.test(complaint)) {
    return new CustodyProblem('sealed', `The vault at ${address} is sealed.`, 'Unseal it; nothing is to be done here.');
  }
  if (status === 403) {
    return new CustodyProblem(
      'denied',
      `The vault at ${address} does not let us ${doing} (${said}).`,
      'Give the login the policy that docs/production.md has.',
    );
  }
  if (status >= 300 && status <= 399) {
    return new CustodyProblem(
      'unavailable',
      `The vault at ${address} sends us elsewhere, where our token does not go.`,
      'Name the active node, or what leads to it, in vault.address; a standby passes calls on where its cluster lets it.',
    );
  }
  if (status === 404) {
    return new CustodyProblem(
      'unavailable',
      `The vault at ${address} has nothing where we ${doing} (${said}).`,
      'See whether vault.namespace and vault.mount (the transit engine) are right.',
    );
  }
  return new CustodyProblem('unavailable', `The vault at ${address} did not ${doing} (${said}).`);
}

/** The fault of an answer that is none: of a shape that no vault gives. */
export function nonsense(address: string, doing: string): CustodyProblem {
  return new CustodyProblem(
    'unavailable',
    `The vault at ${address} gave an answer that is none when asked to ${doing}.`,
    'See whether vault.address leads to OpenBao or HashiCorp Vault, and not to something in front of it.',
  );
}
