// `factory station …`: who may ask a line for certificates.

import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, rmdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { AddedStation, StationJson } from '../factory/stations.ts';
import { atFactoryOf, factoryCommon, factoryData } from './at-factory.ts';
import { command, type Session } from './command.ts';
import { Failure, UsageError } from './failure.ts';
import { withNewFile } from './new-file.ts';
import { type Page, sentences, table } from './page.ts';
import { file, flag, reasonOf, repeated, short, text } from './parameters.ts';

interface Given {
  readonly data: string | undefined;
  readonly name: string;
  readonly network: readonly string[];
  readonly address: string | undefined;
  readonly basic: boolean;
  readonly request: Uint8Array | undefined;
  readonly output: string | undefined;
}

/** A station that was added, as `--json` tells it: its password is in it, its key never. */
interface Added {
  readonly station: StationJson;
  readonly password: string | null;
  /** What was written. */
  readonly files: readonly string[];
}

const name = text('NAME', "the station's name");

export const factoryStationCommands = [
  command({
    words: 'factory station add',
    about: 'Let a station ask for certificates.',
    more: [
      'It gets a key, made here, and a certificate: station.key, station.crt and station-ca.crt in a new directory. With',
      '--request the key stays where it is, and no station.key is written. With --basic, the weaker choice, it gets a',
      'password, shown once.',
    ],
    arguments: { name },
    options: {
      ...factoryData,
      network: repeated(
        text('CIDR', 'a network that it may ask from, every one if none is given; several times for several'),
      ),
      address: text('ADDRESS', 'the one address of the service that it may ask at'),
      basic: flag('give it a password in place of a certificate'),
      request: file('FILE', "a PKCS#10 request of the station's own key"),
      output: short('o', text('DIR', 'where its files are written, ./NAME if not given; never overwrites')),
    },
    common: factoryCommon,
    check({ basic, request, output }) {
      if (basic && request) throw new UsageError('--basic and --request do not go together');
      if (basic && output) throw new UsageError('--basic and -o do not go together: a password is shown, not written');
    },
    call: (given, session) => addStation(given, session),
    print: ({ station, password, files }): Page =>
      password === null
        ? sentences(`The station ${station.name} may ask: ${files.join(', ')}.`)
        : sentences(
            `The station ${station.name} may ask with this password, which is not shown again:`,
            `  ${password}`,
          ),
  }),
  command({
    words: 'factory station list',
    about: 'List the stations, also those that were removed.',
    options: factoryData,
    common: factoryCommon,
    call: (given, session) => atFactoryOf(given, session, (at) => at('listStations', {})),
    print: (stations) =>
      table(stations, 'There is no station yet.', {
        station: (row) => row.name,
        state: (row) => row.state,
        by: (row) => row.proof,
        networks: (row) => row.networks.join(', ') || 'any',
        address: (row) => row.address ?? 'any',
        'not after': (row) => row.not_after,
      }),
  }),
  command({
    words: 'factory station remove',
    about: 'Remove a station: from now on it may not ask, and its connections end.',
    arguments: { name },
    options: factoryData,
    common: factoryCommon,
    confirm: {
      erases: false,
      question: (given) => `Remove the station ${given.name}? Its name is not free again.`,
    },
    call: (given, session) => atFactoryOf(given, session, (at) => at('removeStation', { name: given.name })),
    print: ({ name: removed }) => sentences(`The station ${removed} is removed.`),
  }),
];

async function addStation(given: Given, session: Session): Promise<Added> {
  if (given.basic) {
    const { station, password } = await ask(given, session, { kind: 'password' });
    return { station, password, files: [] };
  }
  const dir = resolve(given.output ?? given.name);
  return inDirectory(dir, async () => {
    if (given.request) {
      const request = Buffer.from(given.request).toString('base64');
      return withFiles(given, session, dir, { kind: 'request', request });
    }
    const keyFile = join(dir, 'station.key');
    return withNewFile(keyFile, async (write) => {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      write(privateKey.export({ type: 'pkcs8', format: 'pem' }));
      const public_key = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
      const added = await withFiles(given, session, dir, { kind: 'key', public_key });
      return { ...added, files: [keyFile, ...added.files] };
    });
  });
}

type Proof = Parameters<typeof ask>[2];

/** Nothing is asked before its files can be written. */
function withFiles(given: Given, session: Session, dir: string, proof: Proof): Promise<Added> {
  const files = [join(dir, 'station.crt'), join(dir, 'station-ca.crt')] as const;
  return withNewFile(files[0], (writeCertificate) =>
    withNewFile(files[1], async (writeCa) => {
      const { station, certificate, ca, password } = await ask(given, session, proof);
      writeCertificate(`${certificate}${ca}`);
      writeCa(ca);
      return { station, password, files };
    }),
  );
}

function ask(
  { name: called, network, address, ...given }: Given,
  session: Session,
  proof: { kind: 'password' } | { kind: 'request'; request: string } | { kind: 'key'; public_key: string },
): Promise<AddedStation> {
  const args = { name: called, networks: [...network], address: address ?? null, proof };
  return atFactoryOf(given, session, (at) => at('addStation', args));
}

/** Does what fills a directory, which is made where it is missing; one that was made for nothing is removed again. */
async function inDirectory<Made>(dir: string, fill: () => Promise<Made>): Promise<Made> {
  const made = makeDirectory(dir);
  try {
    return await fill();
  } catch (error) {
    if (made) rmdirSync(dir);
    throw error;
  }
}

/** Whether it was missing. */
function makeDirectory(dir: string): boolean {
  try {
    return mkdirSync(dir, { recursive: true, mode: 0o700 }) !== undefined;
  } catch (error) {
    throw new Failure(`cannot make ${dir}: ${reasonOf(error)}`);
  }
}
