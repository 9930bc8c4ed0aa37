// The keys of TLS tickets as the composition root has them: made, sealed in the registry, replaced by time.

import { randomBytes, randomUUID } from 'node:crypto';
import type { Seal } from '../custody/seal.ts';
import type { TicketKey } from '../gateway/tickets.ts';
import type { Log } from '../log.ts';
import { ticketKeys } from '../registry/ticket-keys.ts';
import type { Registry } from '../registry/writer.ts';

const keySize = 32;
/** Of its lifetime, how long a key is known to all processes before it counts: 1 in so many. */
const leadPart = 4;

/** What a ticket key is called in the seal. */
export function ticketKeyContext(id: string): string {
  return `TLS ticket key ${id}`;
}

/** Opens the keys that there are. Throws Problem('custody_unavailable') where one does not open. */
export async function openTicketKeys({ read }: Pick<Registry, 'read'>, seal: Seal): Promise<TicketKey[]> {
  const rows = await ticketKeys(read);
  return rows.map(({ id, sealed_key, starts_at }) => {
    using opened = seal.open(sealed_key, ticketKeyContext(id));
    return { startsAt: starts_at, secret: Buffer.from(opened.reveal()) };
  });
}

/**
 * Records the next ticket key where that is due, and forgets those that no longer count. Of several processes that find it
 * due one makes it. `lifetime` is how long a key counts, in milliseconds.
 */
export async function renewTicketKeys(
  registry: Registry,
  seal: Seal,
  { now, lifetime, log }: { now: number; lifetime: number; log: Log },
): Promise<void> {
  const newest = (await ticketKeys(registry.read)).at(-1);
  const due = newest === undefined ? now : newest.starts_at + lifetime;
  if (now < due - lifetime / leadPart) return;
  const secret = randomBytes(keySize);
  const id = randomUUID();
  const sealed_key = seal.seal(secret, ticketKeyContext(id));
  secret.fill(0);
  try {
    // Where nothing ran when it was due, it counts at once.
    const key = { id, sealed_key, starts_at: Math.max(due, now) };
    await registry.write('recordTicketKey', { key, after: newest?.id ?? null, forgotten: now - lifetime / leadPart });
  } catch (error) {
    log.error({ err: error }, 'the next key of TLS tickets could not be made');
  }
}
