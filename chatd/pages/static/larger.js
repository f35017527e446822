// @ts-check
// A picture as large as the window, from which it can be saved. Loaded when one is opened.

import { el } from './dom.js';
import { t } from './words.js';

/**
 * @param {string} href
 * @param {string} name
 */
export function larger(href, name) {
  look();
  const close = el('button', { type: 'button' }, t('chat.picture.close'));
  const save = el('a', { class: 'button', href, download: name }, t('chat.picture.save'));
  const title = el('p', { dir: 'auto' });
  title.textContent = name;
  const dialog = /** @type {HTMLDialogElement} */ (el('dialog', { class: 'larger', 'aria-label': name, tabindex: '-1' }, el('img', { src: href, alt: name }), el('div', {}, title, save, close)));
  close.addEventListener('click', () => dialog.close());
  dialog.addEventListener('click', (e) => { if (e.target === dialog) dialog.close(); }); // beside the picture
  dialog.addEventListener('close', () => dialog.remove()); // the browser leads the focus back
  document.body.append(dialog);
  dialog.showModal();
  dialog.focus(); // and no button: the key that opened this may still be down
}

/** Its looks are in a file of their own, fetched once. */
function look() {
  const href = new URL('./larger.css', import.meta.url).href;
  if (!document.querySelector(`link[href="${href}"]`)) document.head.append(el('link', { rel: 'stylesheet', href }));
}
