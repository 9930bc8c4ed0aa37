// The secret of a one-time link: what stands behind the # of the address, which a browser sends to no server.

import { useLayoutEffect, useState } from 'react';

/** The secret that the page was opened with, or was given since; null without one. It does not stay in the address bar. */
export function useLinkSecret(): string | null {
  const [secret, setSecret] = useState(() => location.hash.slice(1) || null);
  useLayoutEffect(() => {
    const take = (): void => {
      if (location.hash === '') return;
      setSecret(location.hash.slice(1));
      history.replaceState(history.state, '', location.pathname + location.search);
    };
    take();
    window.addEventListener('hashchange', take);
    return () => window.removeEventListener('hashchange', take);
  }, []);
  return secret;
}
