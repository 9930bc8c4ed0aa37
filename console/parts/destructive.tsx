// A destructive act: first what it would break, as the API's dry run has it; then it is typed, not clicked.

import { Alert, Button, Group, List, Modal, Stack, Table, Text } from '@mantine/core';
import { useMutation, useQuery, type UseQueryResult } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import type { Impact } from '../api/client.ts';
import { texts } from '../texts.ts';
import { Asked } from './asked.tsx';
import { drawn } from './drawn.ts';
import { Failure } from './failure.tsx';
import { Said } from './said.tsx';
import { TypedWord } from './typed-word.tsx';

export interface DestructiveProps {
  /** What is done, as the button says it: "Revoke device-1". */
  readonly title: string;
  /** What follows of it, in a sentence or two, where the dry run cannot know. */
  readonly about?: ReactNode;
  /**
   * What has to be typed: a device ID, a name, or what the dry run has found, such as the number of devices. Null where
   * the act shuts nobody out: then it is pressed, once its dry run was seen.
   */
  readonly typed: string | ((impact: Impact) => string) | null;
  /** The dry run of the call (`?dry_run=true`). */
  readonly preview: () => Promise<Impact>;
  /** The call, with `?confirm=` of the dry run. */
  readonly act: (confirm: number) => Promise<unknown>;
  /** After it was done. */
  readonly onDone?: () => void;
  readonly onClose: () => void;
}

/**
 * The dialog, open while it is shown. What was typed stays when the call is refused. What is done is what was shown:
 * the page beneath may come to say something else meanwhile (a filter, a device), and the dialog does not heed it.
 */
export function Destructive({ onDone, onClose, ...given }: DestructiveProps) {
  const [{ title, about, typed: wanted, preview, act }] = useState(given);
  const [text, setText] = useState('');
  const impact = useDryRun(preview);
  const typed = typeof wanted === 'function' ? (impact.data ? wanted(impact.data) : '…') : wanted;
  const ready = impact.data !== undefined && (typed === null || text === typed);
  const doing = useMutation({
    mutationFn: act,
    onSuccess() {
      onDone?.();
      onClose();
    },
  });
  return (
    <Modal opened onClose={onClose} title={title} size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (ready) doing.mutate(impact.data.confirm);
        }}
      >
        <Stack>
          {about !== undefined && <Text>{about}</Text>}
          <Asked query={impact}>{(data) => <ImpactSaid impact={data} />}</Asked>
          {typed !== null && <TypedWord typed={typed} value={text} onChange={setText} />}
          <Failure error={doing.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {texts.common.cancel}
            </Button>
            <Button type="submit" {...(typed !== null && { color: 'red' })} disabled={!ready} loading={doing.isPending}>
              {title}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

/** A dry run for one opening of a dialog, and no other: those of two dialogs may have the same title. */
function useDryRun(preview: () => Promise<Impact>): UseQueryResult<Impact> {
  const [opening] = useState(() => crypto.randomUUID());
  return useQuery({ queryKey: ['dry-run', opening], queryFn: preview, gcTime: 0, staleTime: 0, retry: false });
}

/** What a dry run says. */
function ImpactSaid({ impact }: { impact: Impact }) {
  const { devices, seen_last_day, refused, by_rule, newcomers, unknown, sample, other } = impact;
  const said = texts.destructive;
  return (
    <Stack gap="sm">
      <Alert
        role="status"
        color={refused > 0 ? 'red' : 'gray'}
        variant="outline"
        title={said.touches(devices, seen_last_day)}
      >
        {said.refused(refused)}
      </Alert>
      {by_rule.length > 0 && (
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{said.rule}</Table.Th>
              <Table.Th ta="right">{said.devices}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {by_rule.map(({ code, rule, devices: count }) => (
              <Table.Tr key={`${code} ${rule}`}>
                <Table.Td>
                  <Said text={rule} /> <span className="mono">{code}</span>
                </Table.Td>
                <Table.Td ta="right">{texts.number(count)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      {newcomers !== null && (
        <Text size="sm">
          <Said text={newcomers} />
        </Text>
      )}
      {unknown !== null && (
        <Text size="sm">
          <Said text={unknown} />
        </Text>
      )}
      {sample.length > 0 && (
        <Text size="sm">
          {said.among} <span className="mono">{sample.map(drawn).join(', ')}</span>
        </Text>
      )}
      {other.length > 0 && (
        <List size="sm">
          {other.map(({ what, count, sample: some }) => (
            <List.Item key={what}>
              {said.other(what, count)}
              {some.length > 0 && (
                <>
                  {': '}
                  <span className="mono">{some.map(drawn).join(', ')}</span>
                </>
              )}
            </List.Item>
          ))}
        </List>
      )}
    </Stack>
  );
}
