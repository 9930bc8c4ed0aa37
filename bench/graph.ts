// Lines over time as an SVG image, one panel for each, all from zero.

/** A line: x and y of each point, in the panel's own units. */
export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

const width = 720;
const panel = 90;
const left = 60;

/** The image as text; `x` names what all panels have in common. */
export function drawGraph(title: string, x: string, lines: readonly Line[]): string {
  const height = 50 + lines.length * (panel + 40);
  const longest = Math.max(...lines.flatMap(({ points }) => points.map(([at]) => at)));
  const panels = lines.map(({ name, points }, index) => {
    const top = 60 + index * (panel + 40);
    const most = Math.max(1, ...points.map(([, value]) => value));
    const path = points.map(
      ([at, value]) =>
        `${(left + (at / longest) * (width - left - 20)).toFixed(1)},${(top + panel - (value / most) * panel).toFixed(1)}`,
    );
    return `  <text x="${left}" y="${top - 6}">${name}</text>
  <path d="M${left},${top} V${top + panel} H${width - 20}" stroke="#888" fill="none"/>
  <text x="${left - 6}" y="${top + 10}" text-anchor="end">${most.toFixed(0)}</text>
  <text x="${left - 6}" y="${top + panel}" text-anchor="end">0</text>
  <polyline points="${path.join(' ')}" fill="none" stroke="#0b6bcb" stroke-width="1.5"/>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
  <rect width="100%" height="100%" fill="white"/>
  <text x="${left}" y="24" font-size="15">${title}</text>
${panels.join('\n')}
  <text x="${width - 20}" y="${height - 8}" text-anchor="end">${longest.toFixed(0)} ${x}</text>
</svg>
`;
}
