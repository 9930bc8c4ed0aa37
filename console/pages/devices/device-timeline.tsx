// What happened to a device, the latest first: entries of the audit log, refusals, and what its certificates tell.

import { Text } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { answerOf, api, pageOf } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { Failure } from '../../parts/failure.tsx';
import { Ago } from '../../parts/instant.tsx';
import { More } from '../../parts/more.tsx';
import { Said } from '../../parts/said.tsx';
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
/** An entry and what a certificate tells that are within so many milliseconds are of one act. */
const together = 2_000;
const atOnce = 100;

export function DeviceTimeline({ account, device }: OfDevice) {
  const may = useMay();
  const { uuid, device_id } = device;
  const path = { account };
  const audit = useInfiniteQuery({
    // Beneath the device, so that its events have it asked for again.
    queryKey: [account, 'device', uuid, 'audit'],
    enabled: may('listAccountAudit', account),
    initialPageParam: null as string | null,
    queryFn: ({ pageParam: cursor }) =>
      pageOf(
        api.GET('/api/v1/accounts/{account}/audit', {
          params: { path, query: { object: device_id, limit: atOnce, ...(cursor !== null && { cursor }) } },
        }),
      ),
    getNextPageParam: ({ next }) => next,
  });
  const refusals = useQuery({
    queryKey: [account, 'refusals', 'device', device_id],
    enabled: may('listRefusals', account),
    queryFn: () =>
      answerOf(api.GET('/api/v1/accounts/{account}/refusals', { params: { path, query: { device_id, limit: 100 } } })),
  });
  const ofIt = (audit.data?.pages ?? [])
    .flatMap(({ rows }) => rows)
    // An ID may have been another device's before, or be the name of something else.
    .filter(({ object: { kind, id } }) => id === uuid || (kind === 'certificate' && isOf(device, id)));
  const entries = ofIt.map(({ action, at, by, result }, index): Happening => ({
    id: `audit ${at} ${action} ${index}`,
    at,
    what: result === 'done' ? said.action(action) : said.actionRefused(said.action(action), result),
    more: said.by[by.kind](by.name),
  }));
  const told = entries.map(({ at }) => Date.parse(at));
  const happenings = [
    ...entries,
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
      <Failure error={audit.error ?? refusals.error} title={texts.common.notRead} />
      <div className="device-timeline" role="region" aria-label={said.timeline} tabIndex={0}>
        <ol>
          {happenings.map(({ id, at, what, more }) => (
            <li key={id}>
              <Text size="sm">{what}</Text>
              {more !== undefined && (
                <Text size="xs" c="dimmed">
                  <Said text={more} />
                </Text>
              )}
              <Text size="xs" c="dimmed">
                <Ago at={at} />
              </Text>
            </li>
          ))}
        </ol>
        <More query={audit} />
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
