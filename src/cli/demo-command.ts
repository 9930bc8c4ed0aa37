// `demo`: the whole story, told on a real server in a temporary directory.

import { command } from './command.ts';
import { flag } from './parameters.ts';

export const demo = command({
  words: 'demo',
  about: 'Tell the whole story on a real server: five devices get in, three are refused; the server stays up.',
  options: {
    once: flag('end the server, and exit 0 only if all of it came true'),
    factory: flag('the story of a factory instead: 20 devices made on a line, 19 seen, one stranger refused'),
  },
  common: [],
  call: async ({ once, factory }) => {
    if (factory) {
      const { runFactoryStory } = await import('../demo/factory-story.ts');
      return runFactoryStory({ once });
    }
    const { runDemo } = await import('../demo/demo.ts');
    return runDemo({ once });
  },
  print: () => ({ out: '' }),
  exitCode: (cameTrue) => (cameTrue ? 0 : 1),
});
