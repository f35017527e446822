// @ts-check
// Changing what one has said, or taking it back: at the message itself, for ten minutes, in the field in which it was written.

import { announce, el } from './dom.js';
import { t } from './words.js';

const WITHIN = 10 * 60_000; // the server's clock decides

/**
 * @param {import('./log.js').Log} log
 * @param {import('./talk.js').Talk} talk
 * @param {HTMLFormElement} form  holds one textarea
 * @returns {(text: string) => boolean} to be asked before something is said: it was a change instead
 */
export function amending(log, talk, form) {
  const field = /** @type {HTMLTextAreaElement} */ (form.querySelector('textarea'));
  const bar = el('p', { class: 'amending', role: 'status' });
  form.prepend(bar);
  let of = 0; // the message that is being changed
  let draft = ''; // what stood in the field before

  /** @param {string} text */
  const fill = (text) => {
    field.value = text;
    field.dispatchEvent(new Event('input'));
    field.focus();
  };
  const end = () => {
    of = 0;
    delete form.dataset.amending;
    bar.replaceChildren();
    fill(draft);
  };
  field.addEventListener('keydown', (e) => {
    if (of && e.key === 'Escape' && !e.isComposing) end();
  });

  log.own = (item, at) => {
    const number = () => Number(item.dataset.n);
    const edit = button(t('chat.edit'), () => {
      if (!of) draft = field.value;
      of = number();
      form.dataset.amending = 'yes';
      bar.replaceChildren(t('chat.editing'), ' ', button(t('chat.cancel'), end));
      fill(item.querySelector('.said')?.textContent || '');
    });
    const remove = button(t('chat.delete'), () => {
      if (remove.textContent !== t('chat.delete.sure')) {
        remove.textContent = t('chat.delete.sure');
        remove.setAttribute('aria-label', `${t('chat.delete.sure')} ${about}`);
        announce(`${t('chat.delete.sure')} ${about}`);
        return;
      }
      log.box.focus();
      if (of === number()) end();
      talk.say('', number());
    });
    remove.addEventListener('blur', () => {
      remove.textContent = t('chat.delete');
      remove.setAttribute('aria-label', `${t('chat.delete')}: ${about}`);
    });
    const about = (item.querySelector('.said')?.textContent || '').slice(0, 40); // which message, for whoever hears a list of buttons
    edit.setAttribute('aria-label', `${t('chat.edit')}: ${about}`);
    remove.setAttribute('aria-label', `${t('chat.delete')}: ${about}`);
    const changes = el('span', { class: 'changes', 'aria-live': 'off' }, ...(item.dataset.file ? [] : [edit, ' ']), remove);
    item.append(changes);
    log.toEnd(); // it has grown
    setTimeout(() => {
      if (changes.contains(document.activeElement)) log.box.focus(); // the focus stays near
      changes.remove();
    }, Math.min(WITHIN, at.getTime() + WITHIN - Date.now()));
  };

  return (text) => {
    if (!of) return false;
    talk.say(text, of);
    end();
    return true;
  };
}

/**
 * @param {string} text
 * @param {() => void} act
 */
function button(text, act) {
  const b = el('button', { type: 'button' }, text);
  b.addEventListener('click', act);
  return b;
}
