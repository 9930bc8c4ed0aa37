// A certificate is dropped, and the page says whether it would get in, and why not.

import { Anchor, Button, Group, Stack, Text, Textarea, Title } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import type { OfAccount } from '../../app.tsx';
import { noCertificates } from '../../parts/certificates-only.ts';
import { Empty } from '../../parts/empty.tsx';
import { Failure } from '../../parts/failure.tsx';
import { type DroppedFile, FileDrop } from '../../parts/file-drop.tsx';
import { Page } from '../../parts/page.tsx';
import { texts } from '../../texts.ts';
import { explainCertificates } from './explain-certificates.ts';
import { Mend } from './mend.tsx';
import { ShownCertificates } from './shown-certificates.tsx';
import { Verdict } from './verdict.tsx';

export function Explain({ account }: OfAccount) {
  const said = texts.explain;
  const [file, setFile] = useState<string>();
  const [pasted, setPasted] = useState('');
  const asking = useMutation({
    async mutationFn(bytes: Uint8Array<ArrayBuffer>) {
      const other = noCertificates(bytes);
      if (other !== null) throw new Error(said.notSent[other]);
      const pem = pemOf(bytes);
      return { pem, explanation: await explainCertificates(account, bytes) };
    },
  });
  const drop = ({ name, bytes }: DroppedFile): void => {
    setFile(name);
    asking.mutate(bytes);
  };
  const { data } = asking;
  return (
    <Page
      title={said.title}
      about={said.about}
      actions={
        <Button component={Link} href={`/accounts/${account}/refusals`} variant="default">
          {said.toRefusals}
        </Button>
      }
    >
      <FileDrop label={said.drop} accept=".pem,.crt,.cer,.der" file={file} onFile={drop} />
      <form
        onSubmit={(event) => {
          event.preventDefault();
          setFile(undefined);
          asking.mutate(new TextEncoder().encode(pasted));
        }}
      >
        <Stack gap="sm">
          <Textarea
            label={said.paste}
            description={said.pasteAbout}
            value={pasted}
            onChange={({ currentTarget: { value } }) => setPasted(value)}
            autosize
            minRows={4}
            maxRows={12}
            spellCheck={false}
            classNames={{ input: 'mono' }}
          />
          <Group>
            <Button type="submit" disabled={pasted.trim() === ''} loading={asking.isPending}>
              {said.ask}
            </Button>
          </Group>
        </Stack>
      </form>
      <Failure error={asking.error} />
      {data ? (
        <Stack component="section" aria-label={said.verdict}>
          <Title order={2}>{said.verdict}</Title>
          <Verdict account={account} explanation={data.explanation} />
          {data.explanation.code !== null && (
            <Group>
              <Mend
                account={account}
                refusal={{
                  code: data.explanation.code,
                  rule: data.explanation.rule ?? '',
                  device_id: data.explanation.device_id,
                  certificates: data.pem,
                }}
              />
            </Group>
          )}
          <Title order={3}>{said.shown}</Title>
          <ShownCertificates key={data.pem} pem={data.pem} open />
        </Stack>
      ) : (
        asking.error === null && (
          <Empty title={said.empty} text={said.emptyText}>
            <Text size="sm">
              <Anchor component={Link} href={`/accounts/${account}/refusals`}>
                {said.toRefusals}
              </Anchor>
            </Text>
          </Empty>
        )
      )}
    </Page>
  );
}

/** A file's text where it is PEM, else its bytes as PEM. Several certificates in DER are read as one: the server says so. */
function pemOf(bytes: Uint8Array<ArrayBuffer>): string {
  const text = new TextDecoder().decode(bytes);
  if (text.includes('-----BEGIN')) return text;
  const base64 = bytes.toBase64().replaceAll(/.{64}/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
}
