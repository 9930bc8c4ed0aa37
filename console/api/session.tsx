// Who is signed in, and what they may do: by the roles that the API's own description names.

import { type QueryClient, useQuery, useQueryClient } from '@tanstack/react-query';
import { createContext, type ReactNode, useContext, useEffect, useState } from 'react';
import { type Answer, api, lastUsed, onLackOfRight, Refused } from './client.ts';
import type { operations } from './generated/openapi.d.ts';
import roles from './generated/roles.json';

export interface Session extends Answer<'getSession'> {
  /** How long it lasts after it was used (`lastUsed`), in milliseconds; null for what is no session. */
  readonly lasts: number | null;
}
export type OperationName = keyof operations & keyof typeof roles;

interface SignedIn {
  /** Null while nobody is signed in; undefined until that is known. */
  readonly session: Session | null | undefined;
  /** Whether it ended while it was in use: whoever signs in again goes on where they were. */
  readonly ended: boolean;
  /** Why it is not known who is signed in. */
  readonly error: Error | null;
  /** To be called after a sign-in, and where it is not known who is signed in. */
  readonly refresh: () => Promise<void>;
  /** To be called after a sign-out. */
  readonly signedOut: () => void;
}

const SessionContext = createContext<SignedIn | null>(null);
const key = ['session'];

async function ask(): Promise<Session | null> {
  try {
    const { data, response } = await api.GET('/api/v1/session');
    const { expires_at } = data!;
    // By the server's clock alone: the browser's may be another.
    const now = Date.parse(response.headers.get('date') ?? new Date().toISOString());
    // Nobody may have been there for this call.
    const unused = Date.now() - lastUsed();
    return { ...data!, lasts: expires_at === null ? null : Date.parse(expires_at) - now + unused };
  } catch (error) {
    if (error instanceof Refused && error.code === 'unauthenticated') return null;
    throw error;
  }
}

/** What one operator has seen or typed is not there for the next: nothing that the API said, and no secret, is kept. */
function forget(client: QueryClient): void {
  client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== key[0] });
  client.getMutationCache().clear();
}

/** Asks who is signed in, and notices when a session ends. */
export function SessionProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [ended, setEnded] = useState(false);
  const { data, error } = useQuery({
    queryKey: key,
    queryFn: async () => {
      const before = client.getQueryData<Session | null>(key);
      const now = await ask();
      // It has ended unasked: the page stays, beneath the dialog that the watchers below have shown.
      if (before && now === null) return before;
      if (before && before.id !== now?.id) forget(client);
      return now;
    },
    staleTime: Number.POSITIVE_INFINITY,
    // Another tab may have signed somebody else in.
    refetchOnWindowFocus: 'always',
  });
  useEffect(
    () =>
      onLackOfRight((code) => {
        if (code === 'unauthenticated') setEnded(client.getQueryData<Session | null>(key) != null);
        // What is shown is what the operator may do: they may do less than before.
        else void client.invalidateQueries({ queryKey: key }, { cancelRefetch: false });
      }),
    [client],
  );
  const refresh = async () => {
    const before = client.getQueryData<Session | null>(key);
    const now = await ask();
    if (before?.id !== now?.id) forget(client);
    client.setQueryData(key, now);
    setEnded(false);
    await client.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== key[0] });
  };
  // Nothing is asked any more: a refusal that is on its way is no end of a session.
  const signedOut = () => {
    client.setQueryData(key, null);
    forget(client);
    setEnded(false);
  };
  return <SessionContext value={{ session: data, ended, error, refresh, signedOut }}>{children}</SessionContext>;
}

/** Who is signed in, wherever in the console. */
export function useSession(): SignedIn {
  const found = useContext(SessionContext);
  if (found === null) throw new Error('There is no SessionProvider around this.');
  return found;
}

/** Whether the operator who is signed in may call an operation, in an account where it has one (its name or ID). */
export function useMay(): (operation: OperationName, account?: string) => boolean {
  const { session } = useSession();
  return (operation, account) => {
    if (session == null) return false;
    const allowed: readonly string[] = roles[operation];
    if (session.administrator || allowed.includes('signed-in') || allowed.includes('anyone')) return true;
    return session.roles.some(
      ({ account: id, account_name, role }) => (account === id || account === account_name) && allowed.includes(role),
    );
  };
}
