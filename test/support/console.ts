// The web console in Debian's Chromium, at a real server: what a reader of it sees, presses and types.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import type { ConfigOptions } from '../../src/config.ts';
import { launchChromium, signInByApi } from './chromium.ts';
import { makeOperator } from './cookie-jar.ts';
import { Fleetroot } from './fleetroot.ts';

const axeSource = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
/** How long something may take to appear, in milliseconds. */
const patience = 15_000;

/** A server with an administrator, and a browser that nobody has signed in with yet. */
export class Console implements AsyncDisposable {
  readonly server: Fleetroot;
  readonly #browser: Browser;

  private constructor(server: Fleetroot, browser: Browser) {
    this.server = server;
    this.#browser = browser;
  }

  /** Starts both. `administrator: false` leaves the server without one, as at its first start. */
  static async open({
    administrator = true,
    options = {},
    clock = Date.now,
  }: { administrator?: boolean; options?: ConfigOptions; clock?: () => number } = {}): Promise<Console> {
    const server = await Fleetroot.start({ options, clock });
    if (administrator) await makeOperator(server, 'alice@acme.example', '--administrator');
    const browser = await launchChromium();
    return new Console(server, browser);
  }

  /** Where the console is. Plain HTTP on loopback, which a browser takes for as safe as HTTPS. */
  get url(): string {
    return `http://localhost:${this.server.server.operatorPort}`;
  }

  /** A browser of somebody's own: no cookies of others. */
  async context(options: BrowserContextOptions = {}): Promise<BrowserContext> {
    const context = await this.#browser.newContext({
      baseURL: this.url,
      locale: 'en-GB',
      timezoneId: 'Europe/Berlin',
      permissions: ['clipboard-read', 'clipboard-write'],
      // What fades in would be looked at half seen.
      reducedMotion: 'reduce',
      ...options,
    });
    context.setDefaultTimeout(patience);
    return context;
  }

  /** A page that somebody has signed in with (the administrator, unless said), and that shows `path`. */
  async page(
    path = '/',
    { name = 'alice@acme.example', ...options }: BrowserContextOptions & { name?: string } = {},
  ): Promise<Page> {
    const context = await this.context(options);
    await signInByApi(context, name);
    const page = await context.newPage();
    page.on('pageerror', (error) => process.stderr.write(`console: ${error.stack}\n`));
    page.on(
      'console',
      (said) =>
        said.type() === 'error' &&
        !said.text().startsWith('Failed to load resource') &&
        process.stderr.write(`console: ${said.text()}\n`),
    );
    await page.goto(path);
    return page;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
    await this.server[Symbol.asyncDispose]();
  }
}

interface AxeResult {
  readonly violations: readonly {
    id: string;
    help: string;
    nodes: readonly { html: string; failureSummary: string }[];
  }[];
}

/** What axe finds amiss by WCAG 2.2 AA, in light and dark: sentences; none where all is well. */
export async function axe(page: Page): Promise<string[]> {
  const found: string[] = [];
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    // Not as a script element, which the content security policy rightly keeps out.
    const { violations } = (await page.evaluate(
      `(async () => { if (!window.axe) { ${axeSource} } return window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }); })()`,
    )) as AxeResult;
    for (const { id, help, nodes } of violations) {
      for (const { html, failureSummary } of nodes)
        found.push(`${colorScheme}: ${id}: ${help}\n${html}\n${failureSummary}`);
    }
  }
  await page.emulateMedia({ colorScheme: null });
  return found;
}
