// A file of certificates that is given to the server: dropped, checked there, and kept when it is refused.

import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { noCertificates } from '../../parts/certificates-only.ts';
import { type DroppedFile, FileDrop } from '../../parts/file-drop.tsx';
import { Failure } from '../../parts/failure.tsx';
import { texts } from '../../texts.ts';
import { CertificatesIn } from './certificates-in.tsx';

const said = texts.fleetRootCas;

/** `give` sends the file, or goes on with it; `children` are further fields of the form. */
export function CertificateFile({
  title,
  about,
  label,
  action,
  give,
  children,
  onClose,
}: {
  title: string;
  about: string;
  label: string;
  action: string;
  give: (file: DroppedFile) => Promise<unknown>;
  children?: ReactNode;
  onClose: () => void;
}) {
  const [file, setFile] = useState<DroppedFile | null>(null);
  // What is secret stays on the reader's computer.
  const other = file && noCertificates(file.bytes);
  const giving = useMutation({ mutationFn: give });
  return (
    <Modal opened onClose={onClose} title={title} size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (file !== null && other === null) giving.mutate(file);
        }}
      >
        <Stack>
          <Text size="sm">{about}</Text>
          <FileDrop
            label={label}
            accept=".pem,.crt,.cer,.der"
            file={file?.name}
            onFile={(dropped) => {
              giving.reset();
              setFile(dropped);
            }}
          />
          {file !== null && other === null && <CertificatesIn bytes={file.bytes} />}
          {children}
          {file !== null && other !== null ? (
            <Failure error={new Error(said.holds[other](file.name))} title={said.notSent} />
          ) : (
            <Failure error={giving.error} title={said.refused} />
          )}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {texts.common.cancel}
            </Button>
            <Button type="submit" disabled={file === null || other !== null} loading={giving.isPending}>
              {action}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
