// What a reader does with a long list of the console: scrolls, drags, searches, filters.

import { setTimeout } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import { absent, type Sight } from './console-sight.ts';
import { until } from './frames.ts';

/** What a reader does; what it gives is said beside the frames. */
type Act = (page: Page, sight: Sight) => Promise<string | void>;

/** In this order: each begins where the one before has ended. */
export const acts: readonly (readonly [name: string, act: Act])[] = [
  ['control: nothing happens at the operator’s own page, 3 s', () => setTimeout(3_000)],
  [
    'from the overview to the list',
    async (page) => {
      await page.getByRole('link', { name: 'Devices', exact: true }).click();
      const { afterChange } = await until(page, 'fleetrootProbe.shows()');
      return `rows after ${afterChange.toFixed(0)} ms`;
    },
  ],
  ['control: nothing happens at the list, 3 s', () => setTimeout(3_000)],
  ['wheel, 5 s', wheel],
  ['Page Down held, 5 s', pageDownHeld],
  ['End again and again, 4 s', endAgain],
  ['the scroll bar dragged through all of that, 5 s', dragged],
  ['a prefix, a key each 100 ms', (page, sight) => search(page, sight, 'prefix', sight.prefixes[0], 100)],
  ['a prefix, a key each 250 ms', (page, sight) => search(page, sight, 'prefix', sight.prefixes[1], 250)],
  ['a text, a key each 100 ms', (page, sight) => search(page, sight, 'text', sight.text, 100)],
  ['a text that nothing has', (page, sight) => search(page, sight, 'text', absent, 100)],
  [
    'a state',
    async (page, sight) => {
      await takeBack(page);
      await page.getByRole('checkbox', { name: 'active' }).check();
      return answered(page, sight, '?state=active');
    },
  ],
  ['wheel in it, 5 s', wheel],
];

const listOf = (page: Page) => page.getByRole('table', { name: 'Devices' });
const reached = async (page: Page): Promise<string> =>
  `row ${await page.evaluate<number>(`document.querySelector('.long-list').scrollTop / 44 >> 0`)} reached`;

async function wheel(page: Page): Promise<string> {
  await listOf(page).hover();
  await repeat(5_000, 16, () => page.mouse.wheel(0, 240));
  return reached(page);
}

async function pageDownHeld(page: Page): Promise<string> {
  await listOf(page).focus();
  await repeat(5_000, 33, () => page.keyboard.down('PageDown'));
  await page.keyboard.up('PageDown');
  return reached(page);
}

async function endAgain(page: Page): Promise<string> {
  await repeat(4_000, 100, () => page.keyboard.press('End'));
  return reached(page);
}

/** Takes the scroll bar by its thumb, which is at the bottom, and moves it up and down; ends at the top. */
async function dragged(page: Page): Promise<string> {
  const { x, y, width, height } = (await listOf(page).boundingBox())!;
  const bar = x + width - 8;
  const [top, bottom] = [y + 24, y + height - 40];
  await page.mouse.move(bar, bottom);
  await page.mouse.down();
  let step = 0;
  await repeat(5_000, 16, () => page.mouse.move(bar, top + (bottom - top) * Math.abs((((step += 1) % 120) - 60) / 60)));
  await page.mouse.move(bar, (top + bottom) / 2);
  await page.mouse.up();
  const found = await reached(page);
  await page.evaluate(`document.querySelector('.long-list').scrollTo({ top: 0 })`);
  return found;
}

async function repeat(ms: number, every: number, act: () => Promise<unknown>): Promise<void> {
  const end = performance.now() + ms;
  for (let next = performance.now() + every; performance.now() < end; next += every) {
    await act();
    await setTimeout(Math.max(0, next - performance.now()));
  }
}

/** Types it, so many milliseconds from key to key. */
async function search(page: Page, sight: Sight, how: 'text' | 'prefix', text: string, delay: number): Promise<string> {
  await takeBack(page);
  await page.getByLabel('A device ID that').selectOption(how);
  await page.getByLabel('Search device IDs').pressSequentially(text, { delay });
  return answered(page, sight, `?${how}=${text}`);
}

/** What was searched for before, where there is any. */
async function takeBack(page: Page): Promise<void> {
  const clear = page.getByRole('button', { name: 'Clear the search' });
  if (!(await clear.isVisible())) return;
  await clear.click();
  await until(page, `location.search === '' && fleetrootProbe.shows()`);
}

/** How long after what the reader did last there are its rows, and how many they are in all. */
async function answered(page: Page, { expected }: Sight, query: string): Promise<string> {
  const { first, devices } = expected.get(query)!;
  const [rows, count] = await Promise.all([
    until(page, `fleetrootProbe.shows(${JSON.stringify(first)})`),
    until(page, `fleetrootProbe.counts('${devices.toLocaleString('en')}')`),
  ]);
  const after = ({ afterChange }: typeof rows) => `after ${afterChange.toFixed(0)} ms`;
  return `its rows ${after(rows)}, that they are ${devices} ${after(count)}`;
}
