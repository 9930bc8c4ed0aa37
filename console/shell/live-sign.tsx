// Whether what one sees is live, and the way to pause it: a word in a button, said aloud when it is another.

import { Button, Tooltip } from '@mantine/core';
import { IconPlayerPause, IconPlayerPlay } from '@tabler/icons-react';
import { useEffect, useState } from 'react';
import { useLiveState, usePause } from '../live/live.tsx';
import type { LiveState } from '../live/stream.ts';
import { texts } from '../texts.ts';

const colours = { connecting: 'gray', live: 'teal', cut: 'red', paused: 'gray' } as const;

export function LiveSign() {
  const state = useLiveState();
  const pause = usePause();
  // An attempt to connect is nothing new: while cut off, it would be said again and again.
  const [spoken, setSpoken] = useState<LiveState['is'] | null>(null);
  if (state !== null && state.is !== 'connecting' && state.is !== spoken) setSpoken(state.is);
  if (state === null) return null;
  const said = texts.shell;
  const word = said.signs[state.is];
  const paused = state.is === 'paused';
  const does = paused ? said.goOn(word) : said.pause(word);
  return (
    <>
      <Tooltip label={does} withinPortal={false}>
        <Button
          variant="outline"
          color={colours[state.is]}
          size="compact-sm"
          className="live-sign"
          leftSection={paused ? <IconPlayerPlay size={14} aria-hidden /> : <IconPlayerPause size={14} aria-hidden />}
          onClick={() => pause(!paused)}
          aria-label={does}
          data-live={state.is}
        >
          {word}
        </Button>
      </Tooltip>
      {state.is === 'cut' && <Again at={state.again} />}
      <span role="status" className="visually-hidden">
        {spoken !== null && said.signs[spoken]}
      </span>
    </>
  );
}

/** When it is tried again, for those who see it: read out, it would be another text each second. */
function Again({ at }: { at: number }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <span className="live-again" aria-hidden>
      {texts.shell.again(Math.max(0, Math.round((at - now) / 1_000)))}
    </span>
  );
}
