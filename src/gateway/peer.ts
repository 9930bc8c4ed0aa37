// Who is calling: the certificates that a connection showed, judged by admission, in the account it speaks to.

import { presentRequest } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { admit, type Admission } from '../provisioning/device-credential.ts';
import { claimedDeviceId, mostCertificates, tooManyCertificates } from '../provisioning/device-identity.ts';
import { refuse } from '../provisioning/refusal.ts';
import { actAs, type Actor } from '../registry/acting.ts';
import { chainOfCertificate } from '../registry/chains.ts';
import type { Registry } from '../registry/writer.ts';
import type { Connection } from './connections.ts';
import { readOthers, readShown, type Shown, withOthers } from './shown.ts';
import type { Sightings } from './sightings.ts';
import type { Trust } from './trust.ts';
import type { Verdict } from './verdicts.ts';

const refused = (...refusal: Parameters<typeof refuse>): Admission => ({
  kind: 'refused',
  refusal: refuse(...refusal),
  certificate: null,
  sighting: null,
});

/**
 * Who a connection was found to be, where that is remembered and still counts: of everything that `identifyPeer` asks, what
 * needs no waiting. Null where it is to be asked. Throws Problem `unavailable` like it.
 */
export function rememberedPeer(trust: Trust, connection: Connection, now: number): Verdict | null {
  trust.requireFresh(now);
  const { ders, tbsSha256 } = (connection.shown ??= readShown(connection.socket));
  if (tbsSha256 === null || ders.length > mostCertificates) return null;
  return trust.verdicts.find(connection.account_id, tbsSha256, now);
}

/**
 * The same where all is known too that it came with: what is passed on of a session that was taken up again is more than
 * the leaf that it shows.
 */
export function knownPeer(trust: Trust, connection: Connection, now: number): Verdict | null {
  const known = rememberedPeer(trust, connection, now);
  const { resumed, shown, account_id } = connection;
  if (known === null || shown === null || !resumed || shown.ders.length > 1) return known;
  if (known.kind === 'device' && known.device.chain_id !== null) return null;
  return trust.shownBefore(account_id, shown.tbsSha256 ?? '') === null ? known : null;
}

/**
 * Who is at the other end of a connection, in the account that it speaks to. A verdict is remembered by the SHA-256 of
 * the leaf's TBSCertificate until something that it rests on changes; nothing in the registry replaces a validation.
 */
export async function identifyPeer(
  { registry, trust, sightings, metrics }: { registry: Registry; trust: Trust; sightings: Sightings; metrics: Metrics },
  connection: Connection,
  now: number,
): Promise<Admission> {
  const { account_id } = connection;
  const known = rememberedPeer(trust, connection, now);
  let shown = (connection.shown ??= readShown(connection.socket));
  if (shown.ders.length === 0) return refused('certificate_required');
  if (shown.ders.length > mostCertificates)
    return refused(tooManyCertificates.code, tooManyCertificates.rule, tooManyCertificates.remedy);
  if (connection.resumed && shown.ders.length === 1) {
    const chain_id = await chainOf(registry, account_id, shown, known);
    const others =
      chain_id === null
        ? trust.shownBefore(account_id, shown.tbsSha256 ?? '')
        : await trust.chainOf(account_id, chain_id);
    if (others !== null) shown = connection.shown = withOthers(shown, others);
  }
  // Asked once more: it may have been forgotten meanwhile.
  const still = known && rememberedPeer(trust, connection, now);
  if (still) return still;
  const { leaf } = shown;
  if (!leaf) return refused('certificate_invalid', shown.fault);

  const certificates = [leaf, ...readOthers(shown)];
  let epoch = trust.verdicts.epoch;
  const loadTrust = () => {
    epoch = trust.verdicts.epoch;
    return trust.trustOf(account_id);
  };
  const added = (state: 'pending' | 'active') => {
    const outcome = state === 'active' ? 'added' : 'pending';
    metrics.provisionings.inc({ account: metrics.accounts.of(account_id), method: 'device', outcome });
  };
  // What is recorded is recorded of whoever it proves to be; nothing is of whoever only claims to be somebody.
  const device: Actor = {
    kind: 'device',
    id: null,
    name: claimedDeviceId(leaf) ?? '',
    address: connection.address,
    request: presentRequest(),
  };
  const handshake = connection.resumed ? 'resumed' : 'full';
  const admission = await actAs(device, () => admit(registry, loadTrust, certificates, now, { added, handshake }));
  if (admission.kind !== 'refused') trust.verdicts.remember(account_id, leaf.tbsSha256, admission, epoch);
  else if (!connection.resumed) trust.keepShown(account_id, leaf.tbsSha256, shown.ders.slice(1));
  if (admission.kind !== 'provisioning_key' && admission.sighting) {
    const seen = {
      account_id,
      tbs_sha256: leaf.tbsSha256,
      device_id: claimedDeviceId(leaf) ?? '',
      public_key_sha256: leaf.publicKey.sha256,
    };
    // Turned away for something else, it may be in a manifest that is still to come.
    const certain = admission.kind === 'refused' && admission.refusal.code === 'certificate_not_in_manifest';
    sightings.note(admission.sighting, seen, { admitted: admission.kind === 'device', certain });
  }
  return admission;
}

/**
 * By which intermediates a device came last: a session that is taken up again shows its own certificate alone. Null for
 * none, and where nothing is known of it.
 */
async function chainOf(
  { read }: Registry,
  account_id: string,
  { tbsSha256 }: Shown,
  known: Verdict | null,
): Promise<string | null> {
  if (known !== null) return known.kind === 'device' ? known.device.chain_id : null;
  return tbsSha256 === null ? null : chainOfCertificate(read, account_id, tbsSha256);
}
