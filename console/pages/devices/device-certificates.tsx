// The certificates that a device has or had, and the way to revoke one.

import { Button, Modal, Table, Text } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api, type Impact } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { Asked } from '../../parts/asked.tsx';
import { CertificateCard, useCertificates } from '../../parts/certificate-card.tsx';
import { Copy } from '../../parts/copy.tsx';
import { Destructive } from '../../parts/destructive.tsx';
import { Instant } from '../../parts/instant.tsx';
import { Rows } from '../../parts/rows.tsx';
import { StateBadge } from '../../parts/state-badge.tsx';
import { texts } from '../../texts.ts';
import type { Device, OfDevice } from './device.tsx';

type Own = Device['certificates'][number];
const said = texts.device;
const path = '/api/v1/accounts/{account}/certificates/{sha256}/revoke';

export function DeviceCertificates({ account, device }: OfDevice) {
  const client = useQueryClient();
  const may = useMay()('revokeCertificate', account);
  const [revoking, setRevoking] = useState<Own | null>(null);
  const [looking, setLooking] = useState<Own | null>(null);
  if (device.certificates.length === 0) return <Text size="sm">{said.noCertificate}</Text>;
  const revoke = (sha256: string, query: { dry_run: true } | { confirm: number }) =>
    answerOf(api.POST(path, { params: { path: { account, sha256 }, query } }));
  return (
    <>
      <Rows label={said.certificates} heads={[...said.certificateHeads]}>
        {device.certificates
          .toSorted((a, b) => b.not_before.localeCompare(a.not_before))
          .map((certificate) => {
            const { sha256, state } = certificate;
            const short = sha256.slice(0, 16);
            return (
              <Table.Tr key={sha256}>
                <Table.Td style={{ whiteSpace: 'nowrap' }}>
                  <Copy value={sha256} shown={`${short}…`} what={texts.certificate.sha256What} />
                </Table.Td>
                <Table.Td>
                  <StateBadge state={state} />
                </Table.Td>
                <Table.Td>
                  <Instant at={certificate.not_before} />
                </Table.Td>
                <Table.Td>
                  <Instant at={certificate.not_after} />
                </Table.Td>
                <Table.Td>
                  <Instant at={certificate.first_used_at} />
                </Table.Td>
                <Table.Td style={{ whiteSpace: 'nowrap' }}>
                  <Button
                    size="compact-sm"
                    variant="default"
                    mr="xs"
                    onClick={() => setLooking(certificate)}
                    aria-label={said.lookAt(short)}
                  >
                    {said.look}
                  </Button>
                  {may && state !== 'revoked' && (
                    <Button
                      size="compact-sm"
                      variant="outline"
                      color="red"
                      onClick={() => setRevoking(certificate)}
                      aria-label={said.revokeCertificate(short)}
                    >
                      {said.revoke}
                    </Button>
                  )}
                </Table.Td>
              </Table.Tr>
            );
          })}
      </Rows>
      {looking && (
        <Modal opened onClose={() => setLooking(null)} title={said.oneCertificate} size="lg">
          <Fields certificate={looking} />
        </Modal>
      )}
      {revoking && (
        <Destructive
          title={said.revokeCertificate(revoking.sha256.slice(0, 16))}
          about={said.revokeCertificateAbout}
          typed={device.device_id}
          preview={() => revoke(revoking.sha256, { dry_run: true }) as Promise<Impact>}
          act={(confirm) => revoke(revoking.sha256, { confirm })}
          onDone={() => {
            for (const part of ['device', 'devices', 'certificates', 'audit']) {
              void client.invalidateQueries({ queryKey: [account, part] });
            }
          }}
          onClose={() => setRevoking(null)}
        />
      )}
    </>
  );
}

function Fields({ certificate }: { certificate: Own }) {
  const query = useCertificates(certificate.certificate);
  return (
    <Asked query={query}>
      {(all) =>
        all.map((each) => (
          <CertificateCard
            key={each.sha256}
            certificate={each}
            title={said.linkDevice}
            badge={<StateBadge state={certificate.state} />}
          />
        ))
      }
    </Asked>
  );
}
