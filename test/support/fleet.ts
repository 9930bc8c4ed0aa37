// An account whose devices come with certificates of their own PKI: what its operator and its devices do.

import assert from 'node:assert/strict';
import { eventually } from './eventually.ts';
import type { Fleetroot } from './fleetroot.ts';
import type { Answer, CallOptions, Image } from './image.ts';
import type { Outcome } from './process.ts';
import type { Ca, Credentials } from './pki.ts';

/** The words of `device …` that name one device and nothing else. */
type DeviceAction = 'show' | 'approve' | 'reject' | 'suspend' | 'resume' | 'revoke' | 'delete';

/** An account and its image. Members named like commands run them, and give their `--json`. */
export class Fleet {
  readonly fleetroot: Fleetroot;
  readonly account: string;
  readonly image: Image;

  private constructor(fleetroot: Fleetroot, account: string, image: Image) {
    this.fleetroot = fleetroot;
    this.account = account;
    this.image = image;
  }

  /** Makes a production account (or a test account) that trusts these CAs. */
  static async open(fleetroot: Fleetroot, account: string, ...cas: readonly Ca[]): Promise<Fleet> {
    return Fleet.#open(fleetroot, account, 'production', cas);
  }

  static async openTest(fleetroot: Fleetroot, account: string, ...cas: readonly Ca[]): Promise<Fleet> {
    return Fleet.#open(fleetroot, account, 'test', cas);
  }

  /** Makes a production account whose owner has the other half of this key; what is registered waits for a signature. */
  static async openOwned(
    fleetroot: Fleetroot,
    account: string,
    ownerKey: string,
    ...cas: readonly Ca[]
  ): Promise<Fleet> {
    return Fleet.#open(fleetroot, account, 'production', cas, '--owner-key', ownerKey);
  }

  static async #open(
    fleetroot: Fleetroot,
    account: string,
    kind: string,
    cas: readonly Ca[],
    ...options: readonly string[]
  ): Promise<Fleet> {
    await fleetroot.json('account', 'create', account, '--kind', kind, ...options);
    const fleet = new Fleet(fleetroot, account, await fleetroot.image(account));
    for (const ca of cas) await fleet.register(ca);
    return fleet;
  }

  /** An account that is there, on whatever server. */
  static async at(fleetroot: Fleetroot, account: string): Promise<Fleet> {
    return new Fleet(fleetroot, account, await fleetroot.image(account));
  }

  /** The same account after a restart, which has moved it to another port. */
  async reopened(): Promise<Fleet> {
    return new Fleet(this.fleetroot, this.account, await this.fleetroot.image(this.account));
  }

  /** `GET /device` with these credentials. */
  connect({ certificate, key }: Credentials, options?: CallOptions): Promise<Answer> {
    return this.image.withCertificate(certificate, key).whoAmI(options);
  }

  /**
   * Asks `explain`, then connects: both must say the same. Gives `in`, or the code of the refusal. What `explain` said
   * before must be what the gateway does after, whatever the story around it.
   */
  async arrive(credentials: Credentials, options?: CallOptions): Promise<string> {
    const explained = await this.explain(credentials);
    const answer = await this.connect(credentials, options);
    assert.equal(answer.curl, 0, 'the gateway answered');
    assert.equal(explained.admitted, answer.status === 200, `explain: ${explained.code}, gateway: ${answer.body}`);
    if (answer.status === 200) {
      assert.equal(explained.device_id, answer.json.device_id);
      return 'in';
    }
    assert.deepEqual([explained.code, untimed(explained.rule)], [answer.json.code, untimed(answer.json.description)]);
    return answer.json.code;
  }

  /** `explain`; its exit code must fit what it says. */
  async explain({ certificate }: Pick<Credentials, 'certificate'>): Promise<any> {
    const { code, stdout, stderr } = await this.fleetroot.command('explain', this.account, certificate, '--json');
    assert.ok(code === 0 || code === 1, stderr);
    const explanation = JSON.parse(stdout);
    assert.equal(code, explanation.admitted ? 0 : 1);
    return explanation;
  }

  register({ certificate }: Pick<Credentials, 'certificate'>, ...options: string[]): Promise<any> {
    return this.fleetroot.json('fleet-root', 'register', this.account, certificate, ...options);
  }

  /** Registers what must be refused. */
  async registerRefused(file: string, ...options: string[]): Promise<Omit<Outcome, 'bytes'>> {
    const outcome = await this.fleetroot.command('fleet-root', 'register', this.account, file, ...options);
    assert.equal(outcome.code, 1, outcome.stdout);
    return outcome;
  }

  /** `fleet-root WORD ACCOUNT …`. */
  fleetRoot(word: string, ...rest: string[]): Promise<any> {
    return this.fleetroot.json('fleet-root', word, this.account, ...rest);
  }

  /** `device WORD ACCOUNT DEVICE`. */
  device(word: DeviceAction, device: string): Promise<any> {
    return this.fleetroot.json('device', word, this.account, device, '--yes');
  }

  /** `device list ACCOUNT …`. */
  devices(...options: string[]): Promise<any[]> {
    return this.fleetroot.json('device', 'list', this.account, ...options);
  }

  set(...options: string[]): Promise<any> {
    return this.fleetroot.json('account', 'set', this.account, ...options);
  }

  /** The refusal that the list comes to show, found by a member or two of it. */
  refusal(wanted: { code?: string; device_id?: string | null; count?: number }): Promise<any> {
    return eventually(async () => {
      const refusals = await this.fleetroot.json('refusal', 'list', this.account);
      const fits = (refusal: Record<string, unknown>): boolean =>
        Object.entries(wanted).every(([member, value]) => refusal[member] === value);
      return refusals.find(fits) ?? null;
    });
  }
}

/** A sentence without the instants in it. */
function untimed(sentence: string): string {
  return sentence.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'then');
}
