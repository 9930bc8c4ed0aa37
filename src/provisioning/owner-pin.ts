// What a node writes down of an account that is made with an owner key, and what it keeps others from taking.

import { Problem } from '../problem.ts';
import { accountById } from '../registry/accounts.ts';
import { heldKeys } from '../registry/keys.ts';
import type { Account, AccountKind } from '../registry/tables.ts';
import { readOwnerKey } from './owner-key.ts';
import type { Provisioning } from './provisioning.ts';

/**
 * The owner key (SubjectPublicKeyInfo, DER) of an account that is to be made, from the file given.
 * Throws `invalid_request`, also for a test account, `key_held_by_server`.
 */
export async function ownerKeyFor(
  { registry }: Provisioning,
  kind: AccountKind,
  file: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  if (kind !== 'production') {
    throw new Problem(
      'invalid_request',
      'A test account has no owner key: this server itself makes devices for it.',
      'Leave the owner key out, or make an account of the kind "production".',
    );
  }
  const key = readOwnerKey(file);
  if ((await heldKeys(registry.read, [key.sha256])).size > 0) {
    throw new Problem(
      'key_held_by_server',
      'This server holds, or has held, the private key of the owner key.',
      'The owner signs with a key that is kept where nobody who runs this server reaches it.',
    );
  }
  return new Uint8Array(key.spki);
}

/** Throws `name_taken` where a name is that of an account whose owner signs, also of one that is gone from the registry. */
export function requireFreeName({ trustFile }: Provisioning, name: string): void {
  const owner = trustFile.ownerOfName(name);
  if (owner === null) return;
  throw new Problem(
    'name_taken',
    `This node knows the name ${name} as that of the account ${owner}, whose owner signs whom it trusts.`,
    `If that one was deleted, \`account delete ${owner}\` lets go of its name.`,
  );
}

/** Writes down an account that has an owner key, before the account is ready. */
export async function pinAccount({ trustFile }: Provisioning, account: Account, host: string): Promise<void> {
  const { id, name, owner_key } = account;
  if (owner_key === null) return;
  const pin = { name, owner_key: Buffer.from(owner_key).toString('base64'), hosts: [host], set: null, narrowings: [] };
  await trustFile.change(id, () => pin);
}

/**
 * Writes down a host that is to be added to an account with an owner. Throws `host_taken` for one that is written down
 * as another's, whoever asks for it.
 */
export async function pinHost({ trustFile }: Provisioning, account: Account, host: string): Promise<void> {
  const owner = trustFile.ownerOfHost(host);
  if (owner !== null && owner !== account.id) {
    throw new Problem(
      'host_taken',
      `This node knows the host ${host} as that of the account ${owner}, whose owner signs whom it trusts.`,
    );
  }
  await trustFile.change(account.id, (pin) =>
    pin === null || pin.hosts.includes(host) ? pin : { ...pin, hosts: [...pin.hosts, host] },
  );
}

/** Strikes out a host that the account has no more. */
export async function unpinHost({ trustFile }: Provisioning, account: Account, host: string): Promise<void> {
  await trustFile.change(account.id, (pin) =>
    pin?.hosts.includes(host) ? { ...pin, hosts: pin.hosts.filter((each) => each !== host) } : pin,
  );
}

/**
 * Lets go of an account (its UUID) that is gone from the registry. Only an operator can say that it is gone for good: a
 * row that is taken away and put back under the same ID must find it known. Throws `not_found` that says so.
 */
export async function forgetGoneAccount({ registry, trustFile }: Provisioning, account_id: string): Promise<void> {
  if (!trustFile.pins.has(account_id) || (await accountById(registry.read, account_id))) return;
  await trustFile.change(account_id, () => null);
  throw new Problem(
    'not_found',
    `There is no account ${account_id} in the registry; what this node still knew of it is forgotten now.`,
  );
}
