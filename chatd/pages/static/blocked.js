// @ts-check
// Whom the owner has blocked, below his conversations, and the way back.

import { el, need } from './dom.js';
import { t, whenOf } from './words.js';

/** @typedef {import('./line.js').Frame} Frame */

/**
 * @param {Frame} f
 * @param {(f: Frame) => boolean} send
 */
export function showBlocked(f, send) {
  const place = need('blocked');
  const summary = /** @type {HTMLElement} */ (place.querySelector('summary'));
  const list = /** @type {HTMLElement} */ (place.querySelector('ul'));
  const had = list.contains(document.activeElement);
  place.hidden = f.talks.length === 0;
  summary.textContent = t('desk.blocked', { n: f.talks.length });
  list.replaceChildren(...f.talks.map((/** @type {Record<string, any>} */ b) => {
    const who = el('b', { dir: 'auto' });
    who.textContent = b.who || t('desk.someone');
    const about = el('span', { class: 'item-about', dir: 'auto' });
    about.textContent = b.about;
    const at = new Date(b.at);
    const back = el('button', { type: 'button', 'aria-label': t('desk.unblock.whom', { who: b.who || t('desk.someone') }) }, t('desk.unblock'));
    back.addEventListener('click', () => { send({ t: 'unblock', conv: b.conv }); });
    return el('li', {}, el('div', {}, who, ' ', el('time', { datetime: at.toISOString() }, whenOf(at)), about), back);
  }));
  if (had) (place.hidden ? need('rest') : summary).focus();
}
