// The master key of a server as the composition root opens it: its configured place, the registry's records, its rotation.

import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import type { Config } from '../config.ts';
import { keyContext } from '../custody/key-context.ts';
import { MasterKey, type MasterKeyRecords, type OtherNodes } from '../custody/master-key.ts';
import { type MasterKeySource, placeOf } from '../custody/master-key-source.ts';
import type { MasterKeySources } from '../custody/proven-key.ts';
import { gatewayKeyContext } from '../issuing/gateway-ca.ts';
import { operatorKeyContext } from '../issuing/operator-ca.ts';
import type { Log } from '../log.ts';
import { totpContext } from '../login/totp.ts';
import type { Custody } from '../operator/custody-routes.ts';
import type { ReadinessFault } from '../operator/readiness.ts';
import { webhookSecretContext } from '../notification/webhook-secret.ts';
import { accountFileContext } from '../provisioning/account-file.ts';
import { Problem } from '../problem.ts';
import { upstreamKeyContext } from '../provisioning/upstream.ts';
import { isMasterKeyAgreed, masterKeyAnswers } from '../registry/master-key-agreement.ts';
import { masterKeyRow, type SealedPlace, sealedValues } from '../registry/sealed-values.ts';
import type { Registry } from '../registry/writer.ts';
import { formatInstant } from '../time.ts';
import { ticketKeyContext } from './ticket-keys.ts';

/** How long the other nodes have to say that they have the next master key, in milliseconds, and how often that is looked at. */
const answersWithin = 15_000;
const answerPause = 100;

/**
 * Opens the master key, whose seal then serves. `begun` is called when a rotation has begun, before anything is put under
 * the next key; `following` is told why this node cannot follow one that another began, or null once nothing keeps it. Throws CustodyProblem where the key is not there, or not the right one.
 */
export async function openMasterKey(
  config: Config,
  registry: Registry,
  log: Log,
  begun: () => Promise<void> = async () => {},
  following: (fault: string | null) => void = () => {},
): Promise<MasterKey> {
  const shared = config.database.url !== null;
  const masterKey = await MasterKey.open(
    sourcesOf(config),
    recordsIn(registry, begun, shared ? nodesOf(registry) : undefined),
  );
  if (shared) await followOthers(masterKey, registry, log, { begun, following });
  const { setting } = masterKey.source;
  if (setting !== null && setting === config.custody.nextMasterKey?.setting && !masterKey.interrupted) {
    log.warn({ setting }, 'the master key has been rotated: the next one is to take the place of the one before it');
  }
  return masterKey;
}

/** The seal of a process beside the one that has opened the master key. Throws as that does. */
export function followMasterKey(config: Config, registry: Registry): ReturnType<typeof MasterKey.follow> {
  const nodes = config.database.url === null ? {} : { nodes: nodesOf(registry) };
  return MasterKey.follow(sourcesOf(config), { read: (which) => masterKeyRow(registry.read, which), ...nodes });
}

/** Has this node follow what others do with the master key, and say to them whether it can. */
async function followOthers(
  masterKey: MasterKey,
  registry: Registry,
  log: Log,
  { begun, following }: { begun: () => Promise<void>; following: (fault: string | null) => void },
): Promise<void> {
  const follow = async (): Promise<void> => {
    let fault: string | null = null;
    try {
      await masterKey.follow();
      await begun();
    } catch (error) {
      log.error({ err: error }, 'this node cannot follow the rotation of the master key');
      fault = (error as Error).message;
    }
    following(fault);
    const next = await masterKeyRow(registry.read, 'next');
    if (next !== null) await registry.write('answerMasterKey', { proof: next.proof, fault });
  };
  registry.changes.listen(({ kind }) =>
    kind === 'master_key' || kind === 'everything'
      ? follow().catch((error: unknown) => log.error({ err: error }, 'the master key could not be looked at'))
      : undefined,
  );
  await follow();
}

/** What `/readyz` tells of a node that cannot follow a rotation of the master key, and where it is told of that. */
export function rotationFaults(clock: () => number): {
  readonly tell: (fault: string | null) => void;
  readonly faults: () => ReadinessFault[];
} {
  let since: number | null = null;
  let reason = '';
  return {
    tell(fault) {
      since = fault === null ? null : (since ?? clock());
      reason = `This node cannot follow the rotation of the master key. ${fault}`;
    },
    faults: () => (since === null ? [] : [{ part: 'master_key', reason, since: formatInstant(since) }]),
  };
}

/** The nodes on a shared database, as a rotation has to do with them. */
function nodesOf(registry: Registry): OtherNodes {
  const { read, instance } = registry;
  return {
    alone: (signal) => registry.alone('rotation of the master key', signal),
    agreed: (next) => isMasterKeyAgreed(read, next),
    async agree(signal) {
      const next = await masterKeyRow(read, 'next');
      if (next === null) throw new Problem('conflict', 'The rotation of the master key was given up.');
      const { proof } = next;
      const until = performance.now() + answersWithin;
      for (;;) {
        signal.throwIfAborted();
        const answers = await masterKeyAnswers(read, { proof, instance });
        const without = answers.filter(({ answer }) => answer === null || answer.fault !== null);
        if (without.length === 0) break;
        if (without.some(({ answer }) => answer !== null) || performance.now() >= until) throw notEverywhere(without);
        await pause(answerPause);
      }
      await registry.write('agreeMasterKey', { proof });
    },
    async withdraw() {
      await registry.write('withdrawMasterKeyRotation', {});
    },
  };
}

function notEverywhere(without: Awaited<ReturnType<typeof masterKeyAnswers>>): Problem {
  const each = without.map(({ name, answer }) => `${name}: ${answer?.fault ?? 'it has not answered.'}`);
  return new Problem(
    'conflict',
    `Nothing is rotated, since not every node has the next master key. ${each.join(' ')}`,
    'Give each the next one by custody.next_… and restart it; `node forget` one that is gone for good.',
  );
}

function sourcesOf({ dataDir, custody }: Config): MasterKeySources {
  const beside = { holds: 'key', in: 'file', name: join(dataDir, 'master.key'), setting: null } as const;
  return { present: custody.masterKey ?? beside, next: custody.nextMasterKey, env: process.env };
}

/** What the registry remembers of its master keys, and all that is sealed under them; `begun` as `openMasterKey` has it. */
export function recordsIn(
  registry: Registry,
  begun: () => Promise<void> = async () => {},
  nodes?: OtherNodes,
): MasterKeyRecords {
  return {
    ...(nodes && { nodes }),
    read: (which) => masterKeyRow(registry.read, which),
    record: (before, row) => registry.write('recordMasterKey', { before, row }),
    async begin(row) {
      await registry.write('beginMasterKeyRotation', { row });
      await begun();
    },
    end: () => registry.write('endMasterKeyRotation', {}),
    async *values() {
      let values = await sealedValues(registry.read, null);
      while (values.length > 0) {
        yield values.map((value) => ({ ...value, context: contextOf(value.place) }));
        values = await sealedValues(registry.read, values.at(-1)!.place);
      }
    },
    async replace(changes) {
      await registry.write('replaceSealedValues', {
        changes: changes.map(({ place, sealed, resealed }) => ({ place: place as SealedPlace, sealed, resealed })),
      });
    },
  };
}

function contextOf(place: SealedPlace): string {
  switch (place.in) {
    case 'keys':
      return keyContext({ id: place.id, exportable: place.exportable === 1 });
    case 'gateway_certificates':
      return gatewayKeyContext(place.id);
    case 'operator_certificates':
      return operatorKeyContext(place.id);
    case 'webhook_secrets':
      return webhookSecretContext(place.id);
    case 'account_files':
      return accountFileContext(place.account_id, place.entry);
    case 'totp_secrets':
      return totpContext(place.operator_id);
    case 'ticket_keys':
      return ticketKeyContext(place.id);
    case 'upstreams':
      return upstreamKeyContext(place);
  }
}

/** What operators may have done with it. */
export function rotationOf(masterKey: MasterKey, log: Log): Pick<Custody, 'rotateMasterKey'> {
  return {
    async rotateMasterKey() {
      log.info('the rotation of the master key begins');
      const { values, source } = await masterKey.rotate();
      const place = (source.holds === 'passphrase' ? 'derived from the passphrase in ' : '') + placeOf(source);
      log.info({ values, place }, 'the master key has been rotated');
      return { values, place, setting: nextSettingOf(source) };
    },
  };
}

function nextSettingOf({ setting }: MasterKeySource): string | null {
  return setting !== null && setting.includes('.next_') ? setting : null;
}

/** Goes on, in the background, with a rotation that a server before this one has not finished. */
export function finishRotation(masterKey: MasterKey, log: Log): void {
  if (!masterKey.interrupted) return;
  log.info('the rotation of the master key begins');
  masterKey
    .finish()
    .then(({ values }) => log.info({ values }, 'the master key has been rotated'))
    .catch((error: unknown) => log.error({ err: error }, 'the rotation of the master key could not be finished'));
}
