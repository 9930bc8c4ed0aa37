// Names and values beside each other, one under the other where the screen is narrow.

import type { ReactNode } from 'react';
import './settings.css';

export function Facts({ of }: { of: Readonly<Record<string, ReactNode>> }) {
  return (
    <dl className="settings-facts">
      {Object.entries(of).map(([name, value]) => (
        <div key={name} className="settings-fact">
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
