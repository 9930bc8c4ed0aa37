// Where a name is typed so that something grave is done: what has to be typed is shown exactly, and what no keyboard has can be copied.

import { TextInput } from '@mantine/core';
import { texts } from '../texts.ts';
import { CopyIcon } from './copy.tsx';
import { drawn } from './drawn.ts';

export function TypedWord({
  typed,
  value,
  onChange,
}: {
  /** What has to be typed. */
  typed: string;
  value: string;
  onChange: (value: string) => void;
}) {
  const said = texts.destructive;
  const shown = drawn(typed);
  return (
    <TextInput
      label={said.type(shown)}
      {...(shown !== typed && {
        description: said.notAsSeen,
        rightSection: <CopyIcon value={typed} what={said.whatIsTyped} />,
      })}
      value={value}
      onChange={({ currentTarget }) => onChange(currentTarget.value)}
      autoComplete="off"
      spellCheck={false}
      data-autofocus
    />
  );
}
