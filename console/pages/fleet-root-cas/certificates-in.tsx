// The certificates in a file, before it is given to the server: to be compared with what one has elsewhere.

import { Paper, Stack } from '@mantine/core';
import { useCertificates } from '../../parts/certificate-card.tsx';
import { pemOf } from '../../parts/certificates-only.ts';
import { Copy } from '../../parts/copy.tsx';
import { Instant } from '../../parts/instant.tsx';
import { texts } from '../../texts.ts';
import { Facts } from '../refusals/facts.tsx';

const said = texts.fleetRootCas;
const fields = texts.certificate;

/** Nothing of what the browser cannot read: the server says what is wrong with that. */
export function CertificatesIn({ bytes }: { bytes: Uint8Array }) {
  const { data: certificates = [] } = useCertificates(pemOf(bytes));
  if (certificates.length === 0) return null;
  return (
    <Stack component="section" gap="xs" aria-label={said.inFile}>
      {certificates.map(({ subject, notAfter, sha256 }, at) => (
        <Paper key={`${at} ${sha256}`} withBorder p="sm">
          <Facts
            stacked
            facts={[
              [fields.subject, subject],
              [said.inFileEnds, <Instant key="ends" at={notAfter} />],
              [fields.sha256, <Copy key="sha256" value={sha256} what={said.sha256Of(subject)} />],
            ]}
          />
        </Paper>
      ))}
    </Stack>
  );
}
