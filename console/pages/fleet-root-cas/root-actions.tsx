// What can be done to a Fleet Root CA, by whoever may: each thing that shuts devices out is weighed before it is done.

import { Button, Menu } from '@mantine/core';
import { IconChevronDown } from '@tabler/icons-react';
import { useState } from 'react';
import { answerOf, api, fileBody } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { texts } from '../../texts.ts';
import { CertificateFile } from './certificate-file.tsx';
import { ChangeRoot } from './change-root.tsx';
import type { Change, FleetRootCa } from './changes.ts';
import { ChooseSuccessor } from './choose-successor.tsx';
import { ExportKey } from './export-key.tsx';

const said = texts.fleetRootCas;

type Open = Change | { readonly is: 'choose-successor' | 'export' | 'intermediates' };

interface OfRoot {
  readonly account: string;
  readonly ca: FleetRootCa;
  readonly all: readonly FleetRootCa[];
  /** Whether its key is here and may be given out. */
  readonly exportable: boolean;
  readonly onDone: (what: string) => void;
}

export function RootActions({ account, ca, all, exportable, onDone }: OfRoot) {
  const may = useMay();
  const [open, setOpen] = useState<Open | null>(null);
  const close = () => setOpen(null);
  const offered = (
    [
      ['intermediates', may('addIntermediates', account) && ca.state !== 'disabled'],
      ['choose-successor', may('setFleetRootCaSuccessor', account) && all.length > 1],
      ['manifest', may('updateFleetRootCa', account) && ca.admit === 'chain'],
      ['chain', may('updateFleetRootCa', account) && ca.admit === 'manifest'],
      ['export', may('exportFleetRootCaKey', account) && exportable],
      ['activate', may('activateFleetRootCa', account) && ca.state !== 'active'],
      ['close', may('closeFleetRootCa', account) && ca.state !== 'closed'],
      ['disable', may('disableFleetRootCa', account) && ca.state !== 'disabled'],
    ] as const
  ).flatMap(([is, offers]) => (offers ? [is] : []));
  if (offered.length === 0) return null;
  return (
    <>
      <Menu position="bottom-end">
        <Menu.Target>
          <Button
            variant="default"
            rightSection={<IconChevronDown size={16} aria-hidden />}
            aria-label={said.changeNamed(ca.name)}
          >
            {said.change}
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {offered.map((is) => (
            <Menu.Item key={is} onClick={() => setOpen({ is })}>
              {said.actions[is]}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      {open !== null && (
        <Act account={account} ca={ca} all={all} open={open} onOpen={setOpen} onDone={onDone} onClose={close} />
      )}
    </>
  );
}

/** The dialog of what was chosen. */
function Act({
  account,
  ca,
  all,
  open,
  onOpen,
  onDone,
  onClose,
}: Omit<OfRoot, 'exportable'> & { open: Open; onOpen: (open: Open) => void; onClose: () => void }) {
  switch (open.is) {
    case 'intermediates':
      return (
        <CertificateFile
          title={said.intermediatesOf(ca.name)}
          about={said.intermediatesAbout}
          label={said.intermediatesDrop}
          action={said.intermediatesNow}
          give={async ({ bytes }) => {
            const before = ca.certificates.length;
            const { certificates } = await answerOf(
              api.POST('/api/v1/accounts/{account}/fleet-root-cas/{ca}/intermediates', {
                params: { path: { account, ca: ca.id } },
                ...fileBody(bytes),
              }),
            );
            onDone(said.intermediatesAdded(certificates.length - before, ca.name));
            onClose();
          }}
          onClose={onClose}
        />
      );
    case 'choose-successor':
      return (
        <ChooseSuccessor
          ca={ca}
          all={all}
          onChosen={(successor) => onOpen({ is: 'successor', successor })}
          onClose={onClose}
        />
      );
    case 'export':
      return (
        <ExportKey
          name={ca.name}
          about={said.exportAbout}
          give={(passphrase) =>
            answerOf(
              api.POST('/api/v1/accounts/{account}/fleet-root-cas/{ca}/export', {
                params: { path: { account, ca: ca.id } },
                body: { passphrase },
              }),
            )
          }
          onClose={onClose}
        />
      );
    default:
      return <ChangeRoot account={account} ca={ca} change={open} onDone={onDone} onClose={onClose} />;
  }
}
