// The certificates of a Fleet Root CA, its own and those of its intermediates, opened when one wants to know.

import { Button, Group, Stack } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { type ReactNode, useState } from 'react';
import { useMay } from '../../api/session.tsx';
import { Asked } from '../../parts/asked.tsx';
import { CertificateCard, useCertificates } from '../../parts/certificate-card.tsx';
import { download } from '../../parts/download.ts';
import { texts } from '../../texts.ts';
import type { FleetRootCa } from './changes.ts';
import { Distrust } from './distrust.tsx';
import './fleet-root-cas.css';

type Certificate = FleetRootCa['certificates'][number];

const said = texts.fleetRootCas;

export function RootCertificates({
  account,
  ca,
  onDone,
}: {
  account: string;
  ca: FleetRootCa;
  onDone: (what: string) => void;
}) {
  const may = useMay();
  const [opened, setOpened] = useState(false);
  const [shutOut, setShutOut] = useState<Certificate | null>(null);
  return (
    <>
      <details onToggle={({ currentTarget: { open } }) => setOpened(open)}>
        <summary className="root-summary">{said.certificates(ca.certificates.length)}</summary>
        {opened && (
          <Stack component="ul" gap="md" className="root-certificates">
            {ca.certificates.map((certificate) => (
              <li key={certificate.sha256}>
                <OneCertificate of={certificate}>
                  {certificate.role === 'intermediate' && may('distrustKey', account) && (
                    <Button
                      variant="outline"
                      color="red"
                      size="compact-sm"
                      onClick={() => setShutOut(certificate)}
                      aria-label={said.distrustOf(certificate.subject)}
                    >
                      {said.distrust}
                    </Button>
                  )}
                </OneCertificate>
              </li>
            ))}
          </Stack>
        )}
      </details>
      {shutOut !== null && (
        <Distrust
          account={account}
          file={{ name: shutOut.subject, bytes: new TextEncoder().encode(shutOut.certificate) }}
          onDone={onDone}
          onClose={() => setShutOut(null)}
        />
      )}
    </>
  );
}

/** `children` are what can be done with it besides. */
function OneCertificate({ of: { role, subject, certificate }, children }: { of: Certificate; children: ReactNode }) {
  const read = useCertificates(certificate);
  return (
    <Stack gap="xs">
      <Asked query={read}>
        {(fields) =>
          fields.map((one) => <CertificateCard key={one.sha256} certificate={one} title={said.roles[role]} />)
        }
      </Asked>
      <Group gap="xs">
        <Button
          variant="default"
          size="compact-sm"
          leftSection={<IconDownload size={14} aria-hidden />}
          onClick={() => download(`${fileName(subject)}.crt`, certificate, 'application/x-pem-file')}
          aria-label={said.savePemOf(subject)}
        >
          {said.savePem}
        </Button>
        {children}
      </Group>
    </Stack>
  );
}

/** The common name, with what a file's name cannot have left out. */
const fileName = (subject: string): string =>
  (/CN=([^,/+]+)/.exec(subject)?.[1] ?? 'certificate').replaceAll(/[^\w.-]+/g, '-');
