// What is typed to bring the first device: as docs/quick-start.md has it, for pasting into a shell or a file.

const sotaOfDeviceCredentials = `[tls]
server_url_path = "/var/sota/import/gateway.url"

[import]
base_path = "/var/sota/import"
tls_cacert_path = "root.crt"
tls_clientcert_path = "client.pem"
tls_pkey_path = "pkey.pem"`;

/** Image types that push to an update back end: garage-push stops the build where the archive has nothing for it. */
const treehub = 'treehub.json';
const withoutPush = 'IMAGE_FSTYPES:remove = "ostreepush garagesign garagecheck"';

/** With the shared credentials of a test account. */
export const shared = {
  curl: `unzip -o credentials.zip -d image
url=$(cat image/autoprov.url)
openssl pkcs12 -in image/autoprov_credentials.p12 -passin pass: -nodes -out image/provisioning.pem
curl --cacert image/server_ca.pem --cert image/provisioning.pem -H 'Content-Type: application/json' \\
     -d '{"deviceId":"my-first-device","ttl":"36000"}' "$url/devices" -o device.p12
openssl pkcs12 -in device.p12 -passin pass: -nodes -out device.pem
curl --cacert image/server_ca.pem --cert device.pem "$url/device"`,
  aktualizr: `mkdir device-1
cp credentials.zip device-1/credentials.zip
cat > device-1/sota.toml <<'EOF'
[provision]
provision_path = "credentials.zip"
primary_ecu_hardware_id = "local-fake"

[storage]
path = "storage"

[pacman]
type = "none"
images_path = "storage/images"
EOF
cd device-1 && aktualizr -c sota.toml`,
};

/** With device credentials, of a Fleet Root CA of one's own. */
export const own = {
  root: `mkdir -p pki
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj '/CN=Fleet Root' \\
    -addext 'keyUsage=critical,keyCertSign' -keyout pki/fleet-root.key -out pki/fleet-root.crt`,
  curl: `mkdir -p pki vehicle-1
unzip -p credentials.zip autoprov.url > vehicle-1/gateway.url
unzip -p credentials.zip server_ca.pem > vehicle-1/root.crt
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=vehicle-1' \\
    -keyout vehicle-1/pkey.pem -out pki/vehicle-1.csr
printf 'keyUsage=critical,digitalSignature\\nextendedKeyUsage=critical,clientAuth\\n' > pki/device.ext
openssl x509 -req -in pki/vehicle-1.csr -days 365 -extfile pki/device.ext \\
    -CA pki/fleet-root.crt -CAkey pki/fleet-root.key -CAcreateserial -out vehicle-1/client.pem
curl --cacert vehicle-1/root.crt --cert vehicle-1/client.pem --key vehicle-1/pkey.pem "$(cat vehicle-1/gateway.url)/device"`,
  provider: `aktualizr-cert-provider -c credentials.zip --fleet-ca pki/fleet-root.crt --fleet-ca-key pki/fleet-root.key \\
    --certificate-cn vehicle-1 -l device -r -u`,
  sota: sotaOfDeviceCredentials,
};

/** The lines of conf/local.conf for an archive with these entries. */
export function localConf(kind: 'shared' | 'device', entries: readonly string[]): string {
  return [
    'SOTA_PACKED_CREDENTIALS = "/path/credentials.zip"',
    ...(kind === 'shared'
      ? ['SOTA_CLIENT_PROV = "aktualizr-shared-prov"']
      : ['SOTA_CLIENT_PROV = "aktualizr-device-prov"', 'SOTA_DEPLOY_CREDENTIALS = "0"']),
    ...(pushes(entries) ? [] : [withoutPush]),
  ].join('\n');
}

/** Whether a build with these entries pushes its images to an update back end. */
export const pushes = (entries: readonly string[]): boolean => entries.includes(treehub);
