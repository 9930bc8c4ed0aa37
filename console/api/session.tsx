// Who is signed in, and what they may do: by the roles that the API's own description names.

import { useQuery, useQueryClient } from '@tanstack/react-query';
import { createContext, type ReactNode, useContext, useEffect, useState } from 'react';
import { type Answer, answerOf, api, onSessionEnd, Refused } from './client.ts';
import type { operations } from './generated/openapi.d.ts';
import roles from './generated/roles.json';

export type Session = Answer<'getSession'>;
export type OperationName = keyof operations & keyof typeof roles;

interface SignedIn {
  /** Null while nobody is signed in; undefined until that is known. */
  readonly session: Session | null | undefined;
  /** Whether it ended while it was in use: whoever signs in again goes on where they were. */
  readonly ended: boolean;
  /** Why it is not known who is signed in. */
  readonly error: Error | null;
  /** To be called after a sign-in or sign-out. */
  readonly refresh: () => Promise<void>;
}

const SessionContext = createContext<SignedIn | null>(null);
const key = ['session'];

/** Asks who is signed in, and notices when a session ends. */
export function SessionProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [ended, setEnded] = useState(false);
  const { data, error } = useQuery({
    queryKey: key,
    queryFn: () =>
      answerOf(api.GET('/api/v1/session')).catch((error: unknown) => {
        if (error instanceof Refused && error.code === 'unauthenticated') return null;
        throw error;
      }),
    staleTime: Number.POSITIVE_INFINITY,
  });
  useEffect(() => onSessionEnd(() => setEnded(client.getQueryData<Session | null>(key) != null)), [client]);
  const refresh = async () => {
    setEnded(false);
    await client.invalidateQueries();
  };
  return <SessionContext value={{ session: data, ended, error, refresh }}>{children}</SessionContext>;
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
