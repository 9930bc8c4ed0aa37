// A certificate leads to no Fleet Root CA of the account: the CA that was shown with it can be registered.

import { Alert, Anchor, Checkbox, Stack, Text, TextInput } from '@mantine/core';
import { useState } from 'react';
import { Link } from 'wouter';
import { answerOf, api, fileBody } from '../../api/client.ts';
import { useFleetRootCas } from '../../api/queries.ts';
import { useMay } from '../../api/session.tsx';
import type { OfAccount } from '../../app.tsx';
import { useCertificates } from '../../parts/certificate-card.tsx';
import { type CertificateFields, certificatePath } from '../../parts/certificate.ts';
import { Copy } from '../../parts/copy.tsx';
import { Instant } from '../../parts/instant.tsx';
import { texts } from '../../texts.ts';
import { Confirm } from '../../parts/confirm.tsx';
import { Facts } from './facts.tsx';
import { Mending } from './mending.tsx';
import type { ToMend } from './refusal-list.ts';

export function MendRegister({ account, refusal }: OfAccount & { refusal: ToMend }) {
  const said = texts.refusals.mend;
  const may = useMay();
  const roots = useFleetRootCas(account);
  const { data: [leaf, ...others] = [] } = useCertificates(refusal.certificates);
  const top = leaf && certificatePath(leaf, others).at(-1);
  const ca = top && top !== leaf && top.ca && top.subjectDer === top.issuerDer ? top : undefined;
  // By its key: a CA that was renewed with the same key is the same.
  const known = roots.data?.find(({ certificates }) =>
    certificates.some((each) => each.public_key_sha256 === ca?.publicKeySha256),
  );
  if (!may('registerFleetRootCa', account) || leaf === undefined || roots.data === undefined) return null;
  if (ca !== undefined && known === undefined) return <Register account={account} ca={ca} />;
  return (
    <Text size="sm" role="status">
      {known === undefined ? said.registerNotShown : known.waiting ? said.registerWaits : said.registerDone}{' '}
      <Anchor component={Link} href={`/accounts/${account}/fleet-root-cas`} inherit underline="always">
        {said.registerElsewhere}
      </Anchor>
    </Text>
  );
}

function Register({ account, ca }: OfAccount & { ca: CertificateFields }) {
  const said = texts.refusals.mend;
  return (
    <Mending button={said.register} done={said.registerDone}>
      {(close, onDone) => <RegisterDialog account={account} ca={ca} onDone={onDone} onClose={close} />}
    </Mending>
  );
}

function RegisterDialog({
  account,
  ca,
  onDone,
  onClose,
}: OfAccount & { ca: CertificateFields; onDone: () => void; onClose: () => void }) {
  const said = texts.refusals.mend;
  const fields = texts.certificate;
  const [name, setName] = useState('');
  const [compared, setCompared] = useState(false);
  const register = (): Promise<unknown> =>
    answerOf(
      api.POST('/api/v1/accounts/{account}/fleet-root-cas', {
        params: { path: { account }, query: name.trim() === '' ? {} : { name: name.trim() } },
        ...fileBody(new TextEncoder().encode(ca.pem)),
      }),
    );
  return (
    <Confirm
      title={said.registerTitle}
      button={said.register}
      touches={[
        [account, 'fleet-root-cas'],
        [account, 'account'],
      ]}
      ready={compared}
      act={register}
      onDone={onDone}
      onClose={onClose}
    >
      <Stack>
        <Alert color="yellow" variant="outline">
          {said.registerAbout}
        </Alert>
        <Facts
          stacked
          facts={[
            [fields.subject, ca.subject],
            [fields.sha256, <Copy key="sha256" value={ca.sha256} what={said.certificateWhat} />],
            [fields.key, ca.key],
            [
              fields.validity,
              <span key="validity">
                <Instant at={ca.notBefore} /> {fields.until} <Instant at={ca.notAfter} />
              </span>,
            ],
          ]}
        />
        <TextInput
          label={said.registerName}
          description={said.registerNameAbout}
          value={name}
          onChange={({ currentTarget: { value } }) => setName(value)}
          autoComplete="off"
        />
        <Checkbox
          label={said.registerCompare}
          checked={compared}
          onChange={({ currentTarget: { checked } }) => setCompared(checked)}
        />
      </Stack>
    </Confirm>
  );
}
