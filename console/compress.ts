// Compresses what is built, once, so that no request has to: as Brotli, and as gzip for who does not take that.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';

const texts = /\.(js|css|svg|json)$/;
const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };

/** The plugin: each text beside itself with `.br` and `.gz`. index.html is not among them: every reply has another nonce. */
export function compressed(): Plugin {
  let folder = '';
  return {
    name: 'fleetroot-compressed',
    apply: 'build',
    configResolved({ root, build }) {
      folder = join(root, build.outDir);
    },
    closeBundle(error) {
      if (error !== undefined) return;
      for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
        texts.test(file),
      )) {
        const text = readFileSync(join(folder, file));
        writeFileSync(join(folder, `${file}.br`), brotliCompressSync(text, quality));
        writeFileSync(join(folder, `${file}.gz`), gzipSync(text, { level: 9 }));
      }
    },
  };
}
