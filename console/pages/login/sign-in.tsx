// Where nobody is signed in: the way in.

import { useSession } from '../../api/session.tsx';
import { Page } from '../../parts/page.tsx';
import { texts } from '../../texts.ts';
import { Outside } from './outside.tsx';
import { SignInForm } from './sign-in-form.tsx';

/** The address stays: whoever has signed in sees the page that they came for. */
export function SignIn() {
  const { refresh } = useSession();
  return (
    <Outside>
      <Page title={texts.login.signIn} about={texts.login.signInAbout}>
        <SignInForm onSignedIn={refresh} />
      </Page>
    </Outside>
  );
}
