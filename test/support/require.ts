// What a test may need of the machine: it is skipped where that is not here, or fails where everything is required.

import { spawnSync } from 'node:child_process';

/** How each program is found to be here, and what to install (Debian's names) where it is not. */
const probes = {
  age: { command: 'age --version && age-keygen --version', install: 'age' },
  openssl: { command: 'openssl version', install: 'openssl' },
  curl: { command: 'curl --version', install: 'curl' },
  python3: { command: 'python3 -c "import ssl"', install: 'python3' },
  java: { command: 'java -version', install: 'default-jre-headless' },
  certtool: { command: 'certtool --version', install: 'gnutls-bin' },
  cc: { command: 'cc --version', install: 'gcc' },
  libssl: { command: 'echo "#include <openssl/ssl.h>" | cc -E -', install: 'gcc libssl-dev' },
  'c++': { command: 'c++ --version', install: 'g++' },
  make: { command: 'make --version', install: 'make' },
  softhsm2: { command: 'softhsm2-util --version', install: 'softhsm2' },
  'pkcs11-tool': { command: 'command -v pkcs11-tool', install: 'opensc' },
  'libengine-pkcs11-openssl': { command: 'openssl engine pkcs11', install: 'libengine-pkcs11-openssl' },
  bash: { command: 'bash --version', install: 'bash' },
  zsh: { command: 'zsh --version', install: 'zsh' },
  fish: { command: 'fish --version', install: 'fish' },
  promtool: { command: 'promtool --version', install: 'prometheus' },
  haproxy: { command: 'haproxy -v', install: 'haproxy' },
  chromium: { command: 'chromium --version --no-sandbox', install: 'chromium' },
  'nginx-stream': {
    command: 'nginx -v && test -e /usr/lib/nginx/modules/ngx_stream_module.so',
    install: 'libnginx-mod-stream',
  },
  unzip: { command: 'unzip -v', install: 'unzip' },
  swtpm: {
    command: 'swtpm --version && command -v swtpm_setup swtpm_localca certtool',
    install: 'swtpm swtpm-tools gnutls-bin',
  },
  'tpm2-tools': { command: 'command -v tpm2_activatecredential', install: 'tpm2-tools' },
  'tpm2-openssl': { command: 'test -e "$(openssl version -m | cut -d \\" -f 2)/tpm2.so"', install: 'tpm2-openssl' },
} as const;

/** A program (or library) that some tests use as the other side. */
export type Program = keyof typeof probes;

const found = new Map<Program, boolean>();

function isHere(program: Program): boolean {
  let here = found.get(program);
  if (here === undefined) {
    here = spawnSync('sh', ['-c', probes[program].command], { stdio: 'ignore' }).status === 0;
    found.set(program, here);
  }
  return here;
}

/**
 * For `skip` of node:test: false where the thing named is available, else the reason to skip, with the hint.
 * Throws instead where FLEETROOT_TEST_REQUIRE=all, as in `.ci/run`: there nothing may be left out unnoticed.
 * @public
 */
export function optional(name: string, available: boolean, hint: string): string | false {
  if (available) return false;
  const reason = `${name} is not here: ${hint}`;
  if (process.env['FLEETROOT_TEST_REQUIRE'] === 'all') throw new Error(reason);
  return reason;
}

/** `optional` for programs, all of which the test needs: `test('…', { skip: needs('openssl', 'curl') }, …)`. */
export function needs(...programs: Program[]): string | false {
  for (const program of programs) {
    const reason = optional(program, isHere(program), `apt-get install ${probes[program].install}`);
    if (reason !== false) return reason;
  }
  return false;
}

/**
 * How often a story is told in which something dies, of the number of times that it is to hold: each costs the start of a
 * program. A few times where nobody asked for everything, a fifth of them in `.ci/run`, all with FLEETROOT_TEST_KILLS=all.
 */
export function deaths(all: number): number {
  if (process.env['FLEETROOT_TEST_KILLS'] === 'all') return all;
  return Math.ceil(process.env['FLEETROOT_TEST_REQUIRE'] === 'all' ? all / 5 : all / 12);
}
