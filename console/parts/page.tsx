// A page: its heading, what can be done on it, and its name in the browser's tab.

import { Group, Stack, Text, Title } from '@mantine/core';
import { createContext, type ReactNode, useContext, useEffect, useRef } from 'react';

/** What the pages below are of, for their names in the browser's tab: an account; null where that goes without saying. */
export const PagesOf = createContext<string | null>(null);

/** `actions` stand beside the heading. The heading takes the focus, so that a screen reader says where one is now. */
export function Page({
  title,
  about,
  actions,
  children,
}: {
  title: string;
  about?: string;
  actions?: ReactNode;
  children: ReactNode;
}) {
  const of = useContext(PagesOf);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = [title, of, 'Fleetroot'].filter((part) => part !== null).join(' · ');
  }, [title, of]);
  useEffect(() => heading.current?.focus(), []);
  return (
    <Stack gap="lg">
      <Group justify="space-between" align="flex-start">
        <div>
          <Title order={1} ref={heading} tabIndex={-1} className="page-title">
            {title}
          </Title>
          {about !== undefined && (
            <Text c="dimmed" maw={720}>
              {about}
            </Text>
          )}
        </div>
        {actions !== undefined && <Group gap="sm">{actions}</Group>}
      </Group>
      {children}
    </Stack>
  );
}
