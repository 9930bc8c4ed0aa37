// Histories that grow with time, divided by days where the database can do so: a day that is old goes whole, at no cost by its rows.

/** A table whose rows have a number and an instant. */
export type History = 'events';

/** What a write has to do with the days of a history; instants in milliseconds since 1970, days those of UTC. */
export interface HistoryDays {
  /** The table that has the rows of days which have none of their own. */
  rest(history: History): string;
  /** Makes the days from an instant to another that are not there; one of which the rest has rows stays there. */
  make(history: History, span: { readonly from: number; readonly to: number }): Promise<void>;
  /**
   * Takes the oldest day away where it ended before an instant, and remembers the last number of each account in it. Gives
   * whether it did.
   */
  dropOldest(history: History, before: number): Promise<boolean>;
}

/** Where the rows of a history lie whose day has no table of its own. */
export function restOf(history: History): string {
  return `${history}_rest`;
}
