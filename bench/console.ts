// The web console at a list of a million devices, in Debian's Chromium: its frames, its answers, and what its first load weighs.

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launchChromium } from '../test/support/chromium.ts';
import { goodPassword } from '../test/support/cookie-jar.ts';
import { bigRegistry } from './big-registry.ts';
import { acts } from './console-acts.ts';
import { account, expectedOf, makeOperator, openPage, operator, overviewShown, type Sight } from './console-sight.ts';
import type { Figure } from './figures.ts';
import { Fleetroot } from './fleetroot.ts';
import { type Frames, framesDuring, until } from './frames.ts';

/** One account has all the devices. Kept between runs: it takes minutes to make. */
const home = join(tmpdir(), 'fleetroot-bench-console');
const size = { devices: 1_000_000, accounts: 1, revoked: 100_000, real: 20 };
/** How often each opening is measured. */
const openings = 3;
/** The most that a frame may take, in milliseconds, and a first load weigh, in KB. */
const [longestFrame, heaviestLoad] = [100, 250];

/** Measures and prints, by turns with a server that has one account with some devices. */
export async function benchConsole(small: Fleetroot): Promise<Figure[]> {
  await using held = new AsyncDisposableStack();
  await bigRegistry(home, size);
  const big = held.use(await Fleetroot.start(home));
  // With a scroll bar that can be dragged, as on a desktop.
  const browser = held.adopt(await launchChromium({ ignoreDefaultArgs: ['--hide-scrollbars'] }), (it) => it.close());
  const sights: Sight[] = [];
  for (const sight of [
    { name: '50', fleetroot: small, prefixes: [`${account}-de`, `${account}-dev`], text: 'vice-' },
    { name: `${size.devices}`, fleetroot: big, prefixes: ['vehicle-0001', 'vehicle-00023'], text: '12345' },
  ] satisfies Pick<Sight, 'name' | 'fleetroot' | 'prefixes' | 'text'>[]) {
    await makeOperator(sight.fleetroot);
    sights.push({ ...sight, browser, expected: await expectedOf(sight) });
  }
  console.log(
    `\nThe console in Chromium ${browser.version()} without a graphics processor, of devices as many as stand there`,
  );
  await measureOpenings(sights);
  const { longest, longestWork } = await measureFrames(sights);
  const { page, whole } = await measureFirstLoad(sights.at(-1)!);
  const list = `scrolling and filtering a list of ${size.devices} devices`;
  const versions = `Chromium ${browser.version()} without a graphics processor, Node ${process.version}`;
  const ofMost = (what: string, most: number, unit: string, found: number): Figure => ({
    what: `console, ${what}`,
    against: `the most that is meant, ${most} ${unit}`,
    versions,
    ratio: most / found,
    aim: 1,
  });
  return [
    ofMost(`${list}: the longest time from frame to frame`, longestFrame, 'ms', longest),
    ofMost(`${list}: the longest work of the page’s own thread, its processor time`, longestFrame, 'ms', longestWork),
    ofMost('first load: the sign-in page', heaviestLoad, 'KB', page),
    ofMost('first load: the sign-in page, and the overview with its answers after it', heaviestLoad, 'KB', whole),
  ];
}

/** From asking for a page, with nothing in the cache, and once more with everything in it, to what it is for. */
async function measureOpenings(sights: readonly Sight[]): Promise<void> {
  for (const [path, shown] of [
    ['', { 'overview, all its numbers': overviewShown }],
    [
      '/devices',
      { 'devices, the first rows': 'fleetrootProbe.shows()', 'devices, how many': 'fleetrootProbe.counts()' },
    ],
  ] as const) {
    const times = new Map<string, number[]>();
    for (let n = 0; n < openings; n += 1) {
      for (const sight of sights) {
        const page = await openPage(sight);
        for (const cache of ['nothing in the cache', 'all files in the cache']) {
          await page.goto(`/accounts/${account}${path}`);
          const found = Object.entries(shown).map(async ([what, isSo]) => {
            const { afterOpening } = await until(page, isSo);
            const line = `${sight.name.padStart(8)}  ${what}, ${cache}`;
            times.set(line, [...(times.get(line) ?? []), afterOpening]);
          });
          await Promise.all(found);
        }
        await page.context().close();
      }
    }
    for (const [line, each] of times) console.log(`${line}: ${median(each)}`);
  }
}

function median(times: readonly number[]): string {
  const sorted = times.toSorted((one, other) => one - other);
  return `${sorted[sorted.length >> 1]!.toFixed(0)} ms (${sorted[0]!.toFixed(0)}–${sorted.at(-1)!.toFixed(0)})`;
}

/** Gives the longest of what is done at the last of the lists. */
async function measureFrames(sights: readonly Sight[]): Promise<Pick<Frames, 'longest' | 'longestWork'>> {
  const pages = await Promise.all(sights.map((sight) => openPage(sight)));
  for (const page of pages) {
    await page.goto('/me');
    await page.getByRole('heading', { level: 1 }).waitFor();
  }
  console.log('\n devices  frames  longest      p99  over 50  over 100  told of  own work');
  const atLast: Frames[] = [];
  for (const [name, act] of acts) {
    for (const [index, sight] of sights.entries()) {
      const page = pages[index]!;
      if (name.startsWith('from the overview')) {
        await page.goto(`/accounts/${account}`);
        await until(page, overviewShown);
      }
      const { found, ...frames } = await framesDuring(sight.browser, page, () => act(page, sight));
      if (sight === sights.at(-1) && !name.startsWith('control')) atLast.push(frames);
      console.log(
        `${sight.name.padStart(8)}  ${cells(frames)}  ${name}${typeof found === 'string' ? `: ${found}` : ''}`,
      );
    }
  }
  for (const page of pages) await page.context().close();
  return {
    longest: Math.max(...atLast.map(({ longest }) => longest)),
    longestWork: Math.max(...atLast.map(({ longestWork }) => longestWork)),
  };
}

function cells({ count, longest, p99, over50, over100, longestTold, longestWork }: Frames): string {
  return [
    String(count).padStart(6),
    `${longest.toFixed(0)} ms`.padStart(8),
    `${p99.toFixed(0)} ms`.padStart(8),
    String(over50).padStart(8),
    String(over100).padStart(9),
    (longestTold === null ? '–' : `${longestTold.toFixed(0)} ms`).padStart(8),
    `${longestWork.toFixed(0)} ms`.padStart(9),
  ].join(' ');
}

/** What comes over the wire, HTTP's header fields and all, to a browser that has never been here; gives KB over HTTPS. */
async function measureFirstLoad(sight: Sight): Promise<{ page: number; whole: number }> {
  console.log('\nFirst load, in KB of 1000 bytes as they came over the wire');
  const port = sight.fleetroot.operatorPort;
  const weighed = { page: 0, whole: 0 };
  for (const baseURL of [`http://localhost:${port}`, `http://127.0.0.1:${port}`, `https://localhost:${port}`]) {
    const page = await openPage(sight, { signedIn: false, baseURL, ignoreHTTPSErrors: true });
    const wire = await page.context().newCDPSession(page);
    const codings = new Map<string, string>();
    const bytes = new Map<string, number>();
    wire.on('Network.responseReceived', ({ requestId, response: { headers } }) => {
      codings.set(requestId, headers['content-encoding'] ?? headers['Content-Encoding'] ?? 'plain');
    });
    wire.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
      const coding = codings.get(requestId) ?? 'plain';
      bytes.set(coding, (bytes.get(coding) ?? 0) + encodedDataLength);
    });
    await wire.send('Network.enable');
    const all = (): number => [...bytes.values()].reduce((sum, each) => sum + each, 0) / 1_000;
    const said = (): string => {
      const parts = [...bytes].map(([coding, each]) => `${coding} ${(each / 1_000).toFixed(0)}`);
      return `${all().toFixed(0)} (${parts.join(', ')})`;
    };
    await page.goto('/');
    const signIn = page.getByRole('button', { name: 'Sign in', exact: true });
    await signIn.waitFor();
    const first = said();
    weighed.page = all();
    await page.getByLabel('Name').fill(operator);
    await page.getByLabel('Password', { exact: true }).fill(goodPassword);
    await signIn.click();
    await until(page, overviewShown);
    // The chart is the last to come, and is none of the numbers.
    await page.locator('.uplot').waitFor();
    weighed.whole = all();
    console.log(`  ${baseURL}: the sign-in page ${first}; with the overview after it ${said()}`);
    await page.context().close();
  }
  return weighed;
}
