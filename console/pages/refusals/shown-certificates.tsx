// The certificates that somebody showed, opened by whoever wants to see them.

import { Stack } from '@mantine/core';
import { useState } from 'react';
import { Asked } from '../../parts/asked.tsx';
import { CertificateCard, useCertificates } from '../../parts/certificate-card.tsx';
import type { CertificateFields } from '../../parts/certificate.ts';
import { texts } from '../../texts.ts';

/** `open` shows them at once. */
export function ShownCertificates({ pem, open = false }: { pem: string; open?: boolean }) {
  const [opened, setOpened] = useState(open);
  const count = pem.split('-----BEGIN CERTIFICATE-----').length - 1;
  return (
    <details open={opened} onToggle={({ currentTarget }) => setOpened(currentTarget.open)}>
      <summary className="shown-summary">{texts.refusals.shown(count)}</summary>
      {opened && <Certificates pem={pem} />}
    </details>
  );
}

function Certificates({ pem }: { pem: string }) {
  return (
    <Asked query={useCertificates(pem)}>
      {(certificates) => (
        <Stack mt="sm">
          {certificates.map((certificate, at) => (
            <CertificateCard
              key={`${at} ${certificate.sha256}`}
              certificate={certificate}
              title={titleOf(certificate, at)}
              order={4}
            />
          ))}
        </Stack>
      )}
    </Asked>
  );
}

function titleOf({ ca, subjectDer, issuerDer }: CertificateFields, at: number): string {
  const said = texts.refusals;
  if (ca && subjectDer === issuerDer) return said.fleetRoot;
  return at === 0 ? said.leaf : said.issuer(at);
}
