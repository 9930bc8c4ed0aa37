// The guide's highest method on one page: a root offline, a line, 20 devices, a manifest, a server, and the account of it.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { FactoryProcess } from '../support/factory-service.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { temporaryDirectory } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { tell } from '../support/transcript.ts';

test(
  'from a root that has never seen a network to a server that knows of every device whether the factory made it',
  { skip: needs('openssl', 'curl', 'unzip') },
  async () => {
    await using desk = await temporaryDirectory();
    await using fleetroot = await Fleetroot.start();
    const say = (transcript: string) => tell(transcript, { cwd: desk.path, data: fleetroot.dir });
    await mkdir(desk.file('d'));

    // Somewhere without a network, and on the line; between them a stick.
    await say(`
      $ printf 'correct horse battery\\ncorrect horse battery\\n' | fleetroot factory root create root --name Acme | head -3
      organisation  Acme
      subject  CN=Fleet Root CA …,O=Acme
      sha-256  …
      $ fleetroot factory line request --data line --name line-1 --site leipzig -o line-1.pem >/dev/null
      $ openssl req -in line-1.pem -noout -verify 2>&1
      Certificate request self-signature verify OK
      $ printf 'correct horse battery\\n' | fleetroot factory root sign-line line-1.pem --data root --quota 20 --until 90d --device-id-pattern 'ecu-[0-9]{4}' -o line-1.bundle | tail -1
      …line-1.bundle is written. On the line: \`fleetroot factory line accept FILE\`.
      $ fleetroot factory line accept line-1.bundle --data line 2>/dev/null | grep site
      site  leipzig
    `);

    await using service = await FactoryProcess.start(desk.file('line'));
    const sign = `curl -sS --cacert station/station-ca.crt --cert station/station.crt --key station/station.key`;
    const make = `openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes 2>/dev/null`;
    await say(`
      $ fleetroot factory station add end-of-line --data line -o station >/dev/null
      $ ${make} -subj /CN=ecu-0001 -keyout d/1.key -out d/1.csr
      $ ${sign} --data-binary @d/1.csr ${service.url}/sign
      {"code":"window_closed",…}
      $ fleetroot factory window open --order PO-7 --quota 100 --for 8h --data line 2>/dev/null | grep -c open
      1
      $ for n in $(seq 20); do id=$(printf 'ecu-%04d' $n); test -e d/$n.key || ${make} -subj /CN=$id -keyout d/$n.key -out d/$n.csr; ${sign} -f --data-binary @d/$n.csr ${service.url}/sign -o d/$n.pem || exit; openssl x509 -in d/$n.pem -out d/$n.crt; done
      $ openssl x509 -in d/20.crt -noout -subject -ext keyUsage,extendedKeyUsage
      subject=CN = ecu-0020
      X509v3 Key Usage: critical
      Digital Signature
      X509v3 Extended Key Usage:
      TLS Web Client Authentication
      $ ${sign} --data-binary @d/1.csr ${service.url}/sign | cmp - d/1.pem
      $ ${make} -subj /CN=ecu-0021 -keyout d/21.key -out d/21.csr; ${sign} --data-binary @d/21.csr ${service.url}/sign
      {"code":"quota_exhausted",…}
      $ fleetroot factory export --data line -o manifest >/dev/null
    `);

    // Across the gap, once.
    const device = `curl -sS --cacert image/server_ca.pem`;
    await say(`
      $ fleetroot account create acme --kind production >/dev/null 2>&1
      $ fleetroot fleet-root register acme root/root.crt >/dev/null 2>&1
      $ fleetroot credentials create acme -o credentials.zip >/dev/null 2>&1; unzip -q credentials.zip -d image
      $ ${device} --cert d/1.crt --key d/1.key $(cat image/autoprov.url)/device
      {"code":"certificate_untrusted",…}
      $ fleetroot manifest import acme manifest >/dev/null 2>&1
      $ fleetroot fleet-root set acme $(fleetroot fleet-root list acme --json | grep -o '"id": "[^"]*' | cut -c8-) --admit manifest >/dev/null 2>&1
      $ for n in $(seq 19); do ${device} -f --cert d/$n.crt --key d/$n.key $(cat image/autoprov.url)/device -o d/$n.json || exit; done; grep -l '"state":"active"' d/*.json | wc -l
      19
    `);

    // Somebody has had the line's directory for a minute.
    await say(`
      $ cp -r line stolen; rm -f stolen/*.sock
      $ ${make} -subj /CN=ecu-0815 -keyout d/s.key -out d/s.csr
      $ openssl pkey -in d/s.key -pubout -out d/s.pub; "$NODE" "$(dirname "$MAIN")/demo/thief.ts" stolen ecu-0815 "$(cat d/s.pub)" > d/s.crt
      $ openssl verify -CAfile root/root.crt -untrusted d/1.pem d/s.crt
      d/s.crt: OK
      $ ${device} --cert d/s.crt --key d/s.key $(cat image/autoprov.url)/device
      {"code":"certificate_not_in_manifest",…}
    `);

    // It may stand in the next manifest: there it does not, so it was never made there.
    await say(`
      $ fleetroot factory export --data line -o next >/dev/null && fleetroot manifest import acme next >/dev/null 2>&1
    `);
    // Made and seen, made and never seen, and never made.
    const sums = await eventually(async () => {
      const found = JSON.parse((await fleetroot.command('manifest', 'reconcile', 'acme', '--json')).stdout);
      return found.strangers.count === 0 ? null : found;
    });
    assert.deepEqual([sums.made, sums.seen, sums.withdrawn], [20, 19, 0]);
    assert.deepEqual(
      sums.never_seen.first.map((one: { device_id: string }) => one.device_id),
      ['ecu-0020'],
    );
    assert.deepEqual(
      sums.strangers.first.map((one: { device_id: string }) => one.device_id),
      ['ecu-0815'],
    );
    const overview = await fleetroot.command('account', 'show', 'acme');
    assert.match(overview.stdout, /factory lines +20 made, 19 seen, 1 STRANGER/);
  },
);
