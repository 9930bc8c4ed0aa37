// The master key of a server as the composition root opens it: its configured place, the registry's records, its rotation.

import { join } from 'node:path';

import type { Config } from '../config.ts';
import { keyContext } from '../custody/key-context.ts';
import { MasterKey, type MasterKeyRecords } from '../custody/master-key.ts';
import { type MasterKeySource, placeOf } from '../custody/master-key-source.ts';
import type { MasterKeySources } from '../custody/proven-key.ts';
import { gatewayKeyContext } from '../issuing/gateway-ca.ts';
import { operatorKeyContext } from '../issuing/operator-ca.ts';
import type { Log } from '../log.ts';
import { totpContext } from '../login/totp.ts';
import type { Custody } from '../operator/custody-routes.ts';
import { webhookSecretContext } from '../notification/webhook-secret.ts';
import { accountFileContext } from '../provisioning/account-file.ts';
import { upstreamKeyContext } from '../provisioning/upstream.ts';
import { masterKeyRow, type SealedPlace, sealedValues } from '../registry/sealed-values.ts';
import type { Registry } from '../registry/writer.ts';
import { ticketKeyContext } from './ticket-keys.ts';

/**
 * Opens the master key, whose seal then serves. `begun` is called when a rotation has begun, before anything is put under
 * the next key. Throws CustodyProblem where the key is not there, or not the right one.
 */
export async function openMasterKey(
  config: Config,
  registry: Registry,
  log: Log,
  begun: () => Promise<void> = async () => {},
): Promise<MasterKey> {
  const masterKey = await MasterKey.open(sourcesOf(config), recordsIn(registry, begun));
  const { setting } = masterKey.source;
  if (setting !== null && setting === config.custody.nextMasterKey?.setting && !masterKey.interrupted) {
    log.warn({ setting }, 'the master key has been rotated: the next one is to take the place of the one before it');
  }
  return masterKey;
}

/** The seal of a process beside the one that has opened the master key. Throws as that does. */
export function followMasterKey(config: Config, registry: Registry): ReturnType<typeof MasterKey.follow> {
  return MasterKey.follow(sourcesOf(config), (which) => masterKeyRow(registry.read, which));
}

function sourcesOf({ dataDir, custody }: Config): MasterKeySources {
  const beside = { holds: 'key', in: 'file', name: join(dataDir, 'master.key'), setting: null } as const;
  return { present: custody.masterKey ?? beside, next: custody.nextMasterKey, env: process.env };
}

/** What the registry remembers of its master keys, and all that is sealed under them; `begun` as `openMasterKey` has it. */
export function recordsIn(registry: Registry, begun: () => Promise<void> = async () => {}): MasterKeyRecords {
  return {
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
  rotationOf(masterKey, log)
    .rotateMasterKey()
    .catch((error: unknown) => log.error({ err: error }, 'the rotation of the master key could not be finished'));
}
