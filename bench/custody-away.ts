// What a custodian that hangs costs devices that have certificates: the gateway's handshakes beside those with one that is well.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OpenBao } from '../test/support/openbao.ts';
import { vaultAccess } from '../test/support/vault.ts';
import { Fleetroot } from './fleetroot.ts';
import { Load } from './load.ts';
import { measure, print } from './rounds.ts';

const devices = 50;

/** Measures two servers by turns, each with all its CAs in an OpenBao of its own, of which one has been stopped. */
export async function benchCustodyAway(program: string, dir: string): Promise<void> {
  await using held = new AsyncDisposableStack();
  const contender = async (name: string, isWell: boolean) => {
    const bao = held.use(await OpenBao.dev());
    const { options } = await vaultAccess(bao);
    const data = join(dir, isWell ? 'custody-well' : 'custody-hangs');
    mkdirSync(data);
    const settings = Object.entries({ ...options, 'custody.default': 'vault' });
    const lines = settings.map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
    writeFileSync(join(data, 'fleetroot.toml'), lines.join(''));
    const fleetroot = held.use(await Fleetroot.start(data));
    const [account] = await fleetroot.fill(1, devices);
    if (!isWell) bao.hang();
    return {
      name,
      server: fleetroot.server,
      load: held.use(new Load(program, fleetroot.port, account!.devices, 'device')),
    };
  };
  const contenders = [await contender('OpenBao is well', true), await contender('OpenBao hangs', false)];
  print('GET /device, keys in OpenBao', await measure(contenders, { rounds: 9, requests: 2500 }));
}
