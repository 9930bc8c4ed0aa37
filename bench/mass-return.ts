// A fleet that comes back at once: what a core finishes while more devices wait than it can serve.

import { once } from 'node:events';
import net from 'node:net';
import { connect } from 'node:tls';
import type { BenchAccount, Fleetroot } from './fleetroot.ts';
import { Load, type Outcome } from './load.ts';
import { type Contender, measure, print } from './rounds.ts';

/** As many at once as keep a core busy, and five times and a hundred times as many. */
const enough = 32;
const many = [5 * enough, 100 * enough];
/** Connections that strangers begin meanwhile: so many every few milliseconds, each of which gives up after so long. */
const strangers = { count: 20, every: 5, patience: 1_000 };

/**
 * Measures full handshakes with `GET /device` per CPU-second with as many devices at once as a core serves, with more, and
 * with strangers besides who ask for a host of nobody.
 */
export async function benchMassReturn(
  program: string,
  { server, port }: Pick<Fleetroot, 'server' | 'port'>,
  { devices }: BenchAccount,
): Promise<void> {
  using held = new DisposableStack();
  const contender = (atOnce: number): Contender => {
    const load = held.use(new Load(program, port, devices, 'device', atOnce));
    return { name: `${atOnce} devices at once`, server, load: { run: (requests) => servedOf(load.run(requests)) } };
  };
  const usual = contender(enough);
  const impatient = held.use(new Impatient(port, await helloOf('nobody.example')));
  const results = await measure(
    [
      usual,
      ...many.map(contender),
      {
        name: `${enough} devices at once, and ${(1000 / strangers.every) * strangers.count} strangers a second`,
        server,
        load: { run: (requests) => impatient.during(() => usual.load.run(requests)) },
      },
    ],
    { rounds: 5, requests: 3_500 },
  );
  print('A fleet that comes back: GET /device with a full handshake while more wait than can be served', results);
}

/** On a slow core some of thousands give up: what it has finished of the others is what counts. */
async function servedOf(run: Promise<Outcome>): Promise<Outcome> {
  const { requests, errors, seconds } = await run;
  return { requests: requests - errors, errors: 0, seconds };
}

/** Connections that begin and leave, ever more, while something is done. */
class Impatient implements Disposable {
  readonly #port: number;
  readonly #hello: Buffer;
  readonly #open = new Set<net.Socket>();

  constructor(port: number, hello: Buffer) {
    this.#port = port;
    this.#hello = hello;
  }

  /** Has them come while something is done. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    const timer = setInterval(() => {
      for (let n = 0; n < strangers.count; n += 1) this.#come();
    }, strangers.every);
    try {
      return await work();
    } finally {
      clearInterval(timer);
      this[Symbol.dispose]();
    }
  }

  #come(): void {
    const socket = net.connect(this.#port, '127.0.0.1');
    this.#open.add(socket);
    socket.on('error', () => undefined).once('close', () => this.#open.delete(socket));
    socket.write(this.#hello);
    setTimeout(() => socket.resetAndDestroy(), strangers.patience).unref();
  }

  [Symbol.dispose](): void {
    for (const socket of this.#open) socket.destroy();
  }
}

/** A ClientHello for a host. */
async function helloOf(servername: string): Promise<Buffer> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({ host: '127.0.0.1', port: (server.address() as net.AddressInfo).port, servername });
  client.on('error', () => undefined);
  const [accepted] = (await once(server, 'connection')) as [net.Socket];
  const [bytes] = (await once(accepted, 'data')) as [Buffer];
  accepted.destroy();
  client.destroy();
  server.close();
  return bytes;
}
