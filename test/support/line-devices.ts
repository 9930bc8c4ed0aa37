// Devices of a factory line: made by its core in the test's own process, or with its key past it.

import { writeFile } from 'node:fs/promises';
import { run } from '../../src/cli/program.ts';
import { ownerNamed, readyLine } from '../../src/factory/factory.ts';
import type { Factory } from '../../src/factory/factory.ts';
import { enroll } from '../../src/factory/enrolment.ts';
import { actions } from '../../src/factory/actions.ts';
import { certificateToPem } from '../../src/x509/certificate.ts';
import { readRequestFile } from '../../src/x509/certification-request.ts';
import { stationByName } from '../../src/factory/records/stations.ts';
import { type KeyPair, newKey } from './certificate-maker.ts';
import { requestFor } from './factory-batch.ts';
import type { TestLine } from './factory.ts';
import type { Credentials } from './pki.ts';

const year = 365 * 24 * 60 * 60 * 1000;
const station = 'station-1';

/** `factory export` in the test's own process, on a line whose directory is open in no other; gives its `--json`. */
export async function exportManifest(
  line: TestLine,
  ...options: string[]
): Promise<{ file: string; since: number; last: number; made: number; withdrawn: number }> {
  const file = line.file(`manifest-${crypto.randomUUID()}.jws`);
  let stdout = '';
  let stderr = '';
  const words = ['factory', 'export', '-o', file, '--json', '--data', line.dir, ...options];
  const code = await run(
    words,
    {},
    {
      out: (content) => void (stdout += String(content)),
      err: (text) => void (stderr += text),
      ask: async () => null,
      askSecret: async () => null,
    },
  );
  if (code !== 0) throw new Error(`fleetroot ${words.join(' ')} ended with ${code}:\n${stderr}`);
  return JSON.parse(stdout);
}

/** A line at work on one order: its directory is open until it is disposed of. */
export class LineDevices implements AsyncDisposable {
  readonly factory: Factory;
  readonly #line: TestLine;
  #files = 0;

  private constructor(factory: Factory, line: TestLine) {
    this.factory = factory;
    this.#line = line;
  }

  /** Opens a line, with a window for an order; one that is open already where the order is null. */
  static async open(
    line: TestLine,
    {
      order = 'order-1',
      batch = null,
      clock,
    }: { order?: string | null; batch?: string | null; clock?: () => number } = {},
  ): Promise<LineDevices> {
    const factory = await line.open(clock ? { clock } : {});
    if (!(await stationByName(factory.records.read, station))) {
      await actions.addStation(factory, { name: station, networks: [], address: null, proof: { kind: 'password' } });
    }
    if (order !== null) {
      await actions.openWindow(factory, { order, quota: 1_000_000, lasts: '30d', station: null, batch, proof: null });
    }
    return new LineDevices(factory, line);
  }

  /** A device that the line makes: the leaf alone. */
  async make(deviceId: string, key: KeyPair = newKey()): Promise<Credentials> {
    const request = readRequestFile(Buffer.from(requestFor(deviceId, key)));
    const asking = (await stationByName(this.factory.records.read, station))!;
    const made = await enroll(this.factory, {
      request,
      station: asking,
      order: null,
      evidence: { kind: 'station' },
      shown: null,
    });
    return this.#write(made.certificate, key);
  }

  /** One that somebody makes with the line's own key, past its service. */
  async steal(deviceId: string, key: KeyPair = newKey()): Promise<Credentials> {
    const { maker, clock } = this.factory;
    const { ca, line } = await readyLine(this.factory);
    const prepared = maker.prepare({
      profile: 'line_device',
      account: ownerNamed(line.name),
      ca,
      publicKey: key.spki,
      deviceId,
      notAfter: clock() + year,
    });
    return this.#write(await maker.issue(prepared), key);
  }

  /** The certificate (PEM) of the line's CA, which a device may send with its own. */
  async caCertificate(): Promise<string> {
    return certificateToPem((await readyLine(this.factory)).ca.certificate.der);
  }

  /** Withdraws the certificate of a device. */
  async rework(device_id: string): Promise<void> {
    await actions.rework(this.factory, { device_id });
  }

  async #write(der: Uint8Array, { privateKey }: KeyPair): Promise<Credentials> {
    this.#files += 1;
    const certificate = this.#line.file(`device-${this.#files}-${crypto.randomUUID()}.crt`);
    const key = certificate.replace(/crt$/, 'key');
    await writeFile(certificate, certificateToPem(der));
    await writeFile(key, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    return { certificate, key };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.factory[Symbol.asyncDispose]();
  }
}
