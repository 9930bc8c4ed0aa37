// The operator's own menu: their login, how the console looks to them, the way out.

import { Button, Menu, useMantineColorScheme } from '@mantine/core';
import { IconCheck, IconUser } from '@tabler/icons-react';
import { Link, useLocation } from 'wouter';
import { answerOf, api } from '../api/client.ts';
import { useSession } from '../api/session.tsx';
import { useZone } from '../parts/instant.tsx';
import { texts } from '../texts.ts';

export function OwnMenu() {
  const { session, refresh, signedOut } = useSession();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const [zone, setZone] = useZone();
  const [, go] = useLocation();
  const said = texts.shell;
  const chosen = (is: boolean) => (is ? <IconCheck size={14} aria-hidden /> : null);
  const signOut = async () => {
    await answerOf(api.DELETE('/api/v1/session')).then(signedOut, () => refresh().catch(() => undefined));
    go('/');
  };
  return (
    <Menu position="bottom-end" closeOnItemClick={false}>
      <Menu.Target>
        <Button
          variant="subtle"
          color="gray"
          size="compact-md"
          className="own-menu"
          aria-label={`${said.myLogin}: ${session?.name}`}
        >
          <IconUser size={18} aria-hidden />
          <span className="own-name">{session?.name}</span>
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item component={Link} href="/me" closeMenuOnClick>
          {said.myLogin}
        </Menu.Item>
        <Menu.Label>{said.appearance}</Menu.Label>
        {(
          [
            ['light', said.light],
            ['dark', said.dark],
            ['auto', said.system],
          ] as const
        ).map(([scheme, text]) => (
          <Menu.Item key={scheme} rightSection={chosen(colorScheme === scheme)} onClick={() => setColorScheme(scheme)}>
            {text}
          </Menu.Item>
        ))}
        <Menu.Label>{said.zone}</Menu.Label>
        {(
          [
            ['local', said.zoneLocal],
            ['utc', said.zoneUtc],
          ] as const
        ).map(([which, text]) => (
          <Menu.Item key={which} rightSection={chosen(zone === which)} onClick={() => setZone(which)}>
            {text}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item onClick={() => void signOut()} closeMenuOnClick>
          {said.signOut}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
