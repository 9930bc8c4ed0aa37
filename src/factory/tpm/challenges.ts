// Challenges that TPMs have to answer: kept in memory until they are answered or end, each for one key and one station.

import { timingSafeEqual } from 'node:crypto';

import { Problem } from '../../problem.ts';
import { Secret } from '../../secret.ts';

/** How long there is to answer one, in milliseconds. */
export const challengeLifetime = 5 * 60_000;
/** Of one station at once, answered ones included; its oldest make room. No station takes another's room. */
export const mostOfStation = 1_000;

const secretSize = 32;
const idSize = 16;

/** What a challenge is for; it proves nothing of anything else. */
export interface Subject {
  /** The station that asked, by its ID. */
  readonly station: string;
  readonly order: string;
  readonly deviceId: string;
  /** SHA-256 of the public key of the request, hex. */
  readonly publicKeySha256: string;
  /** SHA-256 of the endorsement key and of its certificate's TBSCertificate, and the device key's Name, all hex. */
  readonly ekSha256: string;
  readonly ekCertificateTbsSha256: string;
  readonly name: string;
  /** The request itself (DER), which is answered when the proof holds. */
  readonly request: Buffer;
}

/** A challenge that was just made; `secret` is for the TPM alone. Times are ms since 1970. */
export interface Challenge {
  readonly id: string;
  readonly secret: Secret;
  readonly endsAt: number;
}

interface Entry {
  readonly subject: Subject;
  readonly secret: Secret;
  readonly endsAt: number;
  answered: boolean;
}

const refused = (message: string): Problem =>
  new Problem('tpm_proof_refused', message, 'Ask for a challenge anew, and answer that one.');

/**
 * The challenges of one process. They are not kept on the disk: after a restart, the device asks again. `random` gives so
 * many octets that nobody can foresee.
 */
export class Challenges {
  readonly #random: (octets: number) => Buffer;
  /** By station, and then by ID: the oldest first. */
  readonly #open = new Map<string, Map<string, Entry>>();

  constructor(random: (octets: number) => Buffer) {
    this.#random = random;
  }

  /** Makes one. The caller wipes nothing: the secret lives as long as the challenge. */
  make(subject: Subject, now: number): Challenge {
    this.#forgetEnded(now);
    const own = this.#open.get(subject.station) ?? new Map<string, Entry>();
    this.#open.set(subject.station, own);
    for (const [id, { secret }] of own) {
      if (own.size < mostOfStation) break;
      secret.wipe();
      own.delete(id);
    }
    const id = this.#random(idSize).toString('base64url');
    const secret = new Secret(this.#random(secretSize));
    const endsAt = now + challengeLifetime;
    own.set(id, { subject, secret, endsAt, answered: false });
    return { id, secret, endsAt };
  }

  /**
   * Takes the answer of a station, once, right or wrong, and gives what it proves. Throws Problem `tpm_proof_refused` with
   * the sentence that says why it proves nothing.
   */
  take(id: string, answer: Buffer, station: string, now: number): Subject {
    const entry = this.#open.get(station)?.get(id);
    if (entry === undefined) {
      const another = [...this.#open.values()].some((challenges) => challenges.has(id));
      throw refused(
        another
          ? 'The challenge is that of another station.'
          : 'There is no such challenge: it ended long ago, or the service was started since.',
      );
    }
    if (entry.answered) throw refused('The challenge was answered before, and each is taken once.');
    if (now >= entry.endsAt) throw refused(`The challenge ended at ${new Date(entry.endsAt).toISOString()}.`);
    entry.answered = true;
    using secret = entry.secret;
    const expected = secret.reveal();
    if (answer.length !== expected.length || !timingSafeEqual(answer, expected)) {
      throw refused('The answer is not the secret that was in the challenge.');
    }
    return entry.subject;
  }

  /** Forgets those that ended a lifetime ago: until then, each is told that it has ended. */
  #forgetEnded(now: number): void {
    for (const [station, challenges] of this.#open) {
      for (const [id, { endsAt, secret }] of challenges) {
        if (now < endsAt + challengeLifetime) break;
        secret.wipe();
        challenges.delete(id);
      }
      if (challenges.size === 0) this.#open.delete(station);
    }
  }
}
