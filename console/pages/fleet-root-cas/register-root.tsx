// Registering a Fleet Root CA by its certificate: the server checks it, and its key stays where it is.

import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { answerOf, api, fileBody } from '../../api/client.ts';
import { texts } from '../../texts.ts';
import { CertificateFile } from './certificate-file.tsx';

const said = texts.fleetRootCas;

export function RegisterRoot({
  account,
  onDone,
  onClose,
}: {
  account: string;
  onDone: (what: string) => void;
  onClose: () => void;
}) {
  const [name, setName] = useState('');
  return (
    <CertificateFile
      title={said.register}
      about={said.registerAbout}
      label={said.registerDrop}
      action={said.registerNow}
      give={async ({ bytes }) => {
        const {
          name: called,
          added,
          intermediates,
          waiting,
        } = await answerOf(
          api.POST('/api/v1/accounts/{account}/fleet-root-cas', {
            params: { path: { account }, query: name === '' ? {} : { name } },
            ...fileBody(bytes),
          }),
        );
        onDone(said.registered[added](called, intermediates, waiting));
      }}
      onClose={onClose}
    >
      <TextInput
        label={said.name}
        description={said.nameAbout}
        value={name}
        onChange={({ currentTarget: { value } }) => setName(value)}
        autoComplete="off"
      />
    </CertificateFile>
  );
}
