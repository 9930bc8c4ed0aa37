// The owner of an account, where it has one: whose signature counts beside the operators', and what is signed.

import { Alert, List, Text } from '@mantine/core';
import type { Schema } from '../../api/client.ts';
import { Copy } from '../../parts/copy.tsx';
import { Instant } from '../../parts/instant.tsx';
import { Section } from '../../parts/section.tsx';
import { texts } from '../../texts.ts';
import { Facts } from './facts.tsx';

const said = texts.settings.owner;

export function Owner({ of: { owner_key: key, trust_set: set, fleet_root_cas } }: { of: Schema<'Account'> }) {
  if (key === null) {
    return (
      <Section title={said.title}>
        <Text>{said.none}</Text>
      </Section>
    );
  }
  const nameOf = (id: string | null) => fleet_root_cas.find((ca) => ca.id === id)?.name ?? id;
  return (
    <Section title={said.title} about={said.about}>
      {set?.fault && (
        <Alert color="red" variant="outline" title={said.fault}>
          <Text size="sm">{set.fault.rule}</Text>
          <Text size="sm">{set.fault.remedy}</Text>
        </Alert>
      )}
      <Facts
        of={{
          [said.algorithm]: key.algorithm,
          [said.key]: <Copy value={key.sha256} what={said.keyWhat} />,
          ...(set !== null && {
            [said.number]: set.number === 0 ? said.noSet : texts.number(set.number),
            ...(set.sha256 !== null && { [said.document]: <Copy value={set.sha256} what={said.documentWhat} /> }),
            [said.acceptedAt]: <Instant at={set.accepted_at} />,
            [said.waiting]: set.waiting ? said.waits : said.waitsNot,
          }),
        }}
      />
      {set !== null && set.narrowed.length > 0 && (
        <>
          <Text>{said.narrowed}</Text>
          <List size="sm">
            {set.narrowed.map((each) => (
              <List.Item key={each.id}>
                {said.kinds[each.kind]}:{' '}
                <span className="mono">{nameOf(each.fleet_root_ca) ?? each.public_key_sha256}</span>,{' '}
                <Instant at={each.at} />
              </List.Item>
            ))}
          </List>
        </>
      )}
    </Section>
  );
}
