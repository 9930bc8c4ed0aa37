// A server as the console shows it in Chromium: who looks, through which page, and what is to be found.

import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { at } from '../src/cli/client.ts';
import type { DeviceCountsJson } from '../src/operator/fleet-schemas.ts';
import type { DeviceJson } from '../src/operator/schemas.ts';
import { Problem } from '../src/problem.ts';
import { signInByApi } from '../test/support/chromium.ts';
import { goodPassword } from '../test/support/cookie-jar.ts';
import type { Fleetroot } from './fleetroot.ts';
import { watchFrames } from './frames.ts';

/** The name of the first account of either server. */
export const account = 'account-0';
export const operator = 'bench@acme.example';
const viewport = { width: 1280, height: 900 };
/** One of the servers, and what is searched for in its list. */
export interface Sight {
  readonly name: string;
  readonly browser: Browser;
  readonly fleetroot: Fleetroot;
  readonly prefixes: readonly [string, string];
  readonly text: string;
  /** What a query finds, by the query. */
  readonly expected: ReadonlyMap<string, { first: string | null; devices: number }>;
}

/** What is in no device ID. */
export const absent = 'nothing-has-it';

/** An administrator, unless an earlier run has made it. */
export async function makeOperator({ api }: Fleetroot): Promise<void> {
  try {
    await api.post('/operators', { name: operator, administrator: true, password: goodPassword });
  } catch (error) {
    if (!(error instanceof Problem && error.code === 'name_taken')) throw error;
  }
}

/** What the searches of a list find, asked for once: what the database reads for them is in memory then. */
export async function expectedOf({
  fleetroot: { api },
  prefixes,
  text,
}: Pick<Sight, 'fleetroot' | 'prefixes' | 'text'>): Promise<Sight['expected']> {
  const queries = [
    ...prefixes.map((prefix) => `?prefix=${prefix}`),
    `?text=${text}`,
    `?text=${absent}`,
    '?state=active',
  ];
  const expected = new Map<string, { first: string | null; devices: number }>();
  for (const query of queries) {
    const { devices } = await api.get<DeviceCountsJson>(at`/accounts/${account}/device-counts` + query);
    const [first] = await api.get<DeviceJson[]>(`${at`/accounts/${account}/devices`}${query}&limit=1`);
    expected.set(query, { devices, first: first?.device_id ?? null });
  }
  return expected;
}

/** A page in a browser of somebody's own, with nothing in its cache, signed in unless told otherwise. */
export async function openPage(
  { browser, fleetroot }: Sight,
  { signedIn = true, ...options }: BrowserContextOptions & { signedIn?: boolean } = {},
): Promise<Page> {
  const context = await browser.newContext({
    baseURL: `http://localhost:${fleetroot.operatorPort}`,
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    viewport,
    ...options,
  });
  context.setDefaultTimeout(60_000);
  if (signedIn) await signInByApi(context, operator);
  const page = await context.newPage();
  await watchFrames(page);
  return page;
}

/** The overview has all its numbers: an expression of the page. */
export const overviewShown = `
  [...document.querySelectorAll('.figure-number')].filter((each) => /\\d/.test(each.textContent)).length >= 7 &&
  document.querySelector('[data-asking]') === null`;
