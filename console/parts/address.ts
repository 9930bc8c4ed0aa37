// Filters live in the address: what is looked at can be sent to a colleague, and the way back works.

import { useSearchParams } from 'wouter';

/** A member of the address's query, and how to set it; null takes it away. Setting it adds no step to the history. */
export function useAddress(name: string): [string | null, (value: string | null) => void] {
  const [params, setParams] = useSearchParams();
  const set = (value: string | null): void =>
    setParams(
      (before) => {
        const after = new URLSearchParams(before);
        if (value === null || value === '') after.delete(name);
        else after.set(name, value);
        return after;
      },
      { replace: true },
    );
  return [params.get(name), set];
}
