// The openssl command as the other side: what people and devices really make.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A temporary directory with the openssl command in it; it goes away when disposed of. */
export class Openssl {
  readonly directory = mkdtempSync(join(tmpdir(), 'fleetroot-openssl-'));

  /** Runs shell lines there; what they print. Throws with what they complained of. */
  run(script: string): string {
    return execFileSync('sh', ['-euc', script], { cwd: this.directory, encoding: 'utf8', stdio: 'pipe' });
  }

  /** A file that they have made. */
  read(file: string): Buffer {
    return readFileSync(join(this.directory, file));
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
