// A program that has a line's directory open and certifies what it is sent, to be killed: the core of the service, and no more.

import { loadConfig } from '../../src/config.ts';
import { openFactory } from '../../src/factory/factory.ts';
import { openLog } from '../../src/log.ts';
import { Problem } from '../../src/problem.ts';
import { ask, stationNamed } from './factory-enrolment.ts';

/** A request as it is sent, PEM, and its number. */
export interface Wanted {
  readonly number: number;
  readonly request: string;
}

/** The certificate, DER in Base64, once it is recorded; or what it was refused with. */
export type Given = { readonly number: number } & ({ readonly certificate: string } | { readonly refused: string });

const [dataDir, station] = process.argv.slice(2) as [string, string];
const factory = await openFactory(loadConfig({ dataDir, env: {} }), { log: openLog('silent') });
const line = { factory, station: await stationNamed(factory, station) };
process.on('message', ({ number, request }: Wanted) => {
  ask(line, { request }).then(
    ({ certificate }) => process.send?.({ number, certificate: certificate.toString('base64') } satisfies Given),
    (error: unknown) => {
      const refused = error instanceof Problem ? error.code : String(error);
      process.send?.({ number, refused } satisfies Given);
    },
  );
});
process.on('disconnect', () => void factory[Symbol.asyncDispose]());
process.send?.('open');
