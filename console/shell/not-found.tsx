// An address that leads nowhere.

import { Button } from '@mantine/core';
import { Link } from 'wouter';
import { Empty } from '../parts/empty.tsx';
import { Page } from '../parts/page.tsx';
import { texts } from '../texts.ts';

export function NotFound() {
  return (
    <Page title={texts.common.notFound}>
      <Empty title={texts.common.notFound} text={texts.common.notFoundText}>
        <Button component={Link} href="/">
          {texts.shell.accounts}
        </Button>
      </Empty>
    </Page>
  );
}
