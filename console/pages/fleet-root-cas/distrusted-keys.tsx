// The keys that an account distrusts: no path through one of them counts, whatever certificate it comes with.

import { Button, Group, Modal, Stack, Table, Text, Title } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api, fileBody, type Schema } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { Copy } from '../../parts/copy.tsx';
import { Failure } from '../../parts/failure.tsx';
import type { DroppedFile } from '../../parts/file-drop.tsx';
import { Instant } from '../../parts/instant.tsx';
import { Rows } from '../../parts/rows.tsx';
import { texts } from '../../texts.ts';
import { CertificateFile } from './certificate-file.tsx';
import { Distrust } from './distrust.tsx';

type Account = Schema<'Account'>;
type Distrusted = Account['distrusted_keys'][number];
type Open =
  | { readonly is: 'choose' }
  | { readonly is: 'distrust'; readonly file: DroppedFile }
  | { readonly is: 'trust'; readonly key: Distrusted };

const said = texts.fleetRootCas;

export function DistrustedKeys({ account, onDone }: { account: Account; onDone: (what: string) => void }) {
  const may = useMay();
  const [open, setOpen] = useState<Open | null>(null);
  const close = () => setOpen(null);
  const keys = account.distrusted_keys;
  return (
    <Stack gap="sm">
      <Group justify="space-between" align="flex-start">
        <div>
          <Title order={2}>{said.distrusted}</Title>
          <Text c="dimmed" size="sm" maw={720}>
            {said.distrustedAbout}
          </Text>
        </div>
        {may('distrustKey', account.name) && (
          <Button variant="default" onClick={() => setOpen({ is: 'choose' })}>
            {said.distrustKey}
          </Button>
        )}
      </Group>
      {keys.length === 0 ? (
        <Text size="sm">{said.noneDistrusted}</Text>
      ) : (
        <Rows label={said.distrusted} heads={said.distrustedHeads}>
          {keys.map((key) => (
            <Table.Tr key={key.public_key_sha256}>
              <Table.Td className="root-subject root-cell">{key.subject}</Table.Td>
              <Table.Td className="root-key">
                <Copy
                  value={key.public_key_sha256}
                  what={said.keySha256Of(key.subject)}
                  shown={`${key.public_key_sha256.slice(0, 16)}…`}
                />
              </Table.Td>
              <Table.Td>
                <Instant at={key.added_at} />
              </Table.Td>
              <Table.Td>
                {may('trustKey', account.name) && (
                  <Button
                    variant="default"
                    size="compact-sm"
                    onClick={() => setOpen({ is: 'trust', key })}
                    aria-label={said.trustOf(key.subject)}
                  >
                    {said.trust}
                  </Button>
                )}
              </Table.Td>
            </Table.Tr>
          ))}
        </Rows>
      )}
      {open?.is === 'choose' && (
        <CertificateFile
          title={said.distrustKey}
          about={said.distrustAbout}
          label={said.distrustDrop}
          action={said.seeFirst}
          give={async (file) => setOpen({ is: 'distrust', file })}
          onClose={close}
        />
      )}
      {open?.is === 'distrust' && <Distrust account={account.name} file={open.file} onDone={onDone} onClose={close} />}
      {open?.is === 'trust' && <TrustAgain account={account} of={open.key} onDone={onDone} onClose={close} />}
    </Stack>
  );
}

/** The server takes the certificate: where one of that key is registered, it need not be looked for. */
function TrustAgain({
  account,
  of,
  onDone,
  onClose,
}: {
  account: Account;
  of: Distrusted;
  onDone: (what: string) => void;
  onClose: () => void;
}) {
  const known = account.fleet_root_cas
    .flatMap(({ certificates }) => certificates)
    .find(({ public_key_sha256 }) => public_key_sha256 === of.public_key_sha256);
  const trust = async (bytes: Uint8Array): Promise<void> => {
    const { waiting } = await answerOf(
      api.POST('/api/v1/accounts/{account}/distrusted-keys/remove', {
        params: { path: { account: account.name } },
        ...fileBody(bytes),
      }),
    );
    onDone(waiting ? said.trustWaits(of.subject) : said.trusted(of.subject));
    onClose();
  };
  const trusting = useMutation({ mutationFn: trust });
  const title = said.trustOf(of.subject);
  if (known === undefined) {
    return (
      <CertificateFile
        title={title}
        about={said.trustAbout}
        label={said.trustDrop}
        action={said.trust}
        give={({ bytes }) => trust(bytes)}
        onClose={onClose}
      />
    );
  }
  return (
    <Modal opened onClose={onClose} title={title} size="lg">
      <Stack>
        <Text size="sm">{said.trustAbout}</Text>
        <Failure error={trusting.error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            {texts.common.cancel}
          </Button>
          <Button
            onClick={() => trusting.mutate(new TextEncoder().encode(known.certificate))}
            loading={trusting.isPending}
          >
            {said.trust}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
