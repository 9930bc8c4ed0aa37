// The private key of a CA that the server has made, given out once, encrypted under a passphrase.

import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { IconDownload } from '@tabler/icons-react';
import { useState } from 'react';
import type { Schema } from '../../api/client.ts';
import { download } from '../../parts/download.ts';
import { Failure } from '../../parts/failure.tsx';
import { ToldOnce } from '../../parts/told-once.tsx';
import { texts } from '../../texts.ts';
import { Password } from '../login/password.tsx';

const said = texts.fleetRootCas;

/** `about` says who can do what with it; `give` has it given out. */
export function ExportKey({
  name,
  about,
  give,
  onClose,
}: {
  name: string;
  about: string;
  give: (passphrase: string) => Promise<Schema<'ExportedKey'>>;
  onClose: () => void;
}) {
  const [passphrase, setPassphrase] = useState('');
  const [again, setAgain] = useState('');
  const exporting = useMutation({
    mutationFn: () => give(passphrase),
    gcTime: 0,
  });
  if (exporting.data) {
    const { private_key } = exporting.data;
    return (
      <ToldOnce title={said.exported(name)} what={said.exportedWhat} secret={private_key} onClose={onClose}>
        <Text size="sm">{said.exportedAbout}</Text>
        <Button
          variant="default"
          leftSection={<IconDownload size={18} aria-hidden />}
          onClick={() => download(`${name.replaceAll(/[^\w.-]+/g, '-')}.key`, private_key, 'application/x-pem-file')}
        >
          {said.saveKey}
        </Button>
      </ToldOnce>
    );
  }
  const differs = again !== '' && again !== passphrase;
  return (
    <Modal opened onClose={onClose} title={said.exportOf(name)} size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (again === passphrase) exporting.mutate();
        }}
      >
        <Stack>
          <Text size="sm">{about}</Text>
          <Password
            label={said.passphrase}
            description={said.passphraseAbout}
            value={passphrase}
            onValue={setPassphrase}
            autoComplete="new-password"
            data-autofocus
          />
          <Password
            label={said.passphraseAgain}
            value={again}
            onValue={setAgain}
            error={differs && said.differs}
            autoComplete="new-password"
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
