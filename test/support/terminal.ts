// A terminal with a person at it: a real pseudo-terminal, on which what the program asks is answered key by key.

import { join } from 'node:path';
import { execute } from './process.ts';

const main = join(import.meta.dirname, '../../src/main.ts');

/**
 * Runs a program on a pseudo-terminal of its own. Each answer is typed once its question has been shown since the one
 * before. What the terminal has shown goes to stdout, the program's exit code is that of this one.
 */
const person = `
import json, os, pty, sys
answers = json.load(sys.stdin)
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
shown, seen = b'', 0
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part:
        break
    shown += part
    while answers and shown.find(answers[0][0].encode(), seen) >= 0:
        question, answer = answers.pop(0)
        seen = shown.index(question.encode(), seen) + len(question.encode())
        os.write(terminal, answer.encode())
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(status) % 256)
`;

/** Runs `fleetroot` at a terminal: each answer is typed after its question. */
export async function atTerminal(
  words: readonly string[],
  answers: readonly (readonly [question: string, answer: string])[],
): Promise<{ code: number | null; shown: string }> {
  const { code, stdout, stderr } = await execute('python3', ['-c', person, process.execPath, main, ...words], {
    input: JSON.stringify(answers),
  });
  return { code, shown: stdout + stderr };
}
