// A manifest as a file has it: lines, each signed by itself and imported by a call of its own, in their order.

import { answerOf, api, type Answer, fileBody } from '../../api/client.ts';

/** What came of one line. */
export type Imported = Answer<'importManifest'>;

/** The lines of a dropped file, without those that are empty. */
export const linesOf = (bytes: Uint8Array): readonly string[] =>
  new TextDecoder()
    .decode(bytes)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

/** Imports lines one after the other, and tells of each; rejects at the first that is refused. */
export async function importLines(
  account: string,
  lines: readonly string[],
  onImported: (imported: Imported) => void,
): Promise<void> {
  for (const line of lines) {
    onImported(
      await answerOf(
        api.POST('/api/v1/accounts/{account}/manifests', {
          params: { path: { account } },
          ...fileBody(new TextEncoder().encode(line)),
        }),
      ),
    );
  }
}
