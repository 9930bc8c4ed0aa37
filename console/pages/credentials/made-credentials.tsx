// The archive that was made, to be saved now: with a provisioning key in it, it is told once.

import { Button, List, Modal, Stack, Text } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import type { Answer } from '../../api/client.ts';
import { Copy } from '../../parts/copy.tsx';
import { bytesOf, download } from '../../parts/download.ts';
import { ToldOnce } from '../../parts/told-once.tsx';
import { texts } from '../../texts.ts';

const said = texts.credentials;

export function MadeCredentials({ made, onClose }: { made: Answer<'createCredentials'>; onClose: () => void }) {
  const content = (
    <Stack gap="sm">
      <Button
        leftSection={<IconDownload size={18} aria-hidden />}
        onClick={() => download('credentials.zip', bytesOf(made.zip), 'application/zip')}
      >
        {said.save}
      </Button>
      <Text size="sm" component="div">
        {said.calls} <Copy value={made.autoprov_url} what={said.callsWhat} />
      </Text>
      <Text size="sm">{said.entries}</Text>
      <List size="sm">
        {made.entries.map((entry) => (
          <List.Item key={entry}>
            <span className="mono">{entry}</span>
            {entry in said.entriesAre && `: ${said.entriesAre[entry as keyof typeof said.entriesAre]}`}
          </List.Item>
        ))}
      </List>
    </Stack>
  );
  if (made.provisioning_key === null) {
    return (
      <Modal opened onClose={onClose} title={said.made} size="lg">
        <Stack>
          <Text>{said.madeWithoutKey}</Text>
          {content}
          <Button variant="default" onClick={onClose}>
            {texts.common.close}
          </Button>
        </Stack>
      </Modal>
    );
  }
  return (
    <ToldOnce title={said.made} what={said.title} onClose={onClose}>
      <Text>{said.madeWithKey}</Text>
      {content}
    </ToldOnce>
  );
}
