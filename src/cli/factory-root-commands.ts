// `factory root …`: the Fleet Root, on a machine without a network.

import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ShownRoot, ShownRootLine, SignedLine } from '../factory/fleet-root.ts';
import { formatInstant, parseInstant } from '../time.ts';
import { CertificationRequestError, readRequestFile } from '../x509/certification-request.ts';
import { firstCommonName } from '../x509/name.ts';
import { atFactoryOf, factoryCommon, factoryData, passphraseFile } from './at-factory.ts';
import { command, type Parameter, type Session } from './command.ts';
import { Failure, UsageError } from './failure.ts';
import { withNewFile } from './new-file.ts';
import { type Page, pages, sentences, sheet, table } from './page.ts';
import { choice, instant, readFile, required, short, text, wholeNumber } from './parameters.ts';
import { newRootPassphrase } from './passphrase.ts';

/** Where `factory root create` leaves the certificate. */
const rootFile = 'root.crt';

const custodian = choice(['software', 'pkcs11'], 'where its key is made (else as custody.default says)');
const passphrases = [
  'A key of the custodian software is sealed under a passphrase: asked for at the terminal without an echo, else a line of',
  "stdin each time, or in a file of its owner's alone. It is never an argument or a variable.",
];

/** What a request says of itself, before anything is believed. */
interface RequestFile {
  readonly bytes: Buffer;
  readonly name: string | null;
  readonly key: string;
}

const request: Parameter<RequestFile, 'once'> = {
  ...text('REQUEST', 'the request that `factory line request` wrote'),
  read: (path) => {
    const bytes = readFile(path);
    try {
      const { subject, publicKey } = readRequestFile(bytes);
      return { bytes, name: firstCommonName(subject), key: publicKey.sha256 };
    } catch (error) {
      if (!(error instanceof CertificationRequestError)) throw error;
      throw new Failure(`${path}: ${error.message}`, 'give the file that `factory line request` wrote');
    }
  },
};

/** An instant as `instant` reads it, or a day, with all of it. */
function end(shown: string, about: string): Parameter<string, 'once'> {
  const parameter = instant(shown, about);
  const read = (given: string): string => {
    const lastSecond = /^\d{4}-\d\d-\d\d$/.test(given) ? parseInstant(`${given}T23:59:59Z`) : null;
    const at = lastSecond === null ? parameter.read(given) : formatInstant(lastSecond);
    if (Date.parse(at) > Date.now()) return at;
    throw new UsageError(`"${given}" has passed`);
  };
  return { ...parameter, read };
}

/** Signs, and gives what it has written where. */
async function signInto(
  path: string,
  sign: () => Promise<SignedLine>,
): Promise<Omit<SignedLine, 'bundle'> & { readonly file: string }> {
  const file = resolve(path);
  return withNewFile(file, async (write) => {
    const { bundle, ...signed } = await sign();
    write(bundle);
    return { ...signed, file };
  });
}

/** Writes the certificate where it goes to the server from. */
function writeCertificate(file: string, { certificate }: ShownRoot): Promise<void> {
  return withNewFile(file, async (write) => write(certificate));
}

const rootSheet = (root: ShownRoot): Page =>
  sheet({
    organisation: root.name,
    subject: root.subject,
    'sha-256': root.sha256,
    key: `${root.key_type}, in ${root.custodian}`,
    'valid until': root.not_after,
  });

const mandateTable = (lines: readonly ShownRootLine[]): Page =>
  table(
    lines.flatMap(({ name, mandates }) => mandates.map((mandate) => ({ line: name, ...mandate }))),
    '',
    {
      line: (row) => row.line,
      quota: (row) => row.quota,
      until: (row) => row.not_after,
      'device IDs': (row) => row.device_id_pattern,
      order: (row) => row.order ?? 'any',
      signed: (row) => row.signed_at,
      mandate: (row) => row.id,
    },
  );

/** Asked for the first time where the key is to lie in a file of this directory. */
const firstPassphrase =
  (chosen: string | undefined, { terminal }: Session) =>
  async (config: { custody: { default: string } }) =>
    (chosen ?? config.custody.default) === 'software' ? newRootPassphrase(terminal) : null;

export const factoryRootCommands = [
  command({
    words: 'factory root create',
    about: 'Make your Fleet Root CA, on a machine that needs no network.',
    more: [
      ...passphrases,
      'With --custodian pkcs11 the key is made in the token that DIR/fleetroot.toml or FLEETROOT_PKCS11_… names.',
    ],
    arguments: { dir: text('DIR', 'a directory of its own, made where it is not there') },
    options: {
      name: text('ORG', 'your organisation, for the subjects of its CAs ("Fleet" else)'),
      'key-type': choice(['p384', 'p256'], 'the kind of its key (p384 else)'),
      custodian,
      ...passphraseFile,
    },
    common: ['json'],
    call: async ({ dir, name = 'Fleet', custodian: chosen, ...given }, session) => {
      const data = resolve(dir);
      mkdirSync(data, { recursive: true, mode: 0o700 });
      const asked = { name, key_type: given['key-type'] ?? 'p384', custodian: chosen ?? null };
      const root = await atFactoryOf(
        { data, 'passphrase-file': given['passphrase-file'] },
        session,
        (at) => at('createRoot', asked),
        firstPassphrase(chosen, session),
      );
      const file = join(data, rootFile);
      await writeCertificate(file, root);
      return { ...root, file };
    },
    print: ({ file, ...root }, { dir }) =>
      pages(
        rootSheet(root),
        sentences(
          `${file} is written: register it with your server, \`fleetroot fleet-root register ACCOUNT ${rootFile}\`.`,
          `On each line: \`fleetroot factory line request --name NAME -o line-request.pem\`; then here: \`fleetroot factory root sign-line line-request.pem --data ${dir} …\`.`,
          root.custodian === 'software'
            ? 'Back up this directory, and keep the passphrase apart from it: without both no line is ever signed again.'
            : 'The key is in the token alone: back that up as its maker says, and this directory.',
        ),
      ),
  }),
  command({
    words: 'factory root show',
    about: 'Show the Fleet Root of a directory; with -o, write its certificate again.',
    options: {
      ...factoryData,
      ...passphraseFile,
      output: short('o', text('FILE', 'where to write its certificate, PEM')),
    },
    common: factoryCommon,
    call: async ({ output, ...given }, session) => {
      const root = await atFactoryOf(given, session, (at) => at('showRoot', {}));
      if (output !== undefined) await writeCertificate(resolve(output), root);
      return root;
    },
    print: rootSheet,
  }),
  command({
    words: 'factory root sign-line',
    about: "Sign a line's CA, and a mandate: how many devices it may make, which, and until when.",
    more: [
      'The file holds both, and crosses to the line, where `factory line accept` takes it. Signed again, the same request gives',
      'the same CA and one more mandate, which adds to those before it: that is how a line gets more.',
      'Compare the key that is shown with the one that the line showed: a request that somebody swapped has another one.',
    ],
    arguments: { request },
    options: {
      ...factoryData,
      ...passphraseFile,
      quota: required(wholeNumber('N', 'how many devices, by their distinct keys', 1, 1_000_000_000)),
      until: required(end('TIME', 'when the mandate ends: 90d, 2031-01-31 or 2031-01-31T12:00:00Z')),
      'device-id-pattern': required(text('RE2', 'which device IDs, as a regular expression for the whole of one')),
      order: text('ORDER', 'the one order that it is for (any else)'),
      'ca-until': end('TIME', "when the line's CA ends, the first time (30y else); no device certificate outlasts it"),
      output: short('o', required(text('FILE', 'where to write it; never overwrites'))),
    },
    common: factoryCommon,
    confirm: {
      erases: false,
      question: (given) =>
        `Let the line "${given.request.name ?? ''}" (key SHA-256 ${given.request.key}) make ${given.quota} device(s) until ${given.until}?`,
    },
    call: (given, session) =>
      signInto(given.output, () =>
        atFactoryOf(given, session, (at) =>
          at('signLine', {
            request: given.request.bytes.toString('base64'),
            quota: given.quota,
            until: given.until,
            device_id_pattern: given['device-id-pattern'],
            order: given.order ?? null,
            ca_until: given['ca-until'] ?? null,
          }),
        ),
      ),
    print: ({ line, new_ca, file }, given) =>
      pages(
        sheet({
          line: line.name,
          site: line.site,
          'key SHA-256': line.key_sha256,
          'CA SHA-256': line.sha256,
          CA: new_ca ? `new, until ${line.not_after}` : `the same as before, until ${line.not_after}`,
          'this mandate': `${given.quota} device(s) until ${given.until}`,
          'all its mandates': `${line.quota} device(s)`,
        }),
        sentences(`${file} is written. On the line: \`fleetroot factory line accept FILE\`.`),
      ),
  }),
  command({
    words: 'factory root list',
    about: 'List the lines that the Fleet Root has signed, and their mandates.',
    options: { ...factoryData, ...passphraseFile },
    common: factoryCommon,
    call: (given, session) => atFactoryOf(given, session, (at) => at('listRootLines', {})),
    print: (lines) =>
      pages(
        table(lines, 'The Fleet Root has signed no line yet.', {
          line: (row) => row.name,
          site: (row) => row.site,
          quota: (row) => row.quota,
          mandates: (row) => row.mandates.length,
          'CA until': (row) => row.not_after,
          'key SHA-256': (row) => row.key_sha256,
        }),
        ...(lines.length === 0 ? [] : [mandateTable(lines)]),
      ),
  }),
];
