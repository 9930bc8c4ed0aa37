// The private key of a generated Fleet Root CA, given out once, encrypted under a passphrase.

import { Button, Group, Modal, PasswordInput, Stack, Text } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { IconDownload } from '@tabler/icons-react';
import { useState } from 'react';
import { answerOf, api } from '../../api/client.ts';
import { download } from '../../parts/download.ts';
import { Failure } from '../../parts/failure.tsx';
import { ToldOnce } from '../../parts/told-once.tsx';
import { texts } from '../../texts.ts';
import type { FleetRootCa } from './changes.ts';

const said = texts.fleetRootCas;

export function ExportKey({ account, ca, onClose }: { account: string; ca: FleetRootCa; onClose: () => void }) {
  const [passphrase, setPassphrase] = useState('');
  const [again, setAgain] = useState('');
  const exporting = useMutation({
    mutationFn: () =>
      answerOf(
        api.POST('/api/v1/accounts/{account}/fleet-root-cas/{ca}/export', {
          params: { path: { account, ca: ca.id } },
          body: { passphrase },
        }),
      ),
    gcTime: 0,
  });
  if (exporting.data) {
    const { private_key } = exporting.data;
    return (
      <ToldOnce title={said.exported(ca.name)} what={said.exportedWhat} secret={private_key} onClose={onClose}>
        <Text size="sm">{said.exportedAbout}</Text>
        <Button
          variant="default"
          leftSection={<IconDownload size={18} aria-hidden />}
          onClick={() => download(`${ca.name.replaceAll(/[^\w.-]+/g, '-')}.key`, private_key, 'application/x-pem-file')}
        >
          {said.saveKey}
        </Button>
      </ToldOnce>
    );
  }
  const differs = again !== '' && again !== passphrase;
  return (
    <Modal opened onClose={onClose} title={said.exportOf(ca.name)} size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (again === passphrase) exporting.mutate();
        }}
      >
        <Stack>
          <Text size="sm">{said.exportAbout}</Text>
          <PasswordInput
            label={said.passphrase}
            description={said.passphraseAbout}
            value={passphrase}
            onChange={({ currentTarget: { value } }) => setPassphrase(value)}
            autoComplete="new-password"
            visibilityToggleButtonProps={{ 'aria-label': said.showTyped }}
            data-autofocus
          />
          <PasswordInput
            label={said.passphraseAgain}
            value={again}
            onChange={({ currentTarget: { value } }) => setAgain(value)}
            error={differs && said.differs}
            autoComplete="new-password"
            visibilityToggleButtonProps={{ 'aria-label': said.showTyped }}
          />
          <Failure error={exporting.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {texts.common.cancel}
            </Button>
            <Button
              type="submit"
              color="red"
              disabled={passphrase === '' || again !== passphrase}
              loading={exporting.isPending}
            >
              {said.exportNow}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
