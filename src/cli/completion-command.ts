// `completion`: what has a shell offer the words of this program.

import { command } from './command.ts';
import { completionScripts } from './completion.ts';
import { choice } from './parameters.ts';

export const completion = command({
  words: 'completion',
  about: 'Print the script that has a shell complete command lines.',
  more: [
    'bash: source <(fleetroot completion bash)   zsh: source <(fleetroot completion zsh)',
    'fish: fleetroot completion fish | source',
  ],
  arguments: { shell: choice(['bash', 'zsh', 'fish'], 'which shell') },
  common: [],
  call: async ({ shell }) => completionScripts[shell],
  print: (script) => ({ out: script }),
});
