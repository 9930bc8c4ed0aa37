// Whether certificates would get in, and where not, by which rule and what mends it.

import { Alert, Stack, Text } from '@mantine/core';
import { IconCircleCheck, IconCircleX } from '@tabler/icons-react';
import type { Schema } from '../../api/client.ts';
import { useFleetRootCas } from '../../api/queries.ts';
import type { OfAccount } from '../../app.tsx';
import { Copy } from '../../parts/copy.tsx';
import { Said } from '../../parts/said.tsx';
import { texts } from '../../texts.ts';
import { Facts } from './facts.tsx';

export function Verdict({ account, explanation }: OfAccount & { explanation: Schema<'Explanation'> }) {
  const said = texts.explain;
  const { admitted, device_id, fleet_root_ca, code, rule, remedy } = explanation;
  const root = useFleetRootCas(account).data?.find(({ id }) => id === fleet_root_ca)?.name ?? fleet_root_ca;
  return (
    <Alert
      color={admitted ? 'teal' : 'red'}
      variant="outline"
      role="status"
      icon={admitted ? <IconCircleCheck aria-hidden /> : <IconCircleX aria-hidden />}
      title={admitted ? said.admitted : said.refused}
    >
      <Stack gap="sm">
        <Text>{admitted ? said.admittedText : <Said text={rule ?? ''} />}</Text>
        {remedy !== null && (
          <Text size="sm">
            <Text span fw={600} inherit>
              {said.facts.remedy}:
            </Text>{' '}
            <Said text={remedy} />
          </Text>
        )}
        <Facts
          facts={[
            [
              said.facts.deviceId,
              device_id === null ? said.noDeviceId : <Copy key="id" value={device_id} what={said.deviceIdWhat} />,
            ],
            ...(admitted ? ([[said.facts.root, root ?? said.noRoot]] as const) : []),
            ...(code === null
              ? []
              : ([
                  [
                    said.facts.code,
                    <span key="code" className="mono">
                      {code}
                    </span>,
                  ],
                ] as const)),
          ]}
        />
      </Stack>
    </Alert>
  );
}
