// `factory serve`: the line's signing service, until it is told to stop.

import { resolve } from 'node:path';
import { factoryData, factoryDirOf } from './at-factory.ts';
import { command } from './command.ts';
import { Failure } from './failure.ts';
import { repeated, text, wholeNumber } from './parameters.ts';
import { untilStopped } from './until-stopped.ts';

const largestPort = 65_535;

export const factoryServe = command({
  words: 'factory serve',
  about: "Run the line's signing service: EST and POST /sign over HTTPS.",
  more: [
    "Settings come from fleetroot.toml in the factory's directory, then from FLEETROOT_… variables, then from options.",
    'Stations trust it by station-ca.crt in that directory.',
  ],
  options: {
    ...factoryData,
    port: wholeNumber('8444', 'where stations connect', 0, largestPort),
    address: repeated(
      text('ADDRESS', 'an IP address to listen on, 127.0.0.1 if none is given; several times for several'),
    ),
    config: text('FILE', "another configuration file than fleetroot.toml in the factory's directory"),
  },
  common: [],
  call: async (given, { env, terminal }) => {
    const stopped = untilStopped(terminal);
    // Loaded here, since no other command needs the service's code.
    const { loadConfig } = await import('../config.ts');
    const { openLog } = await import('../log.ts');
    const { openFactory } = await import('../factory/factory.ts');
    const { takeCommands } = await import('../factory/control.ts');
    const { startService } = await import('../factory/service/service.ts');
    const config = loadConfig({
      dataDir: factoryDirOf(given, env),
      configFile: given.config === undefined ? null : resolve(given.config),
      options: {
        'factory.port': given.port,
        'factory.address': given.address.length > 0 ? given.address : undefined,
      },
      env,
    });
    await using factory = await openFactory(config, { log: openLog(config.log.level) });
    await using service = await startService(factory);
    await using _commands = await takeCommands(factory);
    const urls = service.at.map(
      ({ address, port }) => `https://${address.includes(':') ? `[${address}]` : address}:${port}`,
    );
    terminal.out(
      `Serving ${config.dataDir}\n` +
        `  stations: ${urls.join(', ')}, trusted by station-ca.crt there\n` +
        `  EST:      ${urls[0]}/.well-known/est/ORDER\n` +
        `  health:   ${urls[0]}/healthz and /readyz\n` +
        `Ready. Ctrl-C (SIGINT) or SIGTERM ends it in order.\n`,
    );
    const failure = await Promise.race([stopped, factory.failed]);
    if (failure) throw new Failure(`the service cannot go on: ${failure.message}`, null, { cause: failure });
  },
  print: () => ({ out: '' }),
});
