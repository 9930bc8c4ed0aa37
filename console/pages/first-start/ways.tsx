// Commands by the program that is started, one beside the other.

import { Stack, Tabs, Text } from '@mantine/core';
import { CopyBlock } from '../../parts/copy.tsx';
import { texts } from '../../texts.ts';

export interface Way {
  readonly name: string;
  readonly about: string;
  /** What is copied, each with what it is. */
  readonly blocks: readonly { readonly what: string; readonly text: string; readonly about?: string }[];
  readonly note?: string | null;
}

/** The first is shown first. */
export function Ways({ ways }: { ways: readonly Way[] }) {
  return (
    <Tabs defaultValue={ways[0]!.name}>
      <Tabs.List aria-label={texts.firstStart.ways}>
        {ways.map(({ name }) => (
          <Tabs.Tab key={name} value={name}>
            {name}
          </Tabs.Tab>
        ))}
      </Tabs.List>
      {ways.map(({ name, about, blocks, note }) => (
        <Tabs.Panel key={name} value={name} pt="md">
          <Stack gap="sm">
            <Text maw={760}>{about}</Text>
            {blocks.map((block) => (
              <Stack key={block.what} gap="sm">
                {block.about !== undefined && <Text maw={760}>{block.about}</Text>}
                <CopyBlock value={block.text} what={block.what} />
              </Stack>
            ))}
            {note != null && (
              <Text size="sm" maw={760}>
                {note}
              </Text>
            )}
          </Stack>
        </Tabs.Panel>
      ))}
    </Tabs>
  );
}
