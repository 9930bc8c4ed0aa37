// The pages that one-time links open: the first administrator's, and an invitation's. The console's sign-in comes later.

import { rule } from './rule.ts';
import type { Api } from './typed-api.ts';

/** The secret is in the fragment, which no browser sends: the script takes it from there, and out of the address bar. */
const page = (title: string, said: string, asksName: boolean): string => `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width">
    <title>Fleetroot: ${title}</title>
  </head>
  <body>
    <h1>${title}</h1>
    <p>${said}</p>
    <form>
      ${asksName ? '<p><label>Name <input name="name" autocomplete="username" required></label></p>' : ''}
      <p><label>Password <input name="password" type="password" autocomplete="new-password" required></label></p>
      <p><label>Once more <input name="again" type="password" autocomplete="new-password" required></label></p>
      <p><button>Go on</button></p>
    </form>
    <p role="status"></p>
    <script src="/link.js"></script>
  </body>
</html>
`;

const script = `const secret = location.hash.slice(1);
history.replaceState(null, '', location.pathname);
const form = document.querySelector('form');
const status = document.querySelector('[role=status]');
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const { name, password, again } = Object.fromEntries(new FormData(form));
  if (password !== again) {
    status.textContent = 'The two passwords are not the same.';
    return;
  }
  const reply = await fetch('/api/v1' + location.pathname, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-fleetroot': '1' },
    body: JSON.stringify(name === undefined ? { secret, password } : { secret, name, password }),
  });
  const told = await reply.json();
  if (reply.ok) {
    form.remove();
    status.textContent = 'Done: you can sign in as ' + told.name + '.';
  } else {
    status.textContent = [told.detail, told.hint].filter(Boolean).join(' ');
  }
});
`;

/** Adds the pages, at the root: their links are typed and read aloud. */
export function linkPages(api: Api): void {
  const pages = [
    ['getFirstAdministratorPage', '/first-administrator', 'The first administrator', true],
    ['getInvitationPage', '/invitation', 'Your login', false],
  ] as const;
  for (const [operationId, url, title, asksName] of pages) {
    const said = asksName
      ? 'Who is to administer this server? The password has 12 characters or more.'
      : 'Choose your password, of 12 characters or more.';
    api.get(url, rule(operationId, 'anyone'), async (_request, reply) =>
      reply.type('text/html; charset=utf-8').send(page(title, said, asksName)),
    );
  }
  api.get('/link.js', rule('getLinkPageScript', 'anyone'), async (_request, reply) =>
    reply.type('text/javascript; charset=utf-8').send(script),
  );
}
