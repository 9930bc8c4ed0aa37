// What `/metrics` gives, read back: Prometheus' text format, by hand, as far as a test asks.

/** One series: its name, labels and value. */
export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** All series of a scrape, in their order. */
export function seriesOf(text: string): Series[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name = '', labels = '', value = ''] = /^([a-z_:\d]+)(?:\{(.*)\})? (\S+)$/i.exec(line) ?? [];
      if (name === '') throw new Error(`This is no series: ${line}`);
      const pairs = [...labels.matchAll(/([a-z_\d]+)="((?:[^"\\]|\\.)*)"/gi)];
      return { name, labels: Object.fromEntries(pairs.map(([, key, text]) => [key, text])), value: Number(value) };
    });
}

/** The sum of the series of a name that have these labels; 0 where there is none. */
export function valueOf(text: string, name: string, labels: Record<string, string> = {}): number {
  return seriesOf(text)
    .filter((each) => each.name === name)
    .filter((each) => Object.entries(labels).every(([label, value]) => each.labels[label] === value))
    .reduce((sum, { value }) => sum + value, 0);
}
