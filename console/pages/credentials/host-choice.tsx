// Which host of an account the devices call that are made with a credentials.zip.

import { NativeSelect } from '@mantine/core';
import { texts } from '../../texts.ts';

/** As the API has it where none is given: the one that was added last. */
export const usualHost = (hosts: readonly string[]): string => hosts.at(-1) ?? '';

export function HostChoice({
  hosts,
  value,
  onChange,
}: {
  hosts: readonly string[];
  value: string;
  onChange: (host: string) => void;
}) {
  return (
    <NativeSelect
      label={texts.credentials.host}
      description={texts.credentials.hostAbout}
      value={value}
      onChange={({ currentTarget }) => onChange(currentTarget.value)}
      data={[...hosts]}
      maw={560}
    />
  );
}
