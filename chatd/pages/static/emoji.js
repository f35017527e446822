// @ts-check
// A few emoji, for those whose keyboard has none. Loaded once somebody talks; a telephone's own keyboard has more.

import { el } from './dom.js';
import { put } from './put.js';
import { t } from './words.js';

const ALL = '😀 😄 😂 🙂 😉 😊 😍 😘 🤔 😐 😮 😢 😭 😅 😬 😴 👍 👎 👌 🙏 👏 🙌 💪 👋 🤝 🙇 ❤️ 💐 🎉 🎂 ☕ 🍀 ✅ ❌ ⚠️ ❓ 📎 📅 ⏰ 📞'.split(' ');
const ROW = 8;

/** @param {HTMLFormElement} form  in which one writes: holds a textarea and the buttons beside it */
export function emojis(form) {
  const field = /** @type {HTMLTextAreaElement} */ (form.querySelector('textarea'));
  const hands = /** @type {HTMLElement} */ (form.querySelector('.hands'));
  look();
  const panel = el('div', { class: 'emoji', role: 'group', 'aria-label': t('chat.emoji') });
  panel.hidden = true;
  const button = el('button', { type: 'button', class: 'emoji-button', 'aria-expanded': 'false', 'aria-label': t('chat.emoji'), title: t('chat.emoji') }, el('span', { 'aria-hidden': 'true' }, '☺'));
  const all = ALL.map((e, i) => el('button', { type: 'button', tabindex: i ? '-1' : '0' }, e));
  panel.append(...all);
  hands.prepend(button);
  hands.parentElement?.before(panel);

  /** @param {boolean} open */
  const show = (open) => {
    panel.hidden = !open;
    button.setAttribute('aria-expanded', String(open));
    if (open) all.find((b) => b.tabIndex === 0)?.focus();
  };
  button.addEventListener('click', () => show(panel.hidden));
  panel.addEventListener('click', (e) => {
    const b = /** @type {HTMLElement} */ (e.target).closest('button');
    if (!b) return;
    show(false);
    put(field, b.textContent || '');
  });
  panel.addEventListener('keydown', (e) => {
    if (e.key === 'Escape') {
      show(false);
      button.focus();
      return;
    }
    const back = document.dir === 'rtl' ? 'ArrowRight' : 'ArrowLeft';
    const on = document.dir === 'rtl' ? 'ArrowLeft' : 'ArrowRight';
    const by = { [back]: -1, [on]: 1, ArrowUp: -ROW, ArrowDown: ROW }[e.key];
    const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const next = by && all[at + by];
    if (by) e.preventDefault();
    if (!next) return;
    all[at].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}

/** Its looks are in a file of their own, fetched once. */
function look() {
  const href = new URL('./emoji.css', import.meta.url).href;
  if (!document.querySelector(`link[href="${href}"]`)) document.head.append(el('link', { rel: 'stylesheet', href }));
}
