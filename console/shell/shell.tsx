// What stands around every page: where one is, where one can go, whether what one sees is live, and who one is.

import { AppShell, Burger, Group, NavLink, ScrollArea, Select, Text } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { type KeyboardEvent, type ReactNode, useRef, useState } from 'react';
import { Link, useLocation } from 'wouter';
import { useAccountNames } from '../api/queries.ts';
import { type OperationName, useMay, useSession } from '../api/session.tsx';
import { PagesOf } from '../parts/page.tsx';
import { texts } from '../texts.ts';
import { LiveSign } from './live-sign.tsx';
import { OwnMenu } from './own-menu.tsx';

/** The pages of an account that its navigation leads to, each with what its reader has to be allowed. */
const accountLinks = [
  ['', texts.shell.pages.overview, 'countDevices'],
  ['/devices', texts.shell.pages.devices, 'listDevices'],
  ['/pending', texts.shell.pages.pending, 'approveDevice'],
  ['/refusals', texts.shell.pages.refusals, 'listRefusals'],
  ['/explain', texts.shell.pages.explain, 'explain'],
  ['/credentials', texts.shell.pages.credentials, 'listProvisioningKeys'],
  ['/fleet-root-cas', texts.shell.pages.fleetRootCas, 'listFleetRootCas'],
  ['/factory', texts.shell.pages.factory, 'listFactoryLines'],
  ['/settings', texts.shell.pages.settings, 'getAccount'],
  ['/operators', texts.shell.pages.operators, 'listAccountOperators'],
  ['/tokens', texts.shell.pages.tokens, 'listAccountTokens'],
  ['/webhooks', texts.shell.pages.webhooks, 'listWebhooks'],
  ['/audit', texts.shell.pages.audit, 'listAccountAudit'],
] as const satisfies readonly (readonly [string, string, OperationName])[];

const serverLinks = [
  ['/accounts', texts.shell.accounts, 'listAccounts'],
  ['/server/operators', texts.shell.pages.operators, 'listOperators'],
  ['/server/tokens', texts.shell.pages.tokens, 'listTokens'],
  ['/server/webhooks', texts.shell.pages.webhooks, 'listServerWebhooks'],
  ['/server/audit', texts.shell.pages.audit, 'listAudit'],
  ['/server/custody', texts.shell.pages.custody, 'listKeys'],
] as const satisfies readonly (readonly [string, string, OperationName])[];

/** Where the menu lies over the page: below Mantine's `md`. */
const narrowScreen = '(max-width: 61.99em)';

/** `account` is whose pages these are; null for the server's. */
export function Shell({ account, children }: { account: string | null; children: ReactNode }) {
  const [location, go] = useLocation();
  // The menu of a narrow screen is open on the page that it was opened on.
  const [openedAt, setOpenedAt] = useState<string | null>(null);
  const opened = openedAt === location;
  const burger = useRef<HTMLButtonElement>(null);
  const narrow = useMediaQuery(narrowScreen, false, { getInitialValueInEffect: false });
  const closeByEscape = ({ key }: KeyboardEvent): void => {
    if (key !== 'Escape' || !opened || !narrow) return;
    setOpenedAt(null);
    burger.current?.focus();
  };
  const { session } = useSession();
  const accounts = useAccountNames();
  const may = useMay();
  const ofAccount = accountLinks.filter(([, , operation]) => account !== null && may(operation, account));
  const ofServer = session?.administrator
    ? serverLinks.filter(([, , operation]) => may(operation))
    : serverLinks.slice(0, 1);
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 232, breakpoint: 'md', collapsed: { mobile: !opened } }}
      padding="md"
    >
      <a href="#content" className="skip-link">
        {texts.shell.skip}
      </a>
      <AppShell.Header>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger
              ref={burger}
              opened={opened}
              onClick={() => setOpenedAt(opened ? null : location)}
              onKeyDown={closeByEscape}
              hiddenFrom="md"
              size="sm"
              aria-label={texts.shell.menu}
              aria-expanded={opened}
            />
            <Text component={Link} href="/" fw={700} c="inherit" td="none" visibleFrom="xs">
              Fleetroot
            </Text>
            <Select
              aria-label={texts.shell.account}
              placeholder={texts.shell.account}
              data={accounts.data?.map(({ name }) => name) ?? []}
              value={account}
              onChange={(name) => name !== null && go(`/accounts/${name}`)}
              searchable
              allowDeselect={false}
              maw={220}
            />
          </Group>
          <Group gap="sm" wrap="nowrap">
            <LiveSign />
            <OwnMenu />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar
        p="sm"
        component="nav"
        aria-label={texts.shell.navigation}
        // Nothing has the focus that is not seen.
        inert={narrow && !opened}
        onKeyDown={closeByEscape}
      >
        <AppShell.Section grow component={ScrollArea}>
          <div role="group" aria-label={account ?? texts.shell.account}>
            {ofAccount.map(([path, text]) => {
              const href = `/accounts/${account}${path}`;
              const active = path === '' ? location === href : location === href || location.startsWith(`${href}/`);
              return (
                <NavLink
                  key={path}
                  component={Link}
                  href={href}
                  label={text}
                  active={active}
                  aria-current={active ? 'page' : undefined}
                />
              );
            })}
          </div>
          {ofAccount.length > 0 && (
            <Text size="xs" c="dimmed" px="sm" pt="md" pb={4} aria-hidden>
              {texts.shell.server}
            </Text>
          )}
          <div role="group" aria-label={texts.shell.server}>
            {ofServer.map(([href, text]) => (
              <NavLink
                key={href}
                component={Link}
                href={href}
                label={text}
                active={location === href}
                aria-current={location === href ? 'page' : undefined}
              />
            ))}
          </div>
        </AppShell.Section>
      </AppShell.Navbar>
      <AppShell.Main id="content" inert={narrow && opened}>
        <PagesOf value={account}>{children}</PagesOf>
      </AppShell.Main>
    </AppShell>
  );
}
