// The queue as a list that is worked through by keyboard: one entry is current, any number are selected.

import { Badge, Group, Kbd, Text } from '@mantine/core';
import { IconSquare, IconSquareCheckFilled } from '@tabler/icons-react';
import { type KeyboardEvent, useEffect, useId } from 'react';
import { DeviceId, ForeignLetters } from '../../parts/device-id.tsx';
import { Ago } from '../../parts/instant.tsx';
import { texts } from '../../texts.ts';
import type { Waiting } from './waiting.ts';
import './queue.css';

export interface QueueProps {
  readonly rows: readonly Waiting[];
  /** None, where the one that was has gone; then `at` is where it stood. */
  readonly current: Waiting | undefined;
  readonly at: number;
  readonly chosen: ReadonlySet<Waiting>;
  /** Names of Fleet Root CAs by their IDs. */
  readonly roots: ReadonlyMap<string, string>;
  readonly onMove: (to: Waiting) => void;
  readonly onChoose: (row: Waiting) => void;
  /** What may be done; absent where the operator may not. */
  readonly onAccept: (() => void) | undefined;
  readonly onReject: (() => void) | undefined;
}

/** A listbox of several choices (WAI-ARIA APG): the focus stays on the list, which says which of its entries is current. */
export function Queue({ rows, current, at, chosen, roots, onMove, onChoose, onAccept, onReject }: QueueProps) {
  const id = useId();
  const active = current && `${id}-${current.uuid}`;
  // Where none is current, what stands where it stood is the next one, and so becomes it first.
  const below = current ? at + 1 : at;
  useEffect(() => {
    if (active !== undefined) document.getElementById(active)?.scrollIntoView({ block: 'nearest' });
  }, [active]);
  const moveTo = (to: number): void => {
    const row = rows[Math.min(Math.max(to, 0), rows.length - 1)];
    if (row) onMove(row);
  };
  const press = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const acts: Readonly<Record<string, (() => void) | undefined>> = {
      j: () => moveTo(below),
      ArrowDown: () => moveTo(below),
      k: () => moveTo(at - 1),
      ArrowUp: () => moveTo(at - 1),
      Home: () => moveTo(0),
      End: () => moveTo(rows.length - 1),
      x: current && (() => onChoose(current)),
      ' ': current && (() => onChoose(current)),
      a: onAccept,
      r: onReject,
    };
    // As it is with Caps Lock, too.
    const act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (act === undefined) return;
    event.preventDefault();
    // A key that is held down moves on; it decides nothing twice.
    if (event.repeat && (act === onAccept || act === onReject)) return;
    act();
  };
  return (
    <div
      className="queue"
      role="listbox"
      tabIndex={0}
      aria-label={texts.pending.list}
      aria-multiselectable
      aria-activedescendant={active}
      data-focus-home
      onKeyDown={press}
    >
      {rows.map((row) => {
        const isChosen = chosen.has(row);
        return (
          // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus -- The list has the focus and takes the keys, for all of them.
          <div
            key={row.uuid}
            id={`${id}-${row.uuid}`}
            role="option"
            aria-selected={isChosen}
            data-current={row === current || undefined}
            className="queue-entry"
            onClick={() => onMove(row)}
          >
            <span
              className="queue-choice"
              aria-hidden
              onClick={(event) => {
                event.stopPropagation();
                onChoose(row);
              }}
            >
              {isChosen ? <IconSquareCheckFilled size={20} /> : <IconSquare size={20} />}
            </span>
            <div className="queue-text">
              <Group gap="xs">
                <DeviceId id={row.deviceId} />
                <Badge color={row.what === 'key' ? 'grape' : 'gray'} variant="outline" size="sm">
                  {texts.pending.what[row.what]}
                </Badge>
                <ForeignLetters id={row.deviceId} />
              </Group>
              <Text size="sm" c="dimmed">
                {[
                  row.root === null ? null : (roots.get(row.root) ?? null),
                  row.address === null ? null : texts.pending.from(row.address),
                ]
                  .filter((part) => part !== null)
                  .join(' · ')}
                {row.since !== null && (
                  <>
                    {' · '}
                    <Ago at={row.since} />
                  </>
                )}
              </Text>
            </div>
          </div>
        );
      })}
    </div>
  );
}

/** Which keys the list takes. */
export function QueueKeys({ decides }: { decides: boolean }) {
  const said = texts.pending;
  const keys: readonly (readonly [readonly string[], string])[] = [
    [['J', 'K', '↓', '↑'], said.keysMove],
    [['X', said.space], said.keysChoose],
    ...(decides
      ? ([
          [['A'], said.keysAccept],
          [['R'], said.keysReject],
        ] as const)
      : []),
  ];
  return (
    <Group gap="md">
      <Text size="sm" c="dimmed">
        {said.keys}
      </Text>
      {keys.map(([names, does]) => (
        <Group key={does} gap={4}>
          {names.map((name) => (
            <Kbd key={name} size="xs">
              {name}
            </Kbd>
          ))}
          <Text size="sm">{does}</Text>
        </Group>
      ))}
    </Group>
  );
}
