// Provisioning with device credentials: a device that comes with a certificate of its own is added when it connects.

import { Problem } from '../problem.ts';
import { chainIdOf, type Intermediate } from '../registry/chains.ts';
import { certificatesOfChain } from '../registry/device-standings.ts';
import type { Registry } from '../registry/writer.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { AccountTrust } from './account-trust.ts';
import {
  type AdmittedDevice,
  type AdmittedProvisioningKey,
  judge,
  type JudgedDevice,
  type Refused,
  type ToBeRecorded,
} from './admission.ts';

/** How often a decision is taken anew when what it rested on changes under it. */
const mostAttempts = 5;

export type Admission = AdmittedDevice | AdmittedProvisioningKey | Refused;

/**
 * Admits whoever shows these certificates, the leaf first. What has to be recorded (a newcomer, a new certificate, a
 * move, the first use of an issued certificate, the intermediates of a full handshake) is on the disk when this returns.
 * `loadTrust` gives the account's trust as it is at that moment; `added` is told of a newcomer; `handshake` says whether
 * the peer showed these itself, or its session was taken up again and all but the leaf were on record. Throws Problem `unavailable` where the registry keeps changing under the decision.
 */
export async function admit(
  registry: Registry,
  loadTrust: () => Promise<AccountTrust>,
  shown: readonly Certificate[],
  now: number,
  { added, handshake }: { added: (state: 'pending' | 'active') => void; handshake: 'full' | 'resumed' },
): Promise<Admission> {
  for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
    const trust = await loadTrust();
    const judgement = await judge(registry.read, trust, shown, now);
    if (judgement.kind === 'to_be_recorded') {
      const recorded = await record(registry, trust, judgement);
      if (recorded && judgement.standing.device === null) added(judgement.state);
      continue;
    }
    const unused = unusedCertificate(judgement);
    if (unused !== null) {
      await registry.write('recordFirstUse', { account_id: trust.account.id, tbs_sha256: unused });
      continue;
    }
    if (judgement.kind !== 'device') return judgement;
    const { intermediates, ...device } = judgement;
    if (handshake === 'resumed' || !(await recordOtherChain(registry, judgement))) return device;
  }
  throw new Problem('unavailable', 'The state of this device keeps changing; ask again.');
}

/** Whether a device came by intermediates that were not kept; they are now, for when it takes up its session again. */
async function recordOtherChain(registry: Registry, { device, intermediates }: JudgedDevice): Promise<boolean> {
  const { account_id, uuid: device_uuid, chain_id } = device;
  if (chainIdOf(intermediates.map(({ sha256 }) => sha256)) === chain_id) return false;
  const kept = chain_id === null ? [] : await certificatesOfChain(registry.read, account_id, chain_id);
  if (intermediates.every(({ der }) => kept.some((each) => der.equals(each)))) return false;
  await registry.write('recordDeviceChain', { account_id, device_uuid, intermediates: asIntermediates(intermediates) });
  return true;
}

/** A certificate that is shown for the first time: also a device that has to wait has shown that its reply arrived. */
function unusedCertificate(judgement: Admission): string | null {
  if (judgement.kind === 'provisioning_key' || judgement.certificate === null) return null;
  const { state, first_used_at, tbs_sha256 } = judgement.certificate;
  return first_used_at === null && (state === 'current' || state === 'superseded') ? tbs_sha256 : null;
}

async function record(registry: Registry, trust: AccountTrust, judgement: ToBeRecorded): Promise<boolean> {
  const { leaf, standing, root, intermediates, deviceId, sighting } = judgement;
  return registry.write('admitDevice', {
    account_id: trust.account.id,
    shown: {
      tbs_sha256: leaf.tbsSha256,
      sha256: leaf.sha256,
      serial: leaf.serial,
      public_key_sha256: leaf.publicKey.sha256,
      not_before: leaf.notBefore,
      not_after: leaf.notAfter,
      subject_name: deviceId,
      der: leaf.der,
    },
    state: judgement.state,
    certificate_state: judgement.certificateState,
    fleet_root_ca_id: root.id,
    intermediates: asIntermediates(intermediates),
    strange_to: sighting?.kind === 'stranger' ? sighting.line_id : null,
    basis: { standing, account: trust.account, root: trust.rows.get(root.id) ?? root },
  });
}

function asIntermediates(certificates: readonly Certificate[]): Intermediate[] {
  return certificates.map(({ sha256, publicKey, subject, der }) => ({
    sha256,
    public_key_sha256: publicKey.sha256,
    subject: subject.text,
    certificate: der,
  }));
}
