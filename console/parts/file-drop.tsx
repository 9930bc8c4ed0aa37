// A place to drop a file, or to choose one.

import { Button, Paper, Stack, Text } from '@mantine/core';
import { IconUpload } from '@tabler/icons-react';
import { type DragEvent, useId, useRef, useState } from 'react';
import { texts } from '../texts.ts';

export interface DroppedFile {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Gives the bytes of what is dropped or chosen to `onFile`. `label` says what is wanted, `accept` which endings to offer. */
export function FileDrop({
  label,
  accept,
  file,
  onFile,
}: {
  label: string;
  accept?: string;
  file?: string | undefined;
  onFile: (file: DroppedFile) => void;
}) {
  const about = useId();
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const take = async (file: File | undefined): Promise<void> => {
    if (file) onFile({ name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) });
  };
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    setOver(false);
    void take(event.dataTransfer.files[0]);
  };
  return (
    <Paper
      withBorder
      p="lg"
      className="file-drop"
      data-over={over || undefined}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <Stack align="center" gap="xs">
        <IconUpload aria-hidden />
        <Text ta="center" id={about}>
          {label}
        </Text>
        <div role="status">{file !== undefined && <Text className="mono">{file}</Text>}</div>
        <Button variant="default" aria-describedby={about} onClick={() => input.current?.click()}>
          {texts.common.chooseFile}
        </Button>
        <input
          ref={input}
          type="file"
          accept={accept}
          className="visually-hidden"
          tabIndex={-1}
          aria-label={label}
          onChange={({ currentTarget }) => {
            void take(currentTarget.files?.[0]);
            // The same file again is a change too.
            currentTarget.value = '';
          }}
        />
      </Stack>
    </Paper>
  );
}
