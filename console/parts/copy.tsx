// Something to be copied: a fingerprint, an ID, a command.

import { ActionIcon, CopyButton, Group, Tooltip } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import { texts } from '../texts.ts';
import { DeviceId } from './device-id.tsx';

/** Shows `value` (or `shown` in its place) in a monospace font with a button that copies it. `what` names it: "Copy the device ID". */
export function Copy({ value, what, shown }: { value: string; what: string; shown?: string }) {
  return (
    <Group gap={4} wrap="nowrap" component="span" display="inline-flex" align="center">
      {shown === undefined ? (
        <DeviceId id={value} />
      ) : (
        <span className="mono" title={value}>
          {shown}
        </span>
      )}
      <CopyIcon value={value} what={what} />
    </Group>
  );
}

/** The button alone. */
export function CopyIcon({ value, what }: { value: string; what: string }) {
  return (
    <CopyButton value={value} timeout={2_000}>
      {({ copied, copy }) => (
        <>
          <Tooltip label={copied ? texts.common.copied : texts.common.copy(what)}>
            <ActionIcon variant="subtle" color="gray" size={24} onClick={copy} aria-label={texts.common.copy(what)}>
              {copied ? <IconCheck size={14} aria-hidden /> : <IconCopy size={14} aria-hidden />}
            </ActionIcon>
          </Tooltip>
          <span role="status" className="visually-hidden">
            {copied && texts.common.copied}
          </span>
        </>
      )}
    </CopyButton>
  );
}

/** A command or file of several lines, to be copied whole. */
export function CopyBlock({ value, what }: { value: string; what: string }) {
  return (
    <div className="code-block">
      {/* A region that scrolls has to be reachable by keyboard (WCAG 2.1.1). */}
      <pre tabIndex={0} aria-label={what}>
        {value}
      </pre>
      <CopyIcon value={value} what={what} />
    </div>
  );
}
