// @ts-check
// Telling a person from a program that only loads pages: one real input on a visible page is enough, whatever it is done with.
// Mail scanners load the page and run its scripts; they do not move a mouse over it.

const SIGNS = ['pointermove', 'pointerdown', 'touchstart', 'wheel', 'keydown', 'click', 'input'];

/**
 * Calls then, once, at the first input that a person made. Scrolling needs no sign of its own: wheel, touch, keys and the
 * scroll bar are all here, while the scroll event alone also comes when a browser restores a page.
 * @param {() => void} then
 */
export function onIntent(then) {
  /** @param {Event} e */
  const sign = (e) => {
    if (!e.isTrusted || document.visibilityState !== 'visible') return;
    for (const name of SIGNS) removeEventListener(name, sign, true);
    then();
  };
  for (const name of SIGNS) addEventListener(name, sign, { capture: true, passive: true });
}
