// What `/readyz` tells of a server that came out of a back-up, until somebody says that he has seen to it.

import type { ReadinessFault } from '../operator/readiness.ts';
import { restorationOf } from '../registry/backups.ts';
import type { Registry } from '../registry/writer.ts';
import { formatInstant } from '../time.ts';

/** The one fault of a restoration that nobody has acknowledged; none where there is no such. */
export async function restorationFaults(registry: Pick<Registry, 'read'>): Promise<ReadinessFault[]> {
  const restoration = await restorationOf(registry.read);
  if (restoration === null) return [];
  const reason =
    `This server was restored from a back-up of ${formatInstant(restoration.made_at)}: what was done after that, ` +
    'revocations too, is not known here. `restoration show` says what there is to do, `restoration acknowledge` ends this.';
  return [{ part: 'restored', reason, since: formatInstant(restoration.restored_at) }];
}
