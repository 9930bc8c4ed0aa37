// The focus is never lost: when what had it is gone, it goes back to what opened it, or to the heading of the page; when it
// can have none for a while, as a button whose call is under way, it has it again afterwards.
//
// Mantine gives it back for dialogs that are always rendered; the console's are rendered while they are open.

/** What has the focus, or had it and is gone or disabled; null where the reader has left it by a click elsewhere. */
let held: Element | null = null;
/** From where each dialog was opened: the nearest first, of a dialog over a dialog both. */
const openers = new WeakMap<Element, readonly Element[]>();

const dialogOf = (element: Element | null): Element | null => element?.closest('[role=dialog]') ?? null;

/** A menu is gone once something in it was chosen: what counts is the button that opens it. */
function lasting(element: Element): Element {
  const opener = element.closest('[role=menu]')?.getAttribute('aria-labelledby');
  return (opener != null && document.getElementById(opener)) || element;
}

/** Once, for the whole document. */
export function keepFocus(): void {
  document.addEventListener('focusin', ({ target }) => {
    if (!(target instanceof Element)) return;
    const dialog = dialogOf(target);
    if (dialog !== null && !openers.has(dialog)) {
      const beneath = dialogOf(held);
      openers.set(dialog, held === null ? [] : [held, ...((beneath && openers.get(beneath)) ?? [])]);
    }
    held = lasting(target);
  });
  document.addEventListener('focusout', ({ target }) =>
    // What is taken out of the page is known to be so a moment later.
    queueMicrotask(() => {
      if (target instanceof Element && target.isConnected && !isOut(target) && isLost()) held = null;
    }),
  );
  // Who points elsewhere while nothing has the focus does not wait for it.
  document.addEventListener('pointerdown', () => isLost() && (held = null));
  new MutationObserver(giveBack).observe(document.body, {
    childList: true,
    subtree: true,
    attributeFilter: ['disabled', 'inert'],
  });
}

const isLost = (): boolean => document.activeElement === null || document.activeElement === document.body;

/** Whether an element cannot have the focus now. */
const isOut = (element: Element): boolean => element.matches(':disabled') || element.closest('[inert]') !== null;

function giveBack(): void {
  if (!isLost() || held === null) return;
  if (held.isConnected) {
    if (held instanceof HTMLElement && !isOut(held)) held.focus({ preventScroll: true });
    return;
  }
  const beneath = dialogOf(held);
  const places = [
    ...((beneath && openers.get(beneath)) ?? []),
    [...document.querySelectorAll('[role=dialog]')].at(-1),
    // Where a page has its keys, as the queue has.
    document.querySelector('[data-focus-home]'),
    document.querySelector('.page-title'),
  ];
  for (const place of places) {
    if (!(place instanceof HTMLElement) || !place.isConnected) continue;
    place.focus({ preventScroll: true });
    if (!isLost()) return;
  }
}
