// Custody: what is done with the keys that the server holds as a whole.

import { RotatedSchema } from './schemas.ts';
import { rule } from './rule.ts';
import type { Api } from './typed-api.ts';

/** What the server offers here of what operators may not import. */
export interface Custody {
  /**
   * Puts everything that is sealed under a new master key. Throws `conflict` where that is under way or no next key is
   * configured, and `custody_unavailable`.
   */
  rotateMasterKey(): Promise<RotatedMasterKey>;
}

/** What a rotation has done. */
export interface RotatedMasterKey {
  /** How many sealed values lie under the new master key: all there are. */
  readonly values: number;
  /** Where the new master key is, in words. */
  readonly place: string;
  /** The setting that is to take the place of the one before it, where the server could not put the key there itself. */
  readonly setting: string | null;
}

/** Adds the routes of custody. */
export function custodyRoutes(api: Api, custody: Custody): void {
  api.post(
    '/custody/rotate-master',
    { ...rule('rotateMasterKey', 'administrator'), schema: { response: { 200: RotatedSchema } } },
    async () => custody.rotateMasterKey(),
  );
}
