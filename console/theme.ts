// How the console looks: Mantine's theme, with the colours that WCAG 2.2 AA asks for where Mantine's own fall short.

import { createTheme, type CSSVariablesResolver } from '@mantine/core';
import { texts } from './texts.ts';

export const theme = createTheme({
  primaryColor: 'cyan',
  // White on Mantine's usual shade has a contrast of 3.2; on this one 5.4 (WCAG 2.2 §1.4.3 asks for 4.5).
  primaryShade: { light: 9, dark: 9 },
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, Consolas, monospace',
  defaultRadius: 'md',
  cursorType: 'pointer',
  respectReducedMotion: true,
  headings: { sizes: { h1: { fontSize: '1.5rem' }, h2: { fontSize: '1.15rem' }, h3: { fontSize: '1rem' } } },
  components: {
    // What scrolls the page away under an open dialog breaks out of the content security policy for no gain.
    Modal: {
      defaultProps: { lockScroll: false, centered: true, closeButtonProps: { 'aria-label': texts.common.close } },
    },
    Drawer: { defaultProps: { lockScroll: false, closeButtonProps: { 'aria-label': texts.common.close } } },
    // Else the heading of a dialog counts as a banner beside that of the page.
    ModalHeader: { defaultProps: { role: 'none' } },
    DrawerHeader: { defaultProps: { role: 'none' } },
    // Else what has the focus at first is nothing that is seen, and no child that a menu may have.
    Menu: { defaultProps: { withInitialFocusPlaceholder: false } },
    // Else what merely stands there is read out at once, over whatever else is (WCAG 4.1.3). What has just happened is a status.
    Alert: { defaultProps: { role: 'note' } },
    Badge: { defaultProps: { variant: 'light', tt: 'none' } },
    Tooltip: { defaultProps: { withArrow: true, events: { hover: true, focus: true, touch: true } } },
  },
});

/** A button under the pointer: Mantine's are a shade lighter than at rest, on which white falls below 4.5. */
const hovered = {
  '--mantine-color-cyan-filled-hover': '#095c6b',
  '--mantine-primary-color-filled-hover': '#095c6b',
  '--mantine-color-teal-filled-hover': '#06664a',
};

export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    ...hovered,
    '--mantine-color-dimmed': 'var(--mantine-color-gray-7)',
    '--mantine-color-placeholder': 'var(--mantine-color-gray-7)',
    '--mantine-color-error': 'var(--mantine-color-red-9)',
    // As words on white, Mantine's own have contrasts of 3.0 and 4.1.
    // Of a row under the pointer, which is gray: else 4.49.
    '--mantine-color-teal-outline': '#06664a',
    '--mantine-color-yellow-outline': '#8a5000',
    '--mantine-color-orange-outline': '#b03a0a',
  },
  dark: {
    ...hovered,
    '--mantine-color-dimmed': 'var(--mantine-color-dark-1)',
    '--mantine-color-placeholder': 'var(--mantine-color-dark-2)',
    '--mantine-color-error': 'var(--mantine-color-red-4)',
    // Of a row under the pointer: else 4.03.
    '--mantine-color-red-outline': 'var(--mantine-color-red-4)',
  },
});
