// What a Yocto build needs in conf/local.conf to use a credentials.zip (read in meta-updater's classes).

/** The names of what the archive decides. */
const treehub = 'treehub.json';
const sharedCredentials = 'autoprov_credentials.p12';

/**
 * The exact lines for an archive that lies at `file` (absolute path) and holds `entries`. Without `treehub.json` the
 * image types that push to an update back end are taken out: garage-push stops the build where it is missing.
 */
export function localConf(file: string, entries: readonly string[]): string[] {
  return [
    `SOTA_PACKED_CREDENTIALS = "${file}"`,
    ...(entries.includes(sharedCredentials)
      ? ['SOTA_CLIENT_PROV = "aktualizr-shared-prov"']
      : ['SOTA_CLIENT_PROV = "aktualizr-device-prov"', 'SOTA_DEPLOY_CREDENTIALS = "0"']),
    ...(entries.includes(treehub) ? [] : ['IMAGE_FSTYPES:remove = "ostreepush garagesign garagecheck"']),
  ];
}
