// The cards of the overview: one for a subject, small ones for a number that leads to its list.

import { Anchor, Group, Paper, Stack, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { texts } from '../../texts.ts';

/** A subject with its heading; `beside` stands beside that. A `tall` one has a column to itself where there are several. */
export function Card({
  title,
  about,
  beside,
  tall = false,
  children,
}: {
  title: string;
  about?: string;
  beside?: ReactNode;
  tall?: boolean;
  children: ReactNode;
}) {
  return (
    <Paper withBorder p="md" component="section" miw={0} className={tall ? 'card-tall' : undefined}>
      <Stack gap="sm">
        <Group justify="space-between" gap="xs">
          <Title order={2}>{title}</Title>
          {beside}
        </Group>
        {about !== undefined && (
          <Text size="sm" c="dimmed">
            {about}
          </Text>
        )}
        {children}
      </Stack>
    </Paper>
  );
}

/** A number that leads to the list of what it counts; undefined while it is not known. `about` says what that means. */
export function Figure({
  label,
  about,
  number,
  to,
}: {
  label: string;
  about?: string;
  number: number | undefined;
  to: string;
}) {
  return (
    <Paper component="li" withBorder>
      <Link href={to} className="figure">
        <span>
          <Text span size="sm" c="dimmed" className="figure-label">
            {label}
          </Text>
          {about !== undefined && (
            <Text span size="xs" c="dimmed" display="block">
              {about}
            </Text>
          )}
        </span>
        <span className="figure-number">{number === undefined ? '–' : texts.number(number)}</span>
      </Link>
    </Paper>
  );
}

/** Lines of a number and what it counts, each leading to its list. */
export function Lines({ children }: { children: ReactNode }) {
  return <ul className="lines">{children}</ul>;
}

/** A line of such a list. */
export function Line({ to, label, number }: { to: string; label: ReactNode; number: number }) {
  return (
    <li>
      <Group justify="space-between" wrap="nowrap" gap="md" align="baseline">
        <Anchor component={Link} href={to} size="sm" className="feed-line">
          {label}
        </Anchor>
        <Text fw={600} className="figure-count">
          {texts.number(number)}
        </Text>
      </Group>
    </li>
  );
}
