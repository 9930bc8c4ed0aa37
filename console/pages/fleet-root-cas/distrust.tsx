// Distrusting the key of a certificate: what that shuts out first, then typed.

import { answerOf, api, fileBody, type Impact } from '../../api/client.ts';
import { Destructive } from '../../parts/destructive.tsx';
import type { DroppedFile } from '../../parts/file-drop.tsx';
import { texts } from '../../texts.ts';

const said = texts.fleetRootCas;

export function Distrust({
  account,
  file: { name, bytes },
  onDone,
  onClose,
}: {
  account: string;
  file: DroppedFile;
  onDone: (what: string) => void;
  onClose: () => void;
}) {
  const call = (query: { dry_run: true } | { confirm: number }): Promise<unknown> =>
    answerOf(
      api.POST('/api/v1/accounts/{account}/distrusted-keys', {
        params: { path: { account }, query },
        ...fileBody(bytes),
      }),
    );
  return (
    <Destructive
      title={said.distrustOf(name)}
      about={said.distrustAbout}
      typed={said.distrustTyped}
      preview={() => call({ dry_run: true }) as Promise<Impact>}
      act={(confirm) => call({ confirm })}
      onDone={() => onDone(said.distrustedNow(name))}
      onClose={onClose}
    />
  );
}
