// What can be done with a row of a table: one button, and a menu of words.

import { ActionIcon, Menu } from '@mantine/core';
import { IconDots } from '@tabler/icons-react';

export interface RowAction {
  readonly label: string;
  readonly act: () => void;
  /** Whether something ends by it. */
  readonly grave?: boolean;
}

/** `label` names the button to a screen reader. */
export function RowMenu({ label, actions }: { label: string; actions: readonly RowAction[] }) {
  if (actions.length === 0) return null;
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label={label}>
          <IconDots size={18} aria-hidden />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {actions.map(({ label: text, act, grave = false }) => (
          <Menu.Item key={text} onClick={act} {...(grave && { color: 'var(--mantine-color-error)' })}>
            {text}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
