// The secret of a one-time link: what stands behind the # of the address, which a browser sends to no server.

import { useLayoutEffect, useState } from 'react';

/** The secret that the page was opened with; null without one. It is out of the address bar before anything is shown. */
export function useLinkSecret(): string | null {
  const [secret] = useState(() => location.hash.slice(1) || null);
  useLayoutEffect(() => {
    if (location.hash !== '') history.replaceState(history.state, '', location.pathname + location.search);
  }, []);
  return secret;
}
