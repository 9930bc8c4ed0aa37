// How far the first start is: its three steps, done, now and to come, in words too.

import { Badge, Group, Text } from '@mantine/core';
import { IconCheck } from '@tabler/icons-react';
import { texts } from '../../texts.ts';

const steps = ['administrator', 'account', 'device'] as const;
export type Step = (typeof steps)[number];

export function Steps({ now }: { now: Step }) {
  const said = texts.firstStart;
  const at = steps.indexOf(now);
  return (
    <Group component="ol" aria-label={said.steps} gap="md" p={0} m={0}>
      {steps.map((step, index) => (
        <Group
          component="li"
          key={step}
          gap={6}
          wrap="nowrap"
          display="flex"
          aria-current={index === at ? 'step' : undefined}
        >
          <Badge variant={index === at ? 'filled' : 'outline'} color={index > at ? 'gray' : 'cyan'} circle size="lg">
            {index < at ? <IconCheck size={14} aria-label={said.done} /> : index + 1}
          </Badge>
          <Text size="sm" fw={index === at ? 600 : 400}>
            {said.step[step]}
          </Text>
        </Group>
      ))}
    </Group>
  );
}
