// What is to be asked for again after an account itself was changed.

import { useQueryClient } from '@tanstack/react-query';

export function useAccountChanged(account: string): () => void {
  const client = useQueryClient();
  return () => {
    for (const part of ['account', 'upstreams', 'devices', 'counts'])
      void client.invalidateQueries({ queryKey: [account, part] });
  };
}
