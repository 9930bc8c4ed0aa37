// The PKCS #11 module, an HSM maker's shared library, loaded into this process by pkcs11js.

import type * as pkcs11js from 'pkcs11js';

import { CustodyProblem } from './custodian.ts';
import { asProblem } from './pkcs11-errors.ts';

/** The functions and constants of pkcs11js. */
export type Pkcs11 = typeof pkcs11js;

/** A module that is loaded and initialised. */
export interface Module extends Disposable {
  p: Pkcs11;
  cryptoki: pkcs11js.PKCS11;
}

/**
 * Loads the library at `path` and initialises it for use by several threads: without CKF_OS_LOCKING_OK (PKCS #11 v2.40
 * §5.4) it may take for granted that there is one, and signing in several has crashed SoftHSM each time.
 * Throws CustodyProblem `unavailable`.
 */
export async function loadModule(path: string): Promise<Module> {
  const p = await loadPkcs11js();
  const cryptoki = new p.PKCS11();
  try {
    cryptoki.load(path);
  } catch (cause) {
    throw new CustodyProblem(
      'unavailable',
      `The PKCS #11 module ${path} does not load: ${(cause as Error).message.split('\n')[0]}.`,
      'pkcs11.module names the shared library that came with the HSM, built for this machine.',
      { cause },
    );
  }
  try {
    cryptoki.C_Initialize({ flags: p.CKF_OS_LOCKING_OK });
  } catch (error) {
    throw asProblem(error, `C_Initialize of ${path}`);
  }
  return {
    p,
    cryptoki,
    [Symbol.dispose]() {
      cryptoki.C_Finalize();
      cryptoki.close();
    },
  };
}

/** pkcs11js is optional, and comes as source: only who has an HSM builds its addon. */
async function loadPkcs11js(): Promise<Pkcs11> {
  try {
    const { default: p } = (await import('pkcs11js')) as unknown as { default: Pkcs11 };
    return p;
  } catch (cause) {
    throw new CustodyProblem(
      'unavailable',
      'The addon by which an HSM is reached, that of pkcs11js, is not built here.',
      'Run scripts/build-pkcs11; it needs a compiler (Debian: apt-get install python3 make g++).',
      { cause },
    );
  }
}
