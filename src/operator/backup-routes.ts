// Back-ups of the whole server, streamed to who asks; and the restoration that this server came out of.

import type { Readable } from 'node:stream';
import { Problem } from '../problem.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { type Restoration, restorationOf } from '../registry/backups.ts';
import { formatInstant } from '../time.ts';
import {
  type BackupJson,
  NewBackup as NewBackupSchema,
  type RestorationJson,
  RestorationSchema,
} from './backup-schemas.ts';
import type { Audit } from './audit-routes.ts';
import { rule } from './rule.ts';
import type { Api } from './typed-api.ts';

/** What is asked for. */
export interface NewBackup {
  /** To whom it is encrypted. */
  readonly lock: { readonly recipients: readonly string[] } | { readonly passphrase: string };
  readonly withMasterKey: boolean;
}

/** A back-up that is there to be taken: what is in it, and the encrypted file. */
export interface BackupMade {
  readonly manifest: BackupJson;
  readonly content: Readable;
}

/** What makes back-ups. */
export interface Backups {
  /**
   * Makes one of the registry as it is now. Throws `invalid_request` for a recipient that is none, `conflict` while one is
   * being made or where it cannot be as it was asked for, `unavailable` where the disk has no room or the registry is
   * damaged.
   */
  make(wanted: NewBackup): Promise<BackupMade>;
}

/** The header of the reply that tells what is in it: JSON, percent-encoded. */
const contentsHeader = 'fleetroot-backup';

/** Adds the routes of back-ups and of the restoration. */
export function backupRoutes(
  api: Api,
  { registry }: Provisioning,
  backups: Backups,
  audit: Pick<Audit, 'chain'>,
): void {
  api.post(
    '/backups',
    { ...rule('makeBackup', 'administrator', { grants: true, secretReply: true }), schema: { body: NewBackupSchema } },
    async ({ body: { recipients, passphrase, with_master_key: withMasterKey = false } }, reply) => {
      const lock = lockOf(recipients, passphrase);
      await audit.chain();
      const { manifest, content } = await backups.make({ lock, withMasterKey });
      const backup = {
        schema: manifest.schema,
        devices: manifest.devices,
        with_master_key: withMasterKey,
        recipients: 'recipients' in lock ? lock.recipients : ['passphrase'],
        audit_number: manifest.audit?.number ?? null,
        audit_hash: manifest.audit?.hash ?? null,
      };
      await registry.write('recordBackup', { backup }).catch((error: unknown) => {
        content.destroy();
        throw error;
      });
      reply.header(contentsHeader, encodeURIComponent(JSON.stringify(manifest)));
      return reply.type('application/vnd.age').send(content);
    },
  );

  api.get(
    '/restoration',
    { ...rule('getRestoration', 'administrator'), schema: { response: { 200: RestorationSchema } } },
    async () => restorationJson(await restorationOf(registry.read)),
  );

  api.post(
    '/restoration/acknowledge',
    { ...rule('acknowledgeRestoration', 'administrator'), schema: { response: { 200: RestorationSchema } } },
    async () => {
      const acknowledged = await registry.write('acknowledgeRestoration', {});
      if (acknowledged === null) throw new Problem('conflict', 'There is no restoration to be acknowledged.');
      return restorationJson(acknowledged);
    },
  );
}

function lockOf(recipients: readonly string[] | undefined, passphrase: string | undefined): NewBackup['lock'] {
  if (recipients !== undefined && passphrase === undefined) return { recipients };
  if (passphrase !== undefined && recipients === undefined) return { passphrase };
  throw new Problem('invalid_request', 'A back-up is encrypted either to recipients or under a passphrase.');
}

function restorationJson(restoration: Restoration | null): RestorationJson {
  return {
    restored_at: restoration && formatInstant(restoration.restored_at),
    backup_made_at: restoration && formatInstant(restoration.made_at),
    audit_number: restoration?.audit_number ?? null,
    audit_hash: restoration?.audit_hash ?? null,
  };
}
