// A certificate with all its fields.

import { Group, Paper, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { texts } from '../texts.ts';
import { type CertificateFields, readCertificates } from './certificate.ts';
import { Copy, CopyIcon } from './copy.tsx';
import { Instant } from './instant.tsx';
import './certificate-card.css';

/** The certificates of a PEM text, as a query: they do not change. */
export function useCertificates(pem: string) {
  return useQuery({
    queryKey: ['read-certificates', pem],
    queryFn: () => readCertificates(pem),
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });
}

/** One a line: there may be a comma in a name. */
function AlternativeNames({ names }: { names: readonly string[] }) {
  return names.map((name, at) => <div key={at}>{name}</div>);
}

/** Shows a certificate. `title` says what it is on its path, such as "The device"; `badge` stands beside it. */
export function CertificateCard({
  certificate,
  title,
  badge,
  order = 3,
}: {
  certificate: CertificateFields;
  title: string;
  badge?: ReactNode;
  order?: 2 | 3 | 4;
}) {
  const said = texts.certificate;
  const { keyUsage, extendedKeyUsage, alternativeNames, pathLength } = certificate;
  const fields: [string, ReactNode][] = [
    [said.subject, <span key="subject">{certificate.subject || texts.common.none}</span>],
    [said.issuer, <span key="issuer">{certificate.issuer || texts.common.none}</span>],
    [said.serial, <Copy key="serial" value={certificate.serial} what={said.serialWhat} />],
    [
      said.validity,
      <span key="validity">
        <Instant at={certificate.notBefore} /> {said.until} <Instant at={certificate.notAfter} />
      </span>,
    ],
    [said.key, certificate.key],
    [said.signedWith, certificate.signature],
    [said.keyUsage, keyUsage === null ? said.absent : keyUsage.join(', ')],
    [said.extendedKeyUsage, extendedKeyUsage === null ? said.absent : extendedKeyUsage.join(', ')],
  ];
  if (alternativeNames.length > 0)
    fields.push([said.alternativeNames, <AlternativeNames key="names" names={alternativeNames} />]);
  if (certificate.ca) fields.push([said.ca, pathLength === null ? said.caAny : said.caPath(pathLength)]);
  fields.push([said.sha256, <Copy key="sha256" value={certificate.sha256} what={said.sha256What} />]);
  fields.push([said.keySha256, <Copy key="key" value={certificate.publicKeySha256} what={said.keySha256What} />]);
  return (
    <Paper withBorder p="md" className="certificate-card">
      <Stack gap="sm">
        <Group justify="space-between" wrap="nowrap" align="flex-start">
          <Title order={order}>{title}</Title>
          <Group gap="xs" wrap="nowrap">
            {badge}
            <CopyIcon value={certificate.pem} what={said.pemWhat} />
          </Group>
        </Group>
        <dl className="fields">
          {fields.map(([name, value]) => (
            <div key={name}>
              <Text component="dt" size="xs" c="dimmed">
                {name}
              </Text>
              <Text component="dd" size="sm">
                {value}
              </Text>
            </div>
          ))}
        </dl>
      </Stack>
    </Paper>
  );
}
