// `serve`: the server, until it is told to stop.

import { flushCompileCache } from 'node:module';
import { resolve } from 'node:path';
import { command } from './command.ts';
import { Failure } from './failure.ts';
import { repeated, text, wholeNumber } from './parameters.ts';
import { untilStopped } from './until-stopped.ts';

const largestPort = 65_535;

export const serve = command({
  words: 'serve',
  about: 'Run the server on a data directory, which is made where it is not there.',
  more: [
    'Settings come from fleetroot.toml in the data directory, then from FLEETROOT_… variables, then from options.',
  ],
  options: {
    'gateway-port': repeated(
      wholeNumber('8443', 'where devices connect; several times for several ports', 0, largestPort),
    ),
    'operator-port': wholeNumber('8080', 'where operators connect: HTTPS, and HTTP on loopback', 0, largestPort),
    'gateway-domain': text('gateway.localhost', 'accounts are reached under it, at <uuid>.<domain>'),
    'public-port': wholeNumber(
      'N',
      'the gateway port that clients are told, where it is not the first',
      1,
      largestPort,
    ),
    workers: wholeNumber('N', 'processes that serve devices, as many as there are cores if not given', 1, 1_024),
    config: text('FILE', 'another configuration file than fleetroot.toml in the data directory'),
  },
  common: ['data'],
  call: async (given, { dataDir, env, terminal }) => {
    let drain = 0;
    const stopped = untilStopped(terminal, () => drain);
    // Loaded here, since no other command needs the server's code.
    const { loadConfig } = await import('../config.ts');
    const { openLog } = await import('../log.ts');
    const { startServer } = await import('../server.ts');
    const config = loadConfig({
      dataDir,
      configFile: given.config === undefined ? null : resolve(given.config),
      options: {
        'gateway.port': given['gateway-port'].length > 0 ? given['gateway-port'] : undefined,
        'gateway.domain': given['gateway-domain'],
        'gateway.public_port': given['public-port'],
        'gateway.workers': given.workers,
        'operator.port': given['operator-port'],
      },
      env,
    });
    drain = config.gateway.drain;
    await using server = await startServer(config, { log: openLog(config.log.level) });
    terminal.out(
      `Serving ${config.dataDir}\n` +
        `  devices: port ${server.gatewayPorts.join(', ')}, at https://<account's UUID>.${config.gateway.domain}\n` +
        `  health:  http://127.0.0.1:${server.operatorPort}/healthz and /readyz\n` +
        `  people:  ${server.operatorUrl}, its CA in operator-ca.crt there unless you gave a certificate\n` +
        `Ready. Ctrl-C (SIGINT) or SIGTERM ends it in order.\n`,
    );
    if (server.firstAdministratorUrl !== null) {
      terminal.err(
        'Nobody administers this server yet. Within 15 minutes, once, this link makes the first administrator:\n' +
          `  ${server.firstAdministratorUrl}\n`,
      );
    }
    // Else only a server that ends in order leaves what Node has compiled to the next one.
    flushCompileCache();
    const failure = await Promise.race([stopped, server.failed]);
    if (failure) throw new Failure(`the server cannot go on: ${failure.message}`, null, { cause: failure });
    await server.drain();
  },
  print: () => ({ out: '' }),
});
