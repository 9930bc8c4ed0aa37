// How the console is built: into console/dist, each part by the hash of what it holds, compressed beforehand.

import { join } from 'node:path';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';
import { compressed } from './compress.ts';
import { styled } from './styled.ts';

const operatorPort = process.env['FLEETROOT_OPERATOR_PORT'] ?? '8080';

// oxlint-disable-next-line import/no-default-export -- Vite asks for it.
export default defineConfig({
  root: import.meta.dirname,
  base: '/',
  cacheDir: join(import.meta.dirname, '../node_modules/.cache/vite'),
  plugins: [react(), styled(), compressed()],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    // A data: URL would be a source that the content security policy does not know.
    assetsInlineLimit: 0,
    target: ['chrome140', 'firefox140'],
    reportCompressedSize: false,
    modulePreload: { polyfill: false },
  },
  // `npx vite console`: the sources as they are changed, with the API of a server that runs.
  server: { proxy: { '/api': `http://localhost:${operatorPort}` } },
});
