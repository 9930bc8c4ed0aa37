// Which keys can make a device: those with which this server could sign a device certificate, said as it is.

import { Alert, Table, Text } from '@mantine/core';
import type { Schema } from '../../api/client.ts';
import { Copy } from '../../parts/copy.tsx';
import { Instant } from '../../parts/instant.tsx';
import { Rows } from '../../parts/rows.tsx';
import { Section } from '../../parts/section.tsx';
import { StateBadge } from '../../parts/state-badge.tsx';
import { texts } from '../../texts.ts';

const said = texts.settings.issuing;

export function IssuingKeys({ of: { device_issuing_keys: keys } }: { of: Schema<'Account'> }) {
  return (
    <Section title={said.title} about={said.about}>
      <Alert
        color={keys.length === 0 ? 'teal' : 'gray'}
        variant="outline"
        title={keys.length === 0 ? said.none : said.some(keys.length)}
      >
        <Text size="sm">{keys.length === 0 ? said.noneText : said.someText}</Text>
      </Alert>
      {keys.length > 0 && (
        <Rows
          label={said.title}
          heads={[said.root, said.custodian, said.state, said.exportable, said.until, said.publicKey]}
        >
          {keys.map((key) => (
            <Table.Tr key={key.key_id}>
              <Table.Td>{key.fleet_root_ca_name ?? said.noRoot}</Table.Td>
              <Table.Td>{key.custodian}</Table.Td>
              <Table.Td>
                <StateBadge state={key.key_state} />
              </Table.Td>
              <Table.Td>{key.exportable ? said.yes : said.no}</Table.Td>
              <Table.Td>
                <Instant at={key.certificates_until} />
              </Table.Td>
              <Table.Td>
                <Copy
                  value={key.public_key_sha256}
                  shown={`${key.public_key_sha256.slice(0, 16)}…`}
                  what={said.publicKeyWhat}
                />
              </Table.Td>
            </Table.Tr>
          ))}
        </Rows>
      )}
    </Section>
  );
}
