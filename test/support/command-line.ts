// The command line in the test's own process, against whatever directory its words name.

import { run } from '../../src/cli/program.ts';
import { Secret } from '../../src/secret.ts';
import type { Outcome } from './process.ts';

/** Runs a command as a person does, who types `typed` at its questions; never throws for what the command answers. */
export async function commandLine(
  words: readonly string[],
  { env = {}, typed = [] }: { env?: NodeJS.ProcessEnv; typed?: readonly string[] } = {},
): Promise<Omit<Outcome, 'bytes'>> {
  const lines = typed.values();
  let stdout = '';
  let stderr = '';
  const code = await run(words, env, {
    out: (content) => void (stdout += typeof content === 'string' ? content : Buffer.from(content).toString('latin1')),
    err: (text) => void (stderr += text),
    ask: async () => null,
    askSecret: async () => {
      const { value, done } = lines.next();
      return done === true ? null : Secret.fromText(value);
    },
  });
  return { code, stdout, stderr };
}
