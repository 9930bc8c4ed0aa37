// The back ends that calls of devices are passed on to, by the path that they begin with.

import { Button, Group, Table, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api, type Impact, type Schema } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { Asked } from '../../parts/asked.tsx';
import { Destructive } from '../../parts/destructive.tsx';
import { Rows } from '../../parts/rows.tsx';
import { Section } from '../../parts/section.tsx';
import { texts } from '../../texts.ts';
import { useAccountChanged } from './account-changed.ts';
import { BackEndForm } from './back-end-form.tsx';
import { PresetForm } from './preset-form.tsx';

type Upstream = Schema<'Upstream'>;
type Open =
  | { readonly is: 'form'; readonly of: Upstream | null }
  | { readonly is: 'preset' }
  | { readonly is: 'remove'; readonly prefix: string };

const said = texts.settings.backEnds;

/** `name` is what is typed for the preset. */
export function BackEnds({ account, name }: { account: string; name: string }) {
  const may = useMay();
  const changed = useAccountChanged(account);
  const [open, setOpen] = useState<Open | null>(null);
  const close = () => setOpen(null);
  const [maySet, mayRemove] = [may('setUpstream', account), may('removeUpstream', account)];
  const upstreams = useQuery({
    queryKey: [account, 'upstreams'],
    queryFn: () => answerOf(api.GET('/api/v1/accounts/{account}/upstreams', { params: { path: { account } } })),
  });
  return (
    <Section
      title={said.title}
      about={said.about}
      actions={
        <>
          {maySet && (
            <Button variant="default" onClick={() => setOpen({ is: 'form', of: null })}>
              {said.add}
            </Button>
          )}
          {may('setUpstreamPreset', account) && (
            <Button variant="default" onClick={() => setOpen({ is: 'preset' })}>
              {said.preset}
            </Button>
          )}
        </>
      }
    >
      <Asked query={upstreams}>
        {(all) =>
          all.length === 0 ? (
            <Text>{said.none}</Text>
          ) : (
            <Rows
              label={said.title}
              heads={[said.prefix, said.url, said.proof, said.timeout, ...(maySet ? [said.change] : [])]}
            >
              {all.map((each) => (
                <Table.Tr key={each.prefix}>
                  <Table.Td className="mono">{each.prefix}</Table.Td>
                  <Table.Td>
                    <span className="mono">{each.url}</span>
                    {each.rewrite !== null && (
                      <Text size="xs" c="dimmed">
                        {said.rewritten} <span className="mono">{each.rewrite}</span>
                      </Text>
                    )}
                  </Table.Td>
                  <Table.Td>{said.proofs(each.ca !== null, each.certificate !== null)}</Table.Td>
                  <Table.Td>{each.timeout}</Table.Td>
                  {maySet && (
                    <Table.Td>
                      <Group gap="xs">
                        <Button
                          variant="default"
                          size="compact-sm"
                          onClick={() => setOpen({ is: 'form', of: each })}
                          aria-label={said.changeOf(each.prefix)}
                        >
                          {said.change}
                        </Button>
                        {mayRemove && (
                          <Button
                            variant="outline"
                            color="red"
                            size="compact-sm"
                            onClick={() => setOpen({ is: 'remove', prefix: each.prefix })}
                            aria-label={said.removeOf(each.prefix)}
                          >
                            {said.remove}
                          </Button>
                        )}
                      </Group>
                    </Table.Td>
                  )}
                </Table.Tr>
              ))}
            </Rows>
          )
        }
      </Asked>
      {open?.is === 'form' && (
        <BackEndForm account={account} of={open.of} all={upstreams.data ?? []} onDone={changed} onClose={close} />
      )}
      {open?.is === 'preset' && <PresetForm account={account} name={name} onDone={changed} onClose={close} />}
      {open?.is === 'remove' && <Removal account={account} prefix={open.prefix} onDone={changed} onClose={close} />}
    </Section>
  );
}

function Removal({
  account,
  prefix,
  onDone,
  onClose,
}: {
  account: string;
  prefix: string;
  onDone: () => void;
  onClose: () => void;
}) {
  const call = (query: { dry_run: true } | { confirm: number }) =>
    answerOf(
      api.DELETE('/api/v1/accounts/{account}/upstreams', {
        params: { path: { account }, query: { ...query, prefix } },
      }),
    );
  return (
    <Destructive
      title={said.removeOf(prefix)}
      typed={prefix}
      preview={() => call({ dry_run: true }) as Promise<Impact>}
      act={(confirm) => call({ confirm })}
      onDone={onDone}
      onClose={onClose}
    />
  );
}
