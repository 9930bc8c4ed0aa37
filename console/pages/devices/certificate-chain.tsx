// The path of a device's present certificate, drawn from the device up to the Fleet Root CA.

import { Alert, Text } from '@mantine/core';
import { IconArrowDown } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { useFleetRootCas } from '../../api/queries.ts';
import { Asked } from '../../parts/asked.tsx';
import { type CertificateFields, certificatePath } from '../../parts/certificate.ts';
import { CertificateCard, useCertificates } from '../../parts/certificate-card.tsx';
import { StateBadge } from '../../parts/state-badge.tsx';
import { texts } from '../../texts.ts';
import type { Device, OfDevice } from './device.tsx';

/** Which certificate a device is known by: the present one, or the one that waits, or the last that it had. */
function presentOf({ certificates }: Device) {
  const by = (state: string) => certificates.find((each) => each.state === state);
  return by('current') ?? by('pending') ?? certificates.toSorted((a, b) => b.not_before.localeCompare(a.not_before))[0];
}

export function CertificateChain({ account, device }: OfDevice) {
  const present = presentOf(device);
  if (!present) return <Text size="sm">{texts.device.noCertificate}</Text>;
  return <Chain account={account} device={device} pem={present.certificate} state={present.state} />;
}

function Chain({ account, device, pem, state }: OfDevice & { pem: string; state: string }) {
  const said = texts.device;
  const roots = useFleetRootCas(account);
  const own = roots.data?.find(({ id }) => id === device.fleet_root_ca);
  // Those of its own Fleet Root CA first: others may have the same names.
  const all = [...(own ? [own] : []), ...(roots.data ?? []).filter((root) => root !== own)];
  const leaf = useCertificates(pem);
  const known = useCertificates(all.flatMap((root) => root.certificates.map((each) => each.certificate)).join('\n'));
  const rootOf = ({ sha256 }: CertificateFields) =>
    all.find((root) => root.certificates.some((each) => each.sha256 === sha256 && each.role === 'anchor'));
  return (
    <Asked query={leaf}>
      {([first]) => {
        if (!first) return <Text size="sm">{said.noCertificate}</Text>;
        const path = certificatePath(first, known.data ?? []);
        const last = path.at(-1)!;
        const whole = known.data === undefined || last.subjectDer === last.issuerDer || rootOf(last) !== undefined;
        // What lies between is not known here; where it led to is.
        const end = whole ? undefined : known.data?.find((each) => rootOf(each) === own);
        return (
          <ol className="certificate-chain" aria-label={said.chain}>
            {path.map((link, at) => {
              const root = rootOf(link);
              return (
                <Link key={link.sha256} first={at === 0}>
                  <CertificateCard
                    certificate={link}
                    title={at === 0 ? said.linkDevice : root ? said.linkRoot(root.name) : said.linkIntermediate}
                    badge={at === 0 ? <StateBadge state={state} /> : root && <StateBadge state={root.state} />}
                  />
                </Link>
              );
            })}
            {!whole && (
              <Link>
                <Alert color="gray" variant="outline" title={said.gap(last.issuer)}>
                  {said.gapText(device.fleet_root_ca_name)}
                </Alert>
              </Link>
            )}
            {end && own && (
              <Link>
                <CertificateCard
                  certificate={end}
                  title={said.linkRoot(own.name)}
                  badge={<StateBadge state={own.state} />}
                />
              </Link>
            )}
          </ol>
        );
      }}
    </Asked>
  );
}

/** One of the path: an arrow leads to it from what it has signed. */
function Link({ first = false, children }: { first?: boolean; children: ReactNode }) {
  return (
    <li>
      {!first && (
        <>
          <IconArrowDown className="chain-arrow" aria-hidden />
          <span className="visually-hidden">{texts.device.signedBy}</span>
        </>
      )}
      {children}
    </li>
  );
}
