// What breaks if I do this? How every destructive call is weighed before it is made: dry run, number, confirmation.

import { type Impact, noDevices, otherFacts } from '../provisioning/impact.ts';
import { confirmationRequired } from '../registry/confirmation.ts';
import type { DestructiveQueryJson, ImpactJson } from './impact-schemas.ts';

/** What the options of a destructive route have beside its rule: of two shapes of reply each is written as it is. */
export const destructive = { serializerCompiler: () => (data: unknown) => JSON.stringify(data) };

/**
 * Answers a dry run with what `weigh` finds, and otherwise makes the call, `act`, once the number it costs is confirmed.
 * The number is that of the moment before the call. Throws Problem `confirmation_required`.
 *
 *     async ({ params, query }) => {
 *       const account = await namedAccount(registry.read, params.account);
 *       return weighed(query, 'suspendDevices', { weigh: () => impactOf…(…), act: () => registry.write(…) });
 *     }
 */
export async function weighed<Done>(
  { dry_run = false, confirm = 0 }: DestructiveQueryJson,
  action: string,
  { weigh, act }: { weigh: () => Promise<Impact>; act: (confirmed: number) => Promise<Done> },
): Promise<Done | ImpactJson> {
  // Whoever confirms whatever it is is not kept waiting for the number: in an emergency that is time lost.
  if (!dry_run && confirm === Number.MAX_SAFE_INTEGER) return act(confirm);
  const impact = await weigh();
  if (dry_run) return impactJson(action, impact);
  requireConfirmed(impact, confirm);
  return act(confirm);
}

/** The impact of a removal that touches no device: what ends, by what it is and what it is called. */
export function removalOf(...ends: readonly (readonly [what: string, names: readonly string[]])[]): Impact {
  return noDevices({ other: otherFacts(Object.fromEntries(ends)) });
}

/** Throws Problem `confirmation_required` where what a call costs is more than what was confirmed. */
function requireConfirmed({ confirm: needed, devices, refused }: Impact, confirmed: number): void {
  if (needed <= confirmed) return;
  throw confirmationRequired({ needed, devices, refused });
}

/** An impact as it is told. */
function impactJson(action: string, impact: Impact): ImpactJson {
  const { devices, seen_last_day, refused, by_rule, confirm, newcomers, unknown, sample, other } = impact;
  return {
    action,
    devices,
    seen_last_day,
    refused,
    by_rule: by_rule.map(({ code, rule, devices: count }) => ({ code, rule, devices: count })),
    confirm,
    newcomers,
    unknown,
    sample: [...sample],
    other: other.map((each) => ({ ...each, sample: [...each.sample] })),
  };
}
