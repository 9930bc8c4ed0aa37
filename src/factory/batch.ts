// A batch at the factory: whose it is, its requests in portions, each answered by itself, and its end.

import { randomUUID } from 'node:crypto';
import { Problem, type ProblemCode } from '../problem.ts';
import { faultOfDeviceId } from '../provisioning/device-id.ts';
import { certificateToPem, parseCertificate } from '../x509/certificate.ts';
import {
  type CertificationRequest,
  CertificationRequestError,
  readRequestFile,
} from '../x509/certification-request.ts';
import { firstCommonName } from '../x509/name.ts';
import { enroll } from './enrolment.ts';
import { type Factory, readyLine } from './factory.ts';
import type { BatchCounts, BegunBatch } from './records/batches.ts';
import { stationByName, stationsOf } from './records/stations.ts';
import type { Station } from './records/tables.ts';
import { orderByName } from './records/orders.ts';

/** What came of one request. What is null there is none of, or nothing to read it from. */
export type BatchAnswer =
  | {
      readonly outcome: 'issued' | 'same';
      readonly device_id: string;
      readonly tbs_sha256: string;
      /** PEM of the leaf, and of the line's CA behind it. */
      readonly certificates: string;
    }
  | {
      readonly outcome: 'refused';
      readonly device_id: string | null;
      readonly code: ProblemCode;
      readonly sentence: string;
      readonly hint: string | null;
    };

/** A station as a batch may be of it, with the key (SubjectPublicKeyInfo, DER, base64) of those that have one. */
export type BatchStation = Pick<Station, 'name' | 'public_key'>;

/** Requests of a portion that are in work at once: so many share a commit. */
const atOnce = 64;

export const batchActions = {
  /** The stations that a batch may be of: the one that is named, or all. Throws Problem. */
  async batchStations(factory: Factory, { station }: { station: string | null }): Promise<BatchStation[]> {
    const all =
      station === null
        ? (await stationsOf(factory.records.read)).filter(({ removed_at }) => removed_at === null)
        : [await presentStation(factory, station)];
    if (all.length > 0) return all.map(({ name, public_key }) => ({ name, public_key }));
    throw new Problem('not_found', 'There is no station that a batch could be of.', '`factory station add` makes one.');
  },

  /** Notes who brings a batch, and of whom. Gives its ID. Throws Problem where it cannot be answered at all. */
  async beginBatch(factory: Factory, batch: Omit<BegunBatch, 'id'>): Promise<string> {
    const { records } = factory;
    await readyLine(factory);
    await presentStation(factory, batch.station);
    if (batch.order !== null && !(await orderByName(records.read, batch.order))) {
      throw new Problem('not_found', `There is no order "${batch.order}".`, '`factory order add` makes one.');
    }
    const id = randomUUID();
    await records.write('noteBatchBegun', { id, ...batch });
    return id;
  },

  /**
   * Answers requests (each a file's octets, base64) in their order. Throws Problem where the factory itself cannot go on:
   * then some may have been made, and are the same when they are asked for again.
   */
  async signBatch(
    factory: Factory,
    { station, order, requests }: { station: string; order: string | null; requests: readonly string[] },
  ): Promise<BatchAnswer[]> {
    const asking = await presentStation(factory, station);
    const answers: BatchAnswer[] = [];
    let next = 0;
    const work = async () => {
      while (next < requests.length) {
        const index = next++;
        try {
          answers[index] = await answer(factory, asking, order, Buffer.from(requests[index]!, 'base64'));
        } catch (error) {
          next = requests.length;
          throw error;
        }
      }
    };
    const ended = await Promise.allSettled(Array.from({ length: atOnce }, work));
    for (const each of ended) if (each.status === 'rejected') throw each.reason;
    return answers;
  },

  /** Notes that every request of a batch has been answered. */
  endBatch: ({ records }: Factory, batch: Pick<BegunBatch, 'id' | 'name'> & BatchCounts) =>
    records.write('noteBatchAnswered', batch),
};

async function presentStation({ records }: Factory, name: string): Promise<Station> {
  const station = await stationByName(records.read, name);
  if (station && station.removed_at === null) return station;
  throw new Problem('not_found', `There is no station "${name}".`, '`factory station list` shows them.');
}

async function answer(factory: Factory, station: Station, order: string | null, octets: Buffer): Promise<BatchAnswer> {
  let request: CertificationRequest | null = null;
  try {
    request = readRequestFile(octets);
    const made = await enroll(factory, { request, station, order, evidence: { kind: 'station' }, shown: null });
    return {
      outcome: made.outcome,
      device_id: made.deviceId,
      tbs_sha256: parseCertificate(made.certificate).tbsSha256,
      certificates: certificateToPem(made.certificate) + certificateToPem(made.line.ca.certificate.der),
    };
  } catch (error) {
    return refused(request, error);
  }
}

/** Throws what is no fault of the request: the batch is to be repeated then, and not to be told that it is refused. */
function refused(request: CertificationRequest | null, error: unknown): BatchAnswer {
  if (error instanceof CertificationRequestError) {
    const { message: sentence } = error;
    return { outcome: 'refused', device_id: null, code: 'invalid_request', sentence, hint: null };
  }
  if (!(error instanceof Problem) || error.status >= 500) throw error;
  const { code, message: sentence, hint } = error;
  const name = request && firstCommonName(request.subject);
  const device_id = name !== null && faultOfDeviceId(name) === null ? name : null;
  return { outcome: 'refused', device_id, code, sentence, hint };
}
