// Whether what one sees is live: a word beside a dot, said aloud when it changes.

import { Badge } from '@mantine/core';
import { useEffect, useState } from 'react';
import { useLiveState } from '../live/live.tsx';
import { texts } from '../texts.ts';

export function LiveSign() {
  const state = useLiveState();
  const [now, setNow] = useState(Date.now);
  const cut = state?.is === 'cut';
  useEffect(() => {
    if (!cut) return undefined;
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, [cut]);
  if (state === null) return null;
  const said = texts.shell;
  if (state.is === 'cut') {
    return (
      <Badge color="red" variant="outline" role="status" className="live-sign" data-live="cut">
        {said.cut(Math.max(0, Math.round((state.again - Math.max(now, state.since)) / 1_000)))}
      </Badge>
    );
  }
  const live = state.is === 'live';
  return (
    <Badge color={live ? 'teal' : 'gray'} variant="outline" role="status" className="live-sign" data-live={state.is}>
      {live ? said.live : said.connecting}
    </Badge>
  );
}
