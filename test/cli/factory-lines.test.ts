import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { test } from 'node:test';
import { Openssl } from '../support/openssl.ts';
import { temporaryDirectory } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { tell } from '../support/transcript.ts';

test(
  'a Fleet Root under a passphrase, a line, a mandate and another one: the whole way at the command line',
  { skip: needs('openssl') },
  async () => {
    await using desk = await temporaryDirectory();
    const [root, line] = [desk.file('root'), desk.file('line')];
    await tell(
      `
    $ printf 'short\\nshort\\n' | fleetroot factory root create ${root} --name Acme
    ! error: a passphrase has 16 to 1024 characters: nothing was done
    [1]

    $ printf 'correct horse battery\\ncorrect horse battery\\n' | fleetroot factory root create ${root} --name Acme
    organisation  Acme
    subject  CN=Fleet Root CA …,O=Acme
    sha-256  …
    key  p384, in software
    valid until  …

    ${root}/root.crt is written: register it with your server, …
    On each line: …
    Back up this directory, and keep the passphrase apart from it: …

    $ echo 'wrong horse battery' | fleetroot factory root create ${root}
    ! error: The passphrase is not the one of the keys here.
    ! hint: …
    [1]

    $ echo 'correct horse battery' | fleetroot factory root create ${root}
    ! error: This directory has a Fleet Root already, that of "Acme".
    ! hint: …\`factory root show\`…
    [1]

    $ fleetroot factory line request --name line-1 --site Graz --data ${line} -o request.pem
    line  line-1
    site  Graz
    key  p256, in software
    key SHA-256  …
    CA  -
    ...
    Where the Fleet Root is: …

    $ fleetroot factory line request --name line-1 --data ${line} -o again.pem --json | grep new_key
    "new_key": false,

    $ for f in request again; do openssl req -in $f.pem -noout -verify -pubkey 2>/dev/null; done | grep -v '^-' | sort | uniq -c | grep -c ' 2 '
    2

    $ fleetroot factory mandate list --data ${line}
    ! The Fleet Root has given this line no mandate yet: …

    $ echo 'correct horse battery' | fleetroot factory root sign-line request.pem --data ${root} --quota 20 --until 2020-12-31 --device-id-pattern 'vin-.*' -o line-1.bundle
    ! error: --until: "2020-12-31" has passed
    ! usage: …
    ! hint: …
    [2]

    $ echo 'correct horse battery' | fleetroot factory root sign-line request.pem --data ${root} --quota 20 --until 2050-12-31 --device-id-pattern 'vin-.*' -o line-1.bundle
    line  line-1
    site  Graz
    key SHA-256  …
    CA SHA-256  …
    CA  new, until …
    this mandate  20 device(s) until 2050-12-31T23:59:59.000Z
    all its mandates  20 device(s)

    ${desk.path}/line-1.bundle is written. On the line: \`fleetroot factory line accept FILE\`.

    $ fleetroot factory line accept line-1.bundle --data ${line} --root-sha256 $(openssl x509 -in ${root}/root.crt -noout -fingerprint -sha256 | cut -d= -f2)
    line  line-1
    ...
    Fleet Root  CN=Fleet Root CA …,O=Acme
    Fleet Root SHA-256  …

    The line line-1 may make 20 more device(s) until 2050-12-31T23:59:59.000Z, with device IDs like vin-.*.

    $ fleetroot factory line accept line-1.bundle --data ${line}
    ! error: This mandate was brought before (entry 4 of the log): it counts once.
    ! hint: …
    [1]

    $ (umask 077; echo 'correct horse battery' >passphrase); fleetroot factory root sign-line again.pem --data ${root} --passphrase-file passphrase --quota 5 --until 90d --device-id-pattern 'vin-.*' --order o-1 -o more.bundle | grep '^CA  \\|all'
    CA  the same as before, until …
    all its mandates  25 device(s)

    $ fleetroot factory line accept more.bundle --data ${line} --json | grep '"left"'
    "left": 5,

    $ fleetroot factory mandate list --data ${line}
    MANDATE  STATE  QUOTA  USED  LEFT  UNTIL  DEVICE IDS  ORDER
    …  active  5  0  5  …  vin-.*  o-1
    …  active  20  0  20  2050-12-31T23:59:59.000Z  vin-.*  any

    $ fleetroot factory root list --data ${root} --passphrase-file passphrase
    LINE  SITE  QUOTA  MANDATES  CA UNTIL  KEY SHA-256
    line-1  Graz  25  2  …

    LINE  QUOTA  UNTIL  DEVICE IDS  ORDER  SIGNED  MANDATE
    line-1  20  2050-12-31T23:59:59.000Z  vin-.*  any  …
    line-1  5  …  vin-.*  o-1  …

    $ fleetroot factory root show --data ${root} --passphrase-file passphrase -o copy.crt >/dev/null && cmp copy.crt ${root}/root.crt
    `,
      { cwd: desk.path, data: line },
    );
    for (const dir of [root, line]) assert.equal((await stat(dir)).mode & 0o777, 0o700);
    // What crosses on a stick tells nobody a secret; the passphrase is in no file of the root's.
    using openssl = new Openssl();
    openssl.run(`openssl verify -x509_strict -CAfile ${root}/root.crt ${desk.file('line-1.bundle')}`);
    assert.doesNotMatch(await readFile(desk.file('line-1.bundle'), 'latin1'), /PRIVATE/);
    for (const file of ['factory.db', 'root.crt']) {
      assert.doesNotMatch(await readFile(`${root}/${file}`, 'latin1'), /correct horse/);
    }
  },
);
