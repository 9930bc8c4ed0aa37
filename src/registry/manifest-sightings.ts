// What the gateway asks of manifests, and what it tells of certificates that came under a line's CA and are not as they should be.

import { type Db, prepared, type Tx } from './database.ts';
import { factoryStranger } from './event-notes.ts';
import { isHeld, type MadeCertificate } from './manifest-held.ts';
import type { ManifestCertificate, ManifestStranger } from './manifest-tables.ts';

const made = prepared((db, given: { account_id: string; issuer_key: string; tbs_sha256: string }) =>
  db
    .selectFrom('manifest_lines')
    .innerJoin('manifest_certificates', (join) =>
      join
        .onRef('manifest_certificates.account_id', '=', 'manifest_lines.account_id')
        .onRef('manifest_certificates.line_id', '=', 'manifest_lines.id'),
    )
    .select([
      'manifest_certificates.line_id',
      'manifest_certificates.device_id',
      'manifest_certificates.public_key_sha256',
      'manifest_certificates.withdrawn_at',
      'manifest_certificates.beyond',
    ])
    .where('manifest_lines.account_id', '=', given.account_id)
    .where('manifest_lines.public_key_sha256', '=', given.issuer_key)
    .where('manifest_certificates.tbs_sha256', '=', given.tbs_sha256),
);

/**
 * What the manifests of the line that issued a certificate hold of it, by the SHA-256 (hex) of the line's key and of the
 * TBSCertificate; null for nothing.
 */
export async function madeCertificate(
  db: Db,
  account_id: string,
  { issuer_key, tbs_sha256 }: { issuer_key: string; tbs_sha256: string },
): Promise<MadeCertificate | null> {
  const [found] = await made(db, { account_id, issuer_key, tbs_sha256 });
  return found ?? null;
}

const madeByLine = prepared((db, given: Pick<ManifestCertificate, 'account_id' | 'line_id' | 'tbs_sha256'>) =>
  db
    .selectFrom('manifest_certificates')
    .select(['line_id', 'device_id', 'public_key_sha256', 'withdrawn_at', 'beyond'])
    .where('account_id', '=', given.account_id)
    .where('line_id', '=', given.line_id)
    .where('tbs_sha256', '=', given.tbs_sha256),
);

const presentMade = prepared((db, given: { account_id: string; issuer_key: string; device_uuid: string }) =>
  db
    .selectFrom('certificates')
    .leftJoin('manifest_lines', (join) =>
      join
        .onRef('manifest_lines.account_id', '=', 'certificates.account_id')
        .on('manifest_lines.public_key_sha256', '=', given.issuer_key),
    )
    .leftJoin('manifest_certificates', (join) =>
      join
        .onRef('manifest_certificates.account_id', '=', 'certificates.account_id')
        .onRef('manifest_certificates.line_id', '=', 'manifest_lines.id')
        .onRef('manifest_certificates.tbs_sha256', '=', 'certificates.tbs_sha256'),
    )
    .select([
      'manifest_certificates.line_id',
      'manifest_certificates.device_id',
      'manifest_certificates.public_key_sha256',
      'manifest_certificates.withdrawn_at',
      'manifest_certificates.beyond',
      'certificates.public_key_sha256 as shown_key',
    ])
    .where('certificates.account_id', '=', given.account_id)
    .where('certificates.device_uuid', '=', given.device_uuid)
    .where('certificates.state', '=', 'current')
    .orderBy('certificates.created_at', 'desc')
    .limit(1),
);

/** The same of the certificate that a device has at present, with the key of that certificate; null where it has none. */
export async function presentMadeCertificate(
  db: Db,
  account_id: string,
  { issuer_key, device_uuid }: { issuer_key: string; device_uuid: string },
): Promise<{ made: MadeCertificate | null; public_key_sha256: string } | null> {
  const [found] = await presentMade(db, { account_id, issuer_key, device_uuid });
  if (!found) return null;
  const { line_id, device_id, public_key_sha256, withdrawn_at, beyond, shown_key } = found;
  const none = line_id === null || device_id === null || public_key_sha256 === null;
  const made = none ? null : { line_id, device_id, public_key_sha256, withdrawn_at, beyond };
  return { made, public_key_sha256: shown_key };
}

/** A certificate as the gateway saw it, gathered: `first_seen` and `last_seen` are the first and the last time of these. */
export interface SeenCertificate extends Omit<ManifestStranger, 'told_at'> {
  readonly kind: 'stranger' | 'withdrawn';
  /** Whether it is turned away because no manifest holds it: then whoever made it is not the factory. */
  readonly certain: boolean;
}

/**
 * Records certificates that came under a line's CA: those that no manifest of it holds, and when one last came that was
 * withdrawn. One that is a stranger for certain is told of, once; another may be in a manifest that is still to come. Of each
 * account the `limit` latest strangers stay; all of them where it is null, until the next time. What a manifest has come to hold
 * meanwhile is none.
 */
export async function recordSightings(
  tx: Tx,
  { seen, limit }: { seen: readonly SeenCertificate[]; limit: number | null },
): Promise<void> {
  const accounts = new Set<string>();
  for (const { kind, certain, ...certificate } of seen) {
    const { account_id, line_id, tbs_sha256 } = certificate;
    const [made] = await madeByLine(tx.db, { account_id, line_id, tbs_sha256 });
    const held = isHeld(made ?? null, certificate);
    if (kind === 'stranger' && !held && (await recordStranger(tx, certificate, certain))) {
      accounts.add(account_id);
    }
    if (kind === 'withdrawn' && held) await recordComing(tx, certificate);
  }
  if (limit === null) return;
  for (const account_id of accounts) await forgetOldest(tx, account_id, limit);
}

async function recordComing(
  tx: Tx,
  { account_id, line_id, tbs_sha256, last_seen }: Omit<ManifestStranger, 'told_at'>,
): Promise<void> {
  await tx.db
    .updateTable('manifest_certificates')
    .set({ came_at: last_seen })
    .where('account_id', '=', account_id)
    .where('line_id', '=', line_id)
    .where('tbs_sha256', '=', tbs_sha256)
    .execute();
}

/** Records one stranger, and tells of it where that is `certain`. False where the line has gone with its account. */
async function recordStranger(tx: Tx, stranger: Omit<ManifestStranger, 'told_at'>, certain: boolean): Promise<boolean> {
  const { account_id, tbs_sha256, line_id, last_seen, admitted } = stranger;
  const line = await tx.db
    .selectFrom('manifest_lines')
    .select(['id', 'name', 'site'])
    .where('account_id', '=', account_id)
    .where('id', '=', line_id)
    .executeTakeFirst();
  if (!line) return false;
  const known = await tx.db
    .selectFrom('manifest_strangers')
    .select('told_at')
    .where('account_id', '=', account_id)
    .where('tbs_sha256', '=', tbs_sha256)
    .executeTakeFirst();
  const tells = certain && !known?.told_at;
  const told_at = tells ? tx.now : (known?.told_at ?? null);
  if (tells) tx.event(factoryStranger(stranger, line));
  await tx.db
    .insertInto('manifest_strangers')
    .values({ ...stranger, told_at })
    .onConflict((conflict) =>
      conflict.columns(['account_id', 'tbs_sha256']).doUpdateSet({ last_seen, admitted, told_at }),
    )
    .execute();
  return true;
}

async function forgetOldest(tx: Tx, account_id: string, limit: number): Promise<void> {
  const { kept } = await tx.db
    .selectFrom('manifest_strangers')
    .select((select) => select.fn.countAll<number | string>().as('kept'))
    .where('account_id', '=', account_id)
    .executeTakeFirstOrThrow();
  const excess = Number(kept) - limit;
  if (excess <= 0) return;
  await tx.db
    .deleteFrom('manifest_strangers')
    .where('account_id', '=', account_id)
    .where('tbs_sha256', 'in', (from) =>
      from
        .selectFrom('manifest_strangers')
        .select('tbs_sha256')
        .where('account_id', '=', account_id)
        .orderBy('last_seen')
        .orderBy('tbs_sha256')
        .limit(excess),
    )
    .execute();
}
