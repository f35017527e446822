// @ts-check
// Bringing another reader of the same mail into a conversation: he is written an invitation where he talks with the owner already. Loaded when it is asked for.

import { el, need } from './dom.js';
import { t, momentOf } from './words.js';

/** @typedef {import('./line.js').Frame} Frame */

/**
 * Asks whom to bring in.
 * @param {Frame} f  who there is
 * @param {string} who  how the visitor of the conversation is called
 * @returns {Promise<{to: string, all: boolean} | null>}
 */
export function askReader(f, who) {
  const dialog = /** @type {HTMLDialogElement} */ (need('readers'));
  const all = /** @type {HTMLInputElement} */ (need('readers-all'));
  const some = f.list.length > 0;
  need('readers-head').textContent = t('desk.readers.sure', { who });
  need('readers-text').textContent = t(some ? 'desk.readers.text' : 'desk.readers.none');
  need('readers-list').replaceChildren(...f.list.map((/** @type {Frame} */ r, /** @type {number} */ i) => {
    const at = new Date(r.at);
    const name = el('span', { dir: 'auto' });
    name.textContent = nameOf(r);
    const pick = el('input', { type: 'radio', name: 'reader', value: String(r.conv), required: '', ...(i ? {} : { checked: '' }) });
    const when = el('time', { datetime: at.toISOString() }, momentOf(at));
    return el('li', {}, el('label', { class: 'check' }, pick, ' ', name, ' ', ...(r.here ? [el('b', {}, t('desk.state.here')), ' '] : []), when));
  }));
  need('readers-all-row').hidden = need('readers-yes').hidden = !some;
  all.checked = false;
  need('readers-no').onclick = () => dialog.close('no');
  need('readers-form').onsubmit = (e) => {
    e.preventDefault();
    dialog.close('yes');
  };
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((said) => {
    dialog.addEventListener('close', () => {
      const picked = /** @type {HTMLInputElement | null} */ (dialog.querySelector('input[name=reader]:checked'));
      said(dialog.returnValue === 'yes' && picked ? { to: picked.value, all: all.checked } : null);
    }, { once: true });
  });
}

/** @param {Frame} r */
export function nameOf(r) { return String(r.who || '') || t('desk.someone'); }
