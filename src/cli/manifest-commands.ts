// `manifest …`: the account that factories give of their certificates, and what was made against what has come.

import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type {
  FactoryLineJson,
  FactoryStrangerJson,
  ImportedManifestJson,
  ManifestCertificateJson,
  ReconciliationJson,
} from '../operator/manifest-schemas.ts';
import { account } from './account-commands.ts';
import { at, type Client, queryOf } from './client.ts';
import { command } from './command.ts';
import { Failure } from './failure.ts';
import { type Page, pages, sentences, table } from './page.ts';
import { choice, reasonOf, text } from './parameters.ts';

/** What came of a file: the sums of what its manifests told, and the lines that they are of. */
interface ImportedFile {
  readonly manifests: number;
  readonly lines: readonly Pick<ImportedManifestJson, 'line' | 'line_name' | 'site' | 'last'>[];
  readonly new: number;
  readonly made: number;
  readonly withdrawn: number;
  readonly revoked: number;
  readonly beyond: number;
}

async function importFile(api: Client, path: string, file: string): Promise<ImportedFile> {
  const sum = { manifests: 0, new: 0, made: 0, withdrawn: 0, revoked: 0, beyond: 0 };
  const lines = new Map<string, ImportedFile['lines'][number]>();
  for await (const manifest of manifestsIn(file)) {
    const taken = await api.post<ImportedManifestJson>(path, Buffer.from(manifest));
    sum.manifests += 1;
    if (taken.first !== null) sum.new += 1;
    for (const name of ['made', 'withdrawn', 'revoked', 'beyond'] as const) sum[name] += taken[name];
    const { line, line_name, site, last } = taken;
    lines.set(line, { line, line_name, site, last });
  }
  if (sum.manifests === 0) throw new Failure(`${file} holds no manifest`);
  return { ...sum, lines: [...lines.values()] };
}

/** One a line, read as they are sent: a file may be longer than the memory. */
async function* manifestsIn(file: string): AsyncGenerator<string> {
  const stream = createReadStream(file);
  try {
    for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (line.trim() !== '') yield line.trim();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new Failure(`cannot read ${file}: ${reasonOf(error)}`);
  } finally {
    stream.destroy();
  }
}

const standings = ['missing', 'coming', 'shared', 'beyond'] as const;

const certificateTable = (
  rows: readonly ManifestCertificateJson[],
  empty: string,
  lineName: (id: string) => string,
): Page =>
  table(rows, empty, {
    'device id': (row) => row.device_id,
    order: (row) => row.order,
    batch: (row) => row.batch,
    line: (row) => lineName(row.line),
    number: (row) => row.number,
    made: (row) => row.made_at,
    seen: (row) => row.seen_at,
    withdrawn: (row) => row.withdrawn_at,
    ...(rows.some((row) => row.came_at !== null) && { came: (row: ManifestCertificateJson) => row.came_at }),
    ...(rows.some((row) => row.shares !== null) && { shares: (row: ManifestCertificateJson) => row.shares }),
    ...(rows.some((row) => row.beyond !== null) && { beyond: (row: ManifestCertificateJson) => row.beyond }),
    proof: (row) => row.proof,
    'certificate (tbs)': (row) => row.tbs_sha256,
  });

const strangerTable = (rows: readonly FactoryStrangerJson[], lineName: (id: string) => string): Page =>
  table(rows, '', {
    'device id': (row) => row.device_id,
    line: (row) => lineName(row.line),
    'first seen': (row) => row.first_seen,
    'last seen': (row) => row.last_seen,
    admitted: (row) => row.admitted,
    'certificate (tbs)': (row) => row.tbs_sha256,
  });

/** What is to be looked into, and no matter of time. */
function alarmsOf({ coming, shared, beyond, strangers }: ReconciliationJson): number {
  return coming.count + shared.count + beyond.count + strangers.count;
}

function reconciliationPage(found: ReconciliationJson): Page {
  const names = new Map(found.lines.map(({ id, name }) => [id, name]));
  const lineName = (id: string): string => names.get(id) ?? id;
  const parts: Page[] = [
    table(found.lines, 'No manifest has been imported.', {
      line: (row) => row.name,
      site: (row) => row.site,
      made: (row) => row.made,
      mandated: (row) => row.mandates.reduce((sum, { quota }) => sum + quota, 0),
      withdrawn: (row) => row.withdrawn,
      seen: (row) => row.seen,
      'never seen': (row) => row.missing,
      'complete to': (row) => row.complete_to,
      last: (row) => row.last,
    }),
  ];
  const list = (finding: { count: number; first: readonly unknown[] }, sentence: string, shown: () => Page): void => {
    if (finding.count === 0) return;
    const more = finding.count > finding.first.length ? ` The first ${finding.first.length}:` : '';
    parts.push(pages(sentences(`${finding.count} ${sentence}${more}`), shown()));
  };
  const certificates = (finding: { first: readonly ManifestCertificateJson[] }) => () =>
    certificateTable(finding.first, '', lineName);
  const { never_seen, coming, shared, beyond, strangers, unaccounted } = found;
  list(strangers, 'stranger(s): they came under the CA of a line, which has not made them.', () =>
    strangerTable(strangers.first, lineName),
  );
  list(coming, 'withdrawn certificate(s) with which devices still come.', certificates(coming));
  list(shared, 'certificate(s) of which another has the same device ID or key.', certificates(shared));
  list(beyond, 'certificate(s) beyond what their mandate covers.', certificates(beyond));
  list(unaccounted, 'certificate(s) that came and may stand in the next manifest.', () =>
    strangerTable(unaccounted.first, lineName),
  );
  list(never_seen, 'certificate(s) made and never seen.', certificates(never_seen));
  const all = `${found.made} made, ${found.seen} seen, ${found.missing} never seen, ${found.withdrawn} withdrawn, ${strangers.count} stranger(s).`;
  return pages(...parts, sentences(all));
}

export const manifestCommands = [
  command({
    words: 'manifest import',
    about: 'Import what a factory line says that it has made and withdrawn.',
    more: [
      'The file is that of factory export. What is known of it already is passed over: importing it twice does no harm.',
      'Its device IDs are on the allow-list from then on; certificates that it withdrew get in no more.',
    ],
    arguments: { account, path: text('FILE', 'as factory export wrote it') },
    call: (given, { api }) => importFile(api, at`/accounts/${given.account}/manifests`, given.path),
    print: ({ new: fresh, made, withdrawn, revoked, beyond, lines }) =>
      sentences(
        fresh === 0
          ? 'All of it was known already.'
          : `${made} certificate(s) made and ${withdrawn} withdrawn; ${revoked} of these were in use, and are revoked.`,
        ...(beyond > 0
          ? [`${beyond} of them are beyond what the mandate covers: \`manifest reconcile\` shows them.`]
          : []),
        ...lines.map(
          ({ line_name, site, last }) =>
            `The line ${line_name}${site === null ? '' : ` at ${site}`} is known up to entry ${last}.`,
        ),
      ),
  }),
  command({
    words: 'manifest list',
    about: 'List the factory lines of which manifests were imported, and up to where.',
    arguments: { account },
    call: (given, { api }) => api.list<FactoryLineJson>(at`/accounts/${given.account}/manifests`),
    print: (lines, given) =>
      table(lines, `No manifest has been imported into ${given.account}.`, {
        line: (row) => row.name,
        site: (row) => row.site,
        last: (row) => row.last,
        'complete to': (row) => row.complete_to,
        imported: (row) => row.imported_at,
        id: (row) => row.id,
        'fleet root ca': (row) => row.fleet_root_ca,
      }),
  }),
  command({
    words: 'manifest reconcile',
    about: 'Hold what the lines have made against what has come.',
    more: [
      'The exit code is 1 where something is amiss: a stranger, a withdrawn certificate that still comes, two devices with',
      'one ID or key, or more than was mandated. What was made and never seen may be on its way.',
    ],
    arguments: { account },
    options: { order: text('ORDER', 'of this order alone; strangers belong to none') },
    call: ({ account: name, order }, { api }) =>
      api.get<ReconciliationJson>(at`/accounts/${name}/reconciliation` + queryOf({ order })),
    print: reconciliationPage,
    exitCode: (found) => (alarmsOf(found) > 0 ? 1 : 0),
  }),
  command({
    words: 'manifest certificates',
    about: 'List the certificates that manifests hold.',
    arguments: { account },
    options: {
      order: text('ORDER', 'of this order alone'),
      standing: choice(standings, 'those never seen; withdrawn and coming; sharing an ID or key; beyond the mandate'),
    },
    call: ({ account: name, order, standing }, { api }) =>
      api.list<ManifestCertificateJson>(at`/accounts/${name}/manifests/certificates` + queryOf({ order, standing })),
    print: (rows) => certificateTable(rows, 'There is no such certificate.', (id) => id),
  }),
];
