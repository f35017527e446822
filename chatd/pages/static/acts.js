// @ts-check
// What the owner can do to a conversation besides talking in it. Nothing of that is done before he has been told what it means, and has said yes.

import { announce, need } from './dom.js';
import { askColleague } from './invited.js';
import { t } from './words.js';

/** @typedef {import('./line.js').Frame} Frame */

/**
 * @param {HTMLElement} root  the conversation's pane, with its menu
 * @param {string} conv
 * @param {() => string} who  how its visitor is called
 * @param {(f: Frame) => boolean} send
 */
export function acts(root, conv, who, send) {
  const menu = /** @type {HTMLDetailsElement} */ (root.querySelector('.acts'));
  const terms = /** @type {HTMLSelectElement} */ (menu.querySelector('.terms select'));
  terms.addEventListener('change', () => { if (!send({ t: 'terms', conv, text: terms.value })) announce(t('desk.line.lost')); });
  menu.addEventListener('click', async (e) => {
    const act = /** @type {HTMLElement} */ (e.target).closest('button')?.dataset.act;
    if (!act) return;
    const colleague = act === 'colleague' ? await askColleague(who()) : null;
    const yes = act === 'unblock' || act === 'readers' || colleague || (act !== 'colleague' && await sure(`desk.${act}`, who()));
    menu.open = false;
    menu.querySelector('summary')?.focus();
    const invited = act === 'invite' || act === 'invite-all';
    const f = colleague ? { t: 'invite', conv, cid: `invite.colleague.${Date.now()}`, ...colleague } : invited ? { t: 'invite', conv, cid: `invite.${Date.now()}`, all: act === 'invite-all' } : { t: act, conv };
    if (yes && !send(f)) announce(t('desk.line.lost'));
  });
}

/**
 * Asks, in a dialog that the keyboard cannot leave by accident.
 * @param {string} act  the key of what is to be done
 * @param {string} who
 * @param {string} [meaning]  the key of what that means
 * @returns {Promise<boolean>}
 */
export function sure(act, who, meaning = `${act}.text`) {
  const dialog = /** @type {HTMLDialogElement} */ (need('sure'));
  need('sure-head').textContent = t(`${act}.sure`, { who });
  need('sure-text').textContent = t(meaning, { who });
  const yes = need('sure-yes');
  yes.textContent = t(act);
  let answer = false;
  yes.onclick = () => {
    answer = true;
    dialog.close();
  };
  need('sure-no').onclick = () => dialog.close();
  dialog.showModal();
  return new Promise((said) => {
    const closed = () => {
      if (dialog.open) return; // that was the question before this one
      dialog.removeEventListener('close', closed);
      said(answer);
    };
    dialog.addEventListener('close', closed);
  });
}
