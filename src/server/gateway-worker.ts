// A gateway process: one of several that share the gateway's ports. The control process starts it, and ends it.

import type { Gateway } from '../gateway/listener.ts';
import { openLog } from '../log.ts';
import { Metrics } from '../metrics.ts';
import type { ReadinessFault } from '../operator/readiness.ts';
import { createOutbound } from '../outbound.ts';
import { TrustFile } from '../provisioning/trust-file.ts';
import type { Outcome } from '../registry/commit-thread.ts';
import { failureOf, type ForwardedWrite } from '../registry/forwarding-store.ts';
import type { LetIn } from '../custody/beside-custodian.ts';
import { keyFaults } from './custodians.ts';
import { followMasterKey } from './master-key.ts';
import { ProcessChannel } from './process-channel.ts';
import { openGateway, openServing, type Serving } from './serving.ts';
import type { Answers, FromWorker, Start, ToWorker } from './worker-messages.ts';
import { openWorkerRegistry, type WorkerRegistry } from './worker-registry.ts';

/** While it serves. */
interface Opened extends AsyncDisposable {
  readonly serving: Serving;
  readonly gateway: Gateway;
  readonly followRotation: () => Promise<void>;
}

const channel = new ProcessChannel<FromWorker>(process);

/** The process, once it is told what to serve. */
class GatewayWorker {
  readonly #metrics: Metrics;
  readonly #trustFile: TrustFile;
  readonly #registry: Promise<WorkerRegistry>;
  readonly #opened: Promise<Opened>;
  /** Writes that the control process has not answered yet. */
  readonly #asked = new Map<number, (outcome: Outcome) => void>();
  #lastAsked = 0;
  #letIn: LetIn;
  /** What listeners have begun for the changes so far. */
  #acting: Promise<unknown> = Promise.resolve();

  constructor(start: Start) {
    const { config, instance, pins, accounts } = start;
    const metrics = new Metrics({ accounts: config.metrics.accounts });
    this.#metrics = metrics;
    this.#letIn = new Set(start.letIn);
    void metrics.accounts.rank(accounts);
    const found = (account_id: string) => channel.send({ kind: 'owner', account_id });
    this.#trustFile = TrustFile.follow(config.dataDir, pins, found);
    const forward = (write: ForwardedWrite) => this.#forward(write);
    const onFailure = (error: Error) => {
      throw error;
    };
    const own = { instance, number: start.number, clock: Date.now, onFailure, metrics };
    this.#registry = openWorkerRegistry(config, { ...own, forward });
    this.#opened = this.#open(start);
    this.#opened.then(
      ({ gateway }) => channel.send({ kind: 'listening', ports: gateway.ports }),
      (error: unknown) => channel.send({ kind: 'failed', failure: failureOf(error) }),
    );
  }

  async #open({ config, number, ports }: Start): Promise<Opened> {
    await using opened = new AsyncDisposableStack();
    const metrics = this.#metrics;
    const log = openLog(config.log.level).child({ worker: number });
    const { registry } = await this.#registry;
    opened.use(registry);
    const { seal, next: followRotation } = await followMasterKey(config, registry);
    const serving: Serving = opened.use(
      openServing(config, {
        registry,
        seal,
        trustFile: this.#trustFile,
        outbound: createOutbound(config.outbound.allow),
        metrics,
        log,
        clock: Date.now,
        letIn: () => this.#letIn,
        // What is due when a custodian is back is the control process's to do.
        onWell: () => {},
        port: () => gateway.ports[0] ?? 0,
      }),
    );
    const gateway: Gateway = opened.use(openGateway(config, serving.provisioning, { shared: ports, log, metrics }));
    await gateway.listen();
    const all = opened.move();
    return { serving, gateway, followRotation, [Symbol.asyncDispose]: () => all.disposeAsync() };
  }

  #forward(write: ForwardedWrite): Promise<Outcome> {
    const id = (this.#lastAsked += 1);
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    this.#asked.set(id, resolve);
    channel.send({ kind: 'write', id, write });
    return promise;
  }

  /** Does what the control process says, as far as what it says next is to wait for that. */
  async take(message: ToWorker): Promise<void> {
    switch (message.kind) {
      case 'start':
        return;
      case 'changes':
        return this.#hear(message);
      case 'answer':
        this.#asked.get(message.id)?.(message.outcome);
        this.#asked.delete(message.id);
        return;
      case 'pin':
        this.#trustFile.learn(message.account_id, message.pin);
        return;
      case 'accounts':
        return this.#metrics.accounts.rank(message.accounts);
      case 'letIn':
        this.#letIn = new Set(message.custodians);
        return;
      case 'ask':
        void this.#answer(message);
        return;
      case 'drain':
        this.#opened.then(({ gateway }) => gateway.drain()).catch(() => undefined);
        return;
      case 'end':
        void this.#end();
    }
  }

  /** A listener that throws may still act on what is no longer so: that ends the process (below), and another takes its place. */
  async #hear({ number, changes }: Extract<ToWorker, { kind: 'changes' }>): Promise<void> {
    const { hear } = await this.#registry;
    const acting = hear(changes);
    channel.send({ kind: 'heard', number });
    this.#acting = Promise.all([this.#acting, acting]).then(() => channel.send({ kind: 'acted', number }));
  }

  async #answer({ id, what }: Extract<ToWorker, { kind: 'ask' }>): Promise<void> {
    const outcome = await this.#answerTo(what).then(
      (value) => ({ value }),
      (error: unknown) => failureOf(error),
    );
    channel.send({ kind: 'answer', id, outcome });
  }

  async #answerTo(what: keyof Answers): Promise<Answers[keyof Answers]> {
    switch (what) {
      case 'metrics':
        return this.#metrics.snapshot();
      case 'faults':
        return this.#faults();
      case 'nextMasterKey':
        await (await this.#opened).followRotation();
        return null;
    }
  }

  async #faults(): Promise<ReadinessFault[]> {
    const { provisioning } = (await this.#opened).serving;
    return keyFaults(provisioning.issuer, provisioning.clock());
  }

  async #end(): Promise<void> {
    const opened = await this.#opened.catch(() => null);
    await opened?.gateway.finish();
    await opened?.[Symbol.asyncDispose]();
    process.exit(0);
  }
}

let worker: GatewayWorker | null = null;
let taken: Promise<void> = Promise.resolve();

process.on('message', (messages: ToWorker[]) => {
  taken = taken.then(async () => {
    for (const message of messages) {
      if (message.kind === 'start') worker = new GatewayWorker(message);
      else await worker?.take(message);
    }
  });
});

// Signals that a terminal or systemd sends to the whole group are the control process's to act on.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
// Without the process that writes, and that tells what has changed, nobody can be served truly.
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));

channel.send({ kind: 'loaded' });
