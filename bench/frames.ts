// How fluid a page is: the gaps between its frames, and the work of its own thread that stands in their way.

import type { Browser, Page } from 'playwright-core';

/** What is run in each page before anything else, as text: the types of the bench know no document. */
const probe = `(() => {
  const now = () => performance.now();
  let [gaps, long, last, changed, watching] = [[], [], null, 0, false];
  const frame = () => {
    if (!watching) return;
    const at = now();
    if (last !== null) gaps.push(at - last);
    last = at;
    requestAnimationFrame(frame);
  };
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) long.push(duration);
  }).observe({ type: 'long-animation-frame' });
  for (const type of ['input', 'change', 'click']) addEventListener(type, () => { changed = now(); }, true);
  globalThis.fleetrootProbe = {
    begin() {
      [gaps, long, last, watching] = [[], [], null, true];
      requestAnimationFrame(frame);
    },
    end() {
      watching = false;
      return { gaps, long };
    },
    /** When a frame first finds that it is so: since what the reader did last, and since the page was asked for. */
    async until(isSo) {
      for (const began = now(); !isSo(); ) {
        if (now() - began > 60000) throw new Error('It has not come: ' + isSo);
        await new Promise(requestAnimationFrame);
      }
      return { afterChange: now() - changed, afterOpening: now() };
    },
    /** Whether the list shows an answer, and none before it: rows, the first of which is this device, or none. */
    shows(first) {
      const list = document.querySelector('.long-list');
      if (first === null) return list === null && document.querySelector('main h2') !== null;
      if (list === null || list.dataset.old !== undefined) return false;
      const device = list.querySelector('.long-list-body a')?.textContent;
      return first === undefined ? device !== undefined : device === first;
    },
    /** Whether the number of devices is said, and is that of an answer. */
    counts(devices) {
      const said = document.querySelector('main [role=status]')?.textContent ?? '';
      return devices === undefined ? /^[\\d,]+ device/.test(said) : said.startsWith(devices + ' device');
    },
  };
})()`;

/** Adds it to all that is opened in a page from now on. */
export async function watchFrames(page: Page): Promise<void> {
  await page.addInitScript(probe);
}

/** Milliseconds until something is so, an expression of the page: since what the reader did last, and since the page was asked for. */
export function until(page: Page, isSo: string): Promise<{ afterChange: number; afterOpening: number }> {
  return page.evaluate(`fleetrootProbe.until(() => ${isSo})`);
}

/** Frames that were counted, in milliseconds from one to the next. */
export interface Frames {
  readonly count: number;
  readonly longest: number;
  readonly p99: number;
  readonly over50: number;
  readonly over100: number;
  /** The longest frame as the browser itself tells of it; it does of those over 50. */
  readonly longestTold: number | null;
  /** The longest stretch of work of the page's own thread, by the processor time that it took: others' work is none of it. */
  readonly longestWork: number;
}

/** The frames while something is done, and what that found. */
export async function framesDuring<Found>(
  browser: Browser,
  page: Page,
  act: () => Promise<Found>,
): Promise<Frames & { readonly found: Found }> {
  await browser.startTracing(page, { categories: ['disabled-by-default-devtools.timeline'] });
  await page.evaluate('fleetrootProbe.begin()');
  const found = await act();
  const { gaps, long } = await page.evaluate<{ gaps: number[]; long: number[] }>('fleetrootProbe.end()');
  const trace = await browser.stopTracing();
  const sorted = gaps.toSorted((one, other) => one - other);
  const over = (limit: number) => gaps.filter((gap) => gap > limit).length;
  return {
    found,
    count: gaps.length,
    longest: sorted.at(-1) ?? 0,
    p99: sorted[Math.ceil(gaps.length * 0.99) - 1] ?? 0,
    over50: over(50),
    over100: over(100),
    longestTold: long.length === 0 ? null : Math.max(...long),
    longestWork: longestWork(trace),
  };
}

interface TraceEvent {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  /** Microseconds of the thread's own processor time. */
  readonly tdur?: number;
  readonly args?: { readonly name?: string };
}

function longestWork(trace: Buffer): number {
  const { traceEvents } = JSON.parse(trace.toString()) as { traceEvents: TraceEvent[] };
  const thread = ({ pid, tid }: TraceEvent) => `${pid} ${tid}`;
  const ofPages = new Set(
    traceEvents.filter(({ name, args }) => name === 'thread_name' && args?.name === 'CrRendererMain').map(thread),
  );
  const work = traceEvents
    .filter((event) => event.name === 'RunTask' && ofPages.has(thread(event)))
    .map(({ tdur = 0 }) => tdur / 1_000);
  return work.reduce((longest, each) => Math.max(longest, each), 0);
}
