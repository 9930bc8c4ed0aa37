// The refusals of one device, or of one address: by rule, with what mends each.

import { Alert, Anchor, Badge, Button, Group, Paper, Stack, Text, Title } from '@mantine/core';
import { IconCircleCheck } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { Link } from 'wouter';
import type { OfAccount } from '../../app.tsx';
import { useMay } from '../../api/session.tsx';
import { useAddress } from '../../parts/address.ts';
import { Copy } from '../../parts/copy.tsx';
import { drawn } from '../../parts/drawn.ts';
import { Failure } from '../../parts/failure.tsx';
import { Ago } from '../../parts/instant.tsx';
import { Said } from '../../parts/said.tsx';
import { texts } from '../../texts.ts';
import { explainCertificates } from './explain-certificates.ts';
import { Facts } from './facts.tsx';
import { Mend } from './mend.tsx';
import type { Refusal, RefusalsByRule, RefusalsOfOne } from './refusal-list.ts';
import { ShownCertificates } from './shown-certificates.tsx';
import { Verdict } from './verdict.tsx';

/** What came of a device since the page was opened: it joined, or somebody lets it in when it comes again. */
export type LetIn = 'cameIn' | 'mayComeIn';

/** `of` is the account whose refusals these are; null for those of none. */
export function RefusalsOfOneCard({
  account,
  of,
  group: { deviceId, address, rules },
  letIn,
}: OfAccount & { of: string | null; group: RefusalsOfOne; letIn: LetIn | undefined }) {
  const said = texts.refusals;
  const [, setDevice] = useAddress('device');
  const [, setAddress] = useAddress('address');
  const who = deviceId !== null ? drawn(deviceId) : address === null ? said.noAddress : said.noDevice(address);
  const canNarrow = deviceId !== null || address !== null;
  return (
    <Paper component="article" withBorder p="md" aria-label={who}>
      <Stack gap="md">
        <Group justify="space-between" align="flex-start">
          <Title order={2}>{deviceId === null ? who : <Copy value={deviceId} what={said.deviceId} />}</Title>
          {canNarrow && (
            <Button
              variant="subtle"
              size="compact-sm"
              onClick={() => (deviceId === null ? setAddress(address) : setDevice(deviceId))}
            >
              {said.onlyThis}
              <span className="visually-hidden">: {who}</span>
            </Button>
          )}
        </Group>
        {letIn !== undefined && deviceId !== null && (
          <Alert
            color="teal"
            variant="outline"
            role="status"
            icon={<IconCircleCheck aria-hidden />}
            title={said[letIn](drawn(deviceId))}
          >
            <Anchor component={Link} href={`/accounts/${account}/devices?text=${encodeURIComponent(deviceId)}`}>
              {said.toDevice}
            </Anchor>
          </Alert>
        )}
        {rules.map((rule) => (
          <ByRule key={rule.code} of={of} rule={rule} />
        ))}
      </Stack>
    </Paper>
  );
}

function ByRule({ of, rule: { code, refusals, count, first } }: { of: string | null; rule: RefusalsByRule }) {
  const said = texts.refusals;
  const [latest] = refusals;
  const unique = (member: 'address' | 'sni'): string =>
    [...new Set(refusals.map((each) => each[member]).filter((value) => value !== null))].join(', ');
  const names: Readonly<Record<string, string>> = said.codes;
  return (
    <Stack gap="sm" className="refusal-rule">
      <Group gap="xs" align="baseline">
        <Title order={3}>{names[code] ?? code}</Title>
        <Badge color="gray" variant="outline">
          {code}
        </Badge>
      </Group>
      <Text>
        <Said text={latest.rule} />
      </Text>
      <Text size="sm">
        <Text span fw={600} inherit>
          {said.remedy}:
        </Text>{' '}
        <Said text={latest.remedy} />
      </Text>
      <Facts
        facts={[
          [said.facts.count, said.count(count)],
          [said.facts.last, <Ago key="last" at={latest.at} />],
          [said.facts.first, <Ago key="first" at={first} />],
          [said.facts.address, unique('address') || said.unknown],
          [said.facts.sni, unique('sni') || said.noSni],
        ]}
      />
      {of !== null && <WhatHelps account={of} refusal={latest} />}
      {latest.certificates === '' ? (
        <Text size="sm" c="dimmed">
          {said.shownNothing}
        </Text>
      ) : (
        <ShownCertificates pem={latest.certificates} />
      )}
      {refusals.length > 1 && (
        <Text size="sm" c="dimmed">
          {said.shownMore(new Set(refusals.slice(1).map(({ certificates }) => certificates)).size)}
        </Text>
      )}
    </Stack>
  );
}

/** What mends it, and whether it is mended. */
function WhatHelps({ account, refusal }: OfAccount & { refusal: Refusal }) {
  const said = texts.refusals;
  const may = useMay();
  const asking = useMutation({ mutationFn: () => explainCertificates(account, refusal.certificates) });
  return (
    <Stack gap="sm">
      <Group gap="sm" align="center">
        <Mend account={account} refusal={refusal} />
        {refusal.certificates !== '' && may('explain', account) && (
          <Button variant="default" loading={asking.isPending} onClick={() => asking.mutate()}>
            {said.now}
          </Button>
        )}
      </Group>
      <Failure error={asking.error} />
      {asking.data && <Verdict account={account} explanation={asking.data} />}
    </Stack>
  );
}
