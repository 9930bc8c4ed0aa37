// A change of a Fleet Root CA that may shut devices out: what it would break first, then its name is typed.

import { Destructive } from '../../parts/destructive.tsx';
import { texts } from '../../texts.ts';
import { type Change, type FleetRootCa, make, weigh } from './changes.ts';

const said = texts.fleetRootCas;

/** `onDone` is told what was done, in a sentence. */
export function ChangeRoot({
  account,
  ca,
  change,
  onDone,
  onClose,
}: {
  account: string;
  ca: FleetRootCa;
  change: Change;
  onDone: (what: string) => void;
  onClose: () => void;
}) {
  const { is } = change;
  return (
    <Destructive
      title={is === 'successor' ? said.successorTitle(change.successor.name, ca.name) : said.titles[is](ca.name)}
      about={said.abouts[is]}
      typed={ca.name}
      preview={() => weigh(account, ca.id, change)}
      act={(confirm) => make(account, ca.id, change, confirm)}
      onDone={() => onDone(said.dones[is](ca.name))}
      onClose={onClose}
    />
  );
}
