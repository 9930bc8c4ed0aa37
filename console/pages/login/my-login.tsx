// One's own login: what one may do, the password, the second factors, and where one is signed in.

import { Anchor, Table, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { answerOf, api } from '../../api/client.ts';
import { type Session, useMay, useSession } from '../../api/session.tsx';
import { Instant } from '../../parts/instant.tsx';
import { Page } from '../../parts/page.tsx';
import { Rows } from '../../parts/rows.tsx';
import { Section } from '../../parts/section.tsx';
import { texts } from '../../texts.ts';
import { AuthenticatorApp } from './authenticator-app.tsx';
import { OwnPasskeys } from './own-passkeys.tsx';
import { OwnSessions } from './own-sessions.tsx';
import { PasswordChange } from './password-change.tsx';
import { RecoveryCodes } from './recovery-codes.tsx';

export function MyLogin() {
  const { session } = useSession();
  if (session == null) return null;
  const local = session.method !== 'single_sign_on';
  return (
    <Page title={texts.login.mine}>
      <Who session={session} />
      {local ? <PasswordChange /> : <Text>{texts.login.ofProvider}</Text>}
      {local && <SecondFactors session={session} />}
      <OwnSessions />
    </Page>
  );
}

function Who({ session: { name, administrator, roles, method, signed_in_at } }: { session: Session }) {
  const said = texts.login;
  return (
    <Section title={said.who}>
      <Text>
        <strong className="mono">{name}</strong>
      </Text>
      {method !== null && (
        <Text size="sm">
          {said.signedIn} {said.methods[method]}, <Instant at={signed_in_at} />
        </Text>
      )}
      {administrator && <Text>{said.rolesAdministrator}</Text>}
      {!administrator && roles.length === 0 && <Text>{said.rolesNone}</Text>}
      {roles.length > 0 && (
        <Rows label={said.roles} heads={[said.account, said.role]}>
          {roles.map(({ account, account_name, role }) => (
            <Table.Tr key={account}>
              <Table.Td>
                <Anchor component={Link} href={`/accounts/${account_name}`}>
                  {account_name}
                </Anchor>
              </Table.Td>
              <Table.Td>{said.roleNames[role]}</Table.Td>
            </Table.Tr>
          ))}
        </Rows>
      )}
    </Section>
  );
}

/** The API tells administrators alone which factors an operator has, themselves among them. */
function SecondFactors({ session: { id, method } }: { session: Session }) {
  const may = useMay();
  const own = useQuery({
    queryKey: ['own', 'factors'],
    enabled: id !== null && may('getOperator'),
    queryFn: () => answerOf(api.GET('/api/v1/operators/{operator}', { params: { path: { operator: id! } } })),
  });
  const on = own.data?.totp ?? (method === 'password_and_totp' ? true : undefined);
  return (
    <>
      <AuthenticatorApp on={on} />
      <OwnPasskeys />
      <RecoveryCodes />
    </>
  );
}
