// What happened to a device, the latest first: events, entries of the audit log, refusals, and what its certificates tell.

import { Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { answerOf, api, type Schema } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { Failure } from '../../parts/failure.tsx';
import { Ago } from '../../parts/instant.tsx';
import { texts } from '../../texts.ts';
import type { Device, OfDevice } from './device.tsx';

interface Happening {
  readonly id: string;
  readonly at: string;
  readonly what: string;
  /** By whom, or why. */
  readonly more?: string | undefined;
}

const said = texts.device;
/** Types of events that name a device, which the audit log may not tell in the same words. */
const types =
  'device.added,device.provisioned,device.pending,device.state_changed,device.key_changed,certificate.changed,certificate.expiring';
/** An event and an entry that are told within so many milliseconds are of one act. */
const together = 2_000;

export function DeviceTimeline({ account, device }: OfDevice) {
  const may = useMay();
  const { uuid, device_id } = device;
  const path = { account };
  const audit = useQuery({
    queryKey: [account, 'audit', 'device', uuid],
    enabled: may('listAccountAudit', account),
    queryFn: async () =>
      (
        await answerOf(
          api.GET('/api/v1/accounts/{account}/audit', { params: { path, query: { object: device_id, limit: 200 } } }),
        )
      ).filter(
        // An ID may have been another device's before, or be the name of something else.
        ({ object: { kind, id } }) => id === uuid || (kind === 'certificate' && isOf(device, id)),
      ),
  });
  const events = useQuery({
    queryKey: [account, 'device', uuid, 'events'],
    enabled: may('listEvents', account),
    queryFn: async () =>
      (
        (await answerOf(
          api.GET('/api/v1/accounts/{account}/events', { params: { path, query: { types, limit: 5_000 } } }),
        )) as Schema<'Event'>[]
      ).filter(({ data }) => data['uuid'] === uuid || data['id'] === uuid),
  });
  const refusals = useQuery({
    queryKey: [account, 'refusals', 'device', device_id],
    enabled: may('listRefusals', account),
    queryFn: () =>
      answerOf(api.GET('/api/v1/accounts/{account}/refusals', { params: { path, query: { device_id, limit: 100 } } })),
  });
  const entries = (audit.data ?? []).map(({ action, at, by, result }, index): Happening => ({
    id: `audit ${at} ${action} ${index}`,
    at,
    what: result === 'done' ? said.action(action) : said.actionRefused(said.action(action), result),
    more: said.by[by.kind](by.name),
  }));
  const told = entries.map(({ at }) => Date.parse(at));
  const happenings = [
    ...entries,
    ...(events.data ?? [])
      .filter(({ at }) => !told.some((each) => Math.abs(each - Date.parse(at)) < together))
      .map((event): Happening => ({ id: event.id, at: event.at, what: ofEvent(event) })),
    ...(refusals.data ?? []).map(({ id, at, count, code, rule }): Happening => ({
      id: `refusal ${id}`,
      at,
      what: said.refused(count),
      more: `${rule} (${code})`,
    })),
    ...ofItself(device).filter(({ at }) => !told.some((each) => Math.abs(each - Date.parse(at)) < together)),
  ].toSorted((a, b) => b.at.localeCompare(a.at));
  return (
    <>
      <Failure error={audit.error ?? events.error ?? refusals.error} title={texts.common.notRead} />
      <div className="device-timeline" role="region" aria-label={said.timeline} tabIndex={0}>
        <ol>
          {happenings.map(({ id, at, what, more }) => (
            <li key={id}>
              <Text size="sm">{what}</Text>
              {more !== undefined && (
                <Text size="xs" c="dimmed">
                  {more}
                </Text>
              )}
              <Text size="xs" c="dimmed">
                <Ago at={at} />
              </Text>
            </li>
          ))}
        </ol>
      </div>
    </>
  );
}

const isOf = ({ certificates }: Device, id: string): boolean =>
  certificates.some(({ tbs_sha256, sha256 }) => id === tbs_sha256 || id === sha256);

/** What is known without any log, and for longer than logs are kept. */
function ofItself({ first_seen, certificates }: Device): Happening[] {
  return [
    { id: 'first', at: first_seen, what: said.firstKnown },
    ...certificates.flatMap(({ sha256, first_used_at }) =>
      first_used_at === null
        ? []
        : [{ id: `used ${sha256}`, at: first_used_at, what: said.firstUsed(sha256.slice(0, 16)) }],
    ),
  ];
}

function ofEvent({ type, data }: Schema<'Event'>): string {
  if (type === 'device.state_changed') return said.events.state(String(data['from']), String(data['to']));
  if (type === 'certificate.changed' && data['state'] === 'revoked') return said.events.certificateRevoked;
  if (type === 'certificate.expiring') return said.events.expiring(Number(data['days']));
  const sentences: Readonly<Record<string, string>> = said.events.others;
  return sentences[type] ?? type;
}
