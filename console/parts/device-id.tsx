// A device ID, drawn so that two that differ do not look the same.

import { Badge } from '@mantine/core';
import { texts } from '../texts.ts';
import { foreignLetters, isPlain, type Sign, signsOf } from './drawn.ts';
import './device-id.css';

/** The ID in a monospace font: letters that are not ASCII are underlined, and what stands for a character is set off. */
export function DeviceId({ id }: { id: string }) {
  return <span className="mono device-id">{isPlain(id) ? id : signsOf(id).map(Drawn)}</span>;
}

function Drawn({ character, drawn, foreign }: Sign, at: number) {
  if (!foreign && drawn === character) return character;
  return (
    <span key={at} className={foreign ? 'foreign-letter' : 'stand-in'}>
      {drawn}
    </span>
  );
}

/** Says which letters of an ID are not ASCII; nothing where all are. */
export function ForeignLetters({ id }: { id: string }) {
  const letters = foreignLetters(id);
  return letters.length === 0 ? null : (
    <Badge color="red" variant="outline" h="auto" className="foreign-letters">
      {texts.foreignLetters(letters)}
    </Badge>
  );
}
