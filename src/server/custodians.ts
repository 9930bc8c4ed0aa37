// The custodians as a composition root opens them, and what is amiss with them, as `/readyz` tells it.

import type { Config } from '../config.ts';
import type { Custodian } from '../custody/custodian.ts';
import { createPkcs11Custodian } from '../custody/pkcs11.ts';
import type { Seal } from '../custody/seal.ts';
import { createSoftwareCustodian } from '../custody/software.ts';
import { createVaultCustodian } from '../custody/vault.ts';
import { WatchedCustodian, type WatchOptions } from '../custody/watch.ts';
import { strandedKeys } from '../issuing/key-check.ts';
import type { Issuer } from '../issuing/issuer.ts';
import type { Log } from '../log.ts';
import type { ReadinessFault } from '../operator/readiness.ts';
import { formatInstant } from '../time.ts';
import { besideControl, type LetIn } from '../custody/beside-custodian.ts';

/**
 * The custodians that are configured, by their names, each of them watched. `letIn` is given in a process beside the one
 * that is to be let in first (beside-custodian.ts).
 */
export function openCustodians(
  config: Config,
  seal: Seal,
  watching: WatchOptions,
  letIn: (() => LetIn) | null = null,
): Map<string, WatchedCustodian> {
  const { vault, pkcs11 } = config;
  const { timeout } = config.custody;
  const all: Custodian[] = [createSoftwareCustodian(seal)];
  if (vault !== null) {
    const login = vault.login.by === 'approle' ? { ...vault.login, leavesWrapped: letIn !== null } : vault.login;
    all.push(createVaultCustodian({ ...vault, login, timeout }));
  }
  if (pkcs11 !== null) {
    all.push(createPkcs11Custodian({ ...pkcs11, timeout, withheldVariables: secretVariables(config) }));
  }
  const held = letIn === null ? all : all.map((custodian) => besideControl(custodian, letIn));
  return new Map(held.map((custodian) => [custodian.name, new WatchedCustodian(custodian, watching)]));
}

/** The environment variables with secrets that are the server's alone. */
function secretVariables({ custody: { masterKey, nextMasterKey }, vault, oidc }: Config): string[] {
  const places = [masterKey, nextMasterKey].flatMap((place) => (place?.in === 'variable' ? [place.name] : []));
  const secret = oidc?.clientSecret ?? null;
  if (secret !== null && 'variable' in secret) places.push(secret.variable);
  return vault !== null && 'variable' in vault.login ? [...places, vault.login.variable] : places;
}

/** The custodians that are away. */
export function custodianFaults(custodians: ReadonlyMap<string, WatchedCustodian>): ReadinessFault[] {
  return [...custodians.values()].flatMap(({ name, trouble }): ReadinessFault[] => {
    if (trouble === null) return [];
    const { fault, message: reason } = trouble.problem;
    return [{ part: 'custody', custodian: name, fault, reason, since: formatInstant(trouble.since) }];
  });
}

/** Custodians that hold keys of ours and are not configured: each is told once, at the start. */
export async function strandedKeyFaults({ registry, keys }: Issuer, now: number, log: Log): Promise<ReadinessFault[]> {
  return [...(await strandedKeys(registry.read, keys))].map(([custodian, count]): ReadinessFault => {
    const reason = `${count} key(s) lie in the custodian ${custodian}, which is not configured.`;
    log.warn({ custodian, keys: count }, reason);
    return { part: 'custody', custodian, fault: 'unavailable', reason, since: formatInstant(now) };
  });
}

/** Keys that could not be used the last time, though their custodian is there: the first of each custodian. */
export function keyFaults({ keys: { failing } }: Issuer, now: number): ReadinessFault[] {
  const first = new Map(failing.toReversed().map((each) => [each.key.custodian, each]));
  return [...first].map(([custodian, { problem, since }]) => {
    const at = formatInstant(Math.round(now - (performance.now() - since)));
    return { part: 'custody', custodian, fault: problem.fault, reason: problem.message, since: at };
  });
}
