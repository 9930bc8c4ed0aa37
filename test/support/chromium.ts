// Debian's Chromium, and how somebody is signed in with it: for tests of the console and what is measured of it.

import { type Browser, type BrowserContext, chromium, type LaunchOptions } from 'playwright-core';
import { goodPassword } from './cookie-jar.ts';

export function launchChromium(options: LaunchOptions = {}): Promise<Browser> {
  return chromium.launch({
    ...options,
    executablePath: '/usr/bin/chromium',
    args: [
      // As root, which CI is, Chromium's sandbox does not start.
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
    ],
  });
}

/** Signs in whoever has the password of all tests; the pages of the context are theirs then. */
export async function signInByApi(context: BrowserContext, name: string): Promise<void> {
  const answer = await context.request.post('/api/v1/session', {
    data: { name, password: goodPassword },
    headers: { 'x-fleetroot': '1' },
  });
  if (!answer.ok()) throw new Error(`${name} could not sign in: ${await answer.text()}`);
}
