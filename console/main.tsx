// The console begins here.

import './mantine.css';
import './console.css';
import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { setNonce } from 'get-nonce';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Refused } from './api/client.ts';
import { SessionProvider } from './api/session.tsx';
import { App } from './app.tsx';
import { nonce } from './parts/nonce.ts';
import { ZoneProvider } from './parts/instant.tsx';
import { keepFocus } from './shell/kept-focus.ts';
import { theme, variables } from './theme.ts';

setNonce(nonce);
keepFocus();

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // Events say when something has changed (live/live.tsx).
      staleTime: 30_000,
      refetchOnWindowFocus: false,
      retry: (failures, error) =>
        failures < 3 && error instanceof Refused && (error.status === 0 || error.status >= 500),
    },
    // They may have answered a secret.
    mutations: { retry: false, gcTime: 0 },
  },
});

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      <MantineProvider
        theme={theme}
        cssVariablesResolver={variables}
        defaultColorScheme="auto"
        getStyleNonce={() => nonce}
      >
        <ZoneProvider>
          <SessionProvider>
            <App />
          </SessionProvider>
        </ZoneProvider>
      </MantineProvider>
    </QueryClientProvider>
  </StrictMode>,
);
