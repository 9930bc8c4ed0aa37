// Which page an address leads to. Each page is loaded when it is first shown.

import { Center, Loader } from '@mantine/core';
import { type ComponentType, lazy, Suspense } from 'react';
import { Redirect, Route, Switch } from 'wouter';
import { useAccountNames } from './api/queries.ts';
import { useSession } from './api/session.tsx';
import { LiveProvider } from './live/live.tsx';
import { Asked } from './parts/asked.tsx';
import { Failure } from './parts/failure.tsx';
import { SessionEnded } from './pages/login/session-ended.tsx';
import { SignIn } from './pages/login/sign-in.tsx';
import { NotFound } from './shell/not-found.tsx';
import { SessionEnding } from './shell/session-ending.tsx';
import { Shell } from './shell/shell.tsx';
import { texts } from './texts.ts';

/** What a page of an account is given. */
export interface OfAccount {
  readonly account: string;
}
type AccountPage = () => Promise<{ default: ComponentType<OfAccount> }>;
type PlainPage = () => Promise<{ default: ComponentType }>;

/** The pages of an account, by what follows its name in the address. */
const accountPages: readonly (readonly [string, ComponentType<OfAccount>])[] = (
  [
    ['', async () => ({ default: (await import('./pages/overview/overview.tsx')).Overview })],
    ['/devices', async () => ({ default: (await import('./pages/devices/device-list.tsx')).DeviceList })],
    ['/devices/:device', async () => ({ default: (await import('./pages/devices/device.tsx')).DevicePage })],
    ['/pending', async () => ({ default: (await import('./pages/pending/pending.tsx')).Pending })],
    ['/refusals', async () => ({ default: (await import('./pages/refusals/refusals.tsx')).Refusals })],
    ['/explain', async () => ({ default: (await import('./pages/refusals/explain.tsx')).Explain })],
    ['/credentials', async () => ({ default: (await import('./pages/credentials/credentials.tsx')).Credentials })],
    [
      '/fleet-root-cas',
      async () => ({ default: (await import('./pages/fleet-root-cas/fleet-root-cas.tsx')).FleetRootCas }),
    ],
    ['/factory', async () => ({ default: (await import('./pages/factory/factory.tsx')).Factory })],
    ['/settings', async () => ({ default: (await import('./pages/settings/settings.tsx')).Settings })],
    ['/operators', async () => ({ default: (await import('./pages/operators/members.tsx')).Members })],
    ['/tokens', async () => ({ default: (await import('./pages/tokens/tokens.tsx')).Tokens })],
    ['/webhooks', async () => ({ default: (await import('./pages/webhooks/webhooks.tsx')).Webhooks })],
    ['/audit', async () => ({ default: (await import('./pages/audit/audit.tsx')).Audit })],
  ] satisfies [string, AccountPage][]
).map(([path, load]) => [path, lazy(load as AccountPage)]);

/** What is a page of an account, and of the whole server where that is null. */
const ofServer =
  (Of: ComponentType<{ account: null }>): ComponentType =>
  () => <Of account={null} />;

/** The pages of the server, and of the operator's own login. */
const plainPages: readonly (readonly [string, ComponentType])[] = (
  [
    ['/accounts', async () => ({ default: (await import('./pages/accounts/accounts.tsx')).Accounts })],
    ['/me', async () => ({ default: (await import('./pages/login/my-login.tsx')).MyLogin })],
    ['/server/operators', async () => ({ default: (await import('./pages/operators/operators.tsx')).Operators })],
    ['/server/tokens', async () => ({ default: ofServer((await import('./pages/tokens/tokens.tsx')).Tokens) })],
    ['/server/webhooks', async () => ({ default: ofServer((await import('./pages/webhooks/webhooks.tsx')).Webhooks) })],
    ['/server/audit', async () => ({ default: ofServer((await import('./pages/audit/audit.tsx')).Audit) })],
    ['/server/custody', async () => ({ default: (await import('./pages/custody/custody.tsx')).Custody })],
  ] satisfies [string, PlainPage][]
).map(([path, load]) => [path, lazy<ComponentType>(load)]);

const FirstAdministrator = lazy(async () => ({
  default: (await import('./pages/first-start/first-administrator.tsx')).FirstAdministrator,
}));
const FirstDevice = lazy(async () => ({ default: (await import('./pages/first-start/first-device.tsx')).FirstDevice }));
const Invitation = lazy(async () => ({ default: (await import('./pages/login/invitation.tsx')).Invitation }));

const waiting = (
  <Center p="xl" role="status" data-asking>
    <span className="visually-hidden">{texts.common.loading}</span>
    <Loader />
  </Center>
);

export function App() {
  const { session, ended, error } = useSession();
  return (
    <Suspense fallback={waiting}>
      <Switch>
        <Route path="/first-administrator" component={FirstAdministrator} />
        <Route path="/invitation" component={Invitation} />
        <Route>
          {session === undefined && (error === null ? waiting : <Failure error={error} title={texts.common.notRead} />)}
          {session === null && <SignIn />}
          {/* Of the next operator nothing stands that another has typed or been told. */}
          {session != null && <SignedInPages key={session.id} />}
          {ended && session != null && <SessionEnded />}
          <SessionEnding />
        </Route>
      </Switch>
    </Suspense>
  );
}

/** The shell and the stream stay while one goes from page to page of an account. */
function SignedInPages() {
  return (
    <Switch>
      <Route path="/">
        <Home />
      </Route>
      <Route path="/accounts/:account/*?">
        {({ account }) => (
          <LiveProvider key={account} account={account}>
            <Shell account={account}>
              <Suspense fallback={waiting}>
                <Switch>
                  {accountPages.map(([path, Component]) => (
                    <Route key={path} path={`/accounts/:account${path}`}>
                      <Component key={account} account={account} />
                    </Route>
                  ))}
                  <Route component={NotFound} />
                </Switch>
              </Suspense>
            </Shell>
          </LiveProvider>
        )}
      </Route>
      <Route path="/welcome/:account">
        {({ account }) => (
          <LiveProvider key={account} account={account}>
            <Shell account={null}>
              <Suspense fallback={waiting}>
                <FirstDevice />
              </Suspense>
            </Shell>
          </LiveProvider>
        )}
      </Route>
      <Route>
        <LiveProvider account={null}>
          <Shell account={null}>
            <Suspense fallback={waiting}>
              <Switch>
                {plainPages.map(([path, Component]) => (
                  <Route key={path} path={path} component={Component} />
                ))}
                <Route component={NotFound} />
              </Switch>
            </Suspense>
          </Shell>
        </LiveProvider>
      </Route>
    </Switch>
  );
}

/** With one account one is at once where one works; else one chooses. */
function Home() {
  const accounts = useAccountNames();
  return (
    <Asked query={accounts}>
      {([first, ...others]) => (
        <Redirect to={first && others.length === 0 ? `/accounts/${first.name}` : '/accounts'} replace />
      )}
    </Asked>
  );
}
