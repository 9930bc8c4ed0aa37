// `explain`: what the gateway would answer to certificates, by the same admission, without recording anything.

import type { Db } from '../registry/database.ts';
import type { FleetRootCa } from '../registry/tables.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { AccountTrust } from './account-trust.ts';
import { judge, type ToBeRecorded } from './admission.ts';
import { explainRefusal, type Explanation } from './device-identity.ts';
import { refuse, type Refusal } from './refusal.ts';

/** What the gateway would answer to these certificates, recording nothing. */
export async function explain(
  db: Db,
  trust: AccountTrust,
  shown: readonly Certificate[],
  now: number,
): Promise<Explanation> {
  const judgement = await judge(db, trust, shown, now);
  const admitted = (deviceId: string | null, root: FleetRootCa | undefined): Explanation => ({
    admitted: true,
    device_id: deviceId,
    fleet_root_ca: root?.id ?? null,
    code: null,
    rule: null,
    remedy: null,
  });
  switch (judgement.kind) {
    case 'refused':
      return explainRefusal(judgement.refusal, shown[0]);
    case 'device':
      return admitted(judgement.device.device_id, trust.roots.get(judgement.device.fleet_root_ca_id));
    case 'provisioning_key':
      // Its common name is no device ID.
      return explainRefusal(
        refuse('not_a_device', 'This is the certificate of a provisioning key, which makes devices and is none.'),
        undefined,
      );
    case 'to_be_recorded': {
      const waits = outcomeOf(judgement);
      return waits ? explainRefusal(waits, shown[0]) : admitted(judgement.deviceId, judgement.root);
    }
  }
}

/** What a device is told once it has been recorded: null where it gets in. */
function outcomeOf({ deviceId, state, certificateState }: ToBeRecorded): Refusal | null {
  if (certificateState === 'pending') {
    return refuse('rekey_pending', `The new key of the device "${deviceId}" waits for approval.`);
  }
  if (state === 'pending') {
    return refuse('admission_pending', `The device "${deviceId}" waits for an operator to approve it.`);
  }
  return null;
}
