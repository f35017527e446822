// @ts-check
// Leaving a mail address, so that an answer reaches whoever has gone: the address, the code that was mailed there, and what can be had once it is proved. Loaded when it
// is asked for.

import { el } from './dom.js';
import { t } from './words.js';

/** @typedef {import('./line.js').Frame} Frame */

/**
 * @param {HTMLElement} button  opens and closes the panel
 * @param {{owner: string, reach: string, send: (f: Frame) => boolean}} o  reach: a domain of those in which alone he can be sent mail; '' for all
 */
export function addressing(button, o) {
  const says = el('p', { role: 'status' });
  const address = /** @type {HTMLInputElement} */ (el('input', { type: 'email', id: 'address', autocomplete: 'email', maxlength: '254', required: '' }));
  const code = /** @type {HTMLInputElement} */ (el('input', { type: 'text', id: 'address-code', inputmode: 'numeric', autocomplete: 'one-time-code', maxlength: '20', required: '' }));
  const leave = form(address, t('reader.address.label'), t('reader.address.send'));
  const prove = form(code, t('reader.address.code'), t('reader.address.prove'));
  const copy = el('button', { type: 'button' }, t('reader.address.copy'));
  const other = el('button', { type: 'button', class: 'plain' }, t('reader.address.other'));
  const proved = el('div', { class: 'choices' }, copy, ' ', other);
  const box = el('div', { class: 'carry', id: 'address-box' }, says, leave, prove, proved);
  if (o.reach) leave.append(el('p', { class: 'reach-of' }, t('reader.address.reach', { domain: o.reach })));
  button.closest('.instead')?.after(box);
  button.setAttribute('aria-controls', box.id);
  let mine = ''; // the address that is proved
  let wanted = false; // by the owner, before he is called

  /** @param {string} key @param {Record<string, string>} [values] */
  const say = (key, values) => { says.textContent = t(`reader.address.${key}`, { name: o.owner, ...values }); };
  /** @param {HTMLElement[]} shown */
  const only = (...shown) => { for (const e of [leave, prove, proved]) e.hidden = !shown.includes(e); };
  /** @param {Frame} f */
  const ask = (f) => { if (!o.send(f)) say('later'); };

  leave.addEventListener('submit', (e) => {
    e.preventDefault();
    ask({ t: 'address', text: address.value.trim(), lang: document.documentElement.lang });
  });
  prove.addEventListener('submit', (e) => {
    e.preventDefault();
    ask({ t: 'proof', text: code.value });
  });
  copy.addEventListener('click', () => ask({ t: 'copy' }));
  other.addEventListener('click', () => {
    only(leave);
    say('why');
    address.focus();
  });
  const begin = () => {
    if (mine) {
      only(proved);
      say('proved', { address: mine });
    } else {
      only(leave);
      say(wanted ? 'wanted' : 'why');
    }
  };
  begin();

  return {
    /** @param {boolean} asked  whether a person has asked for it */
    toggle(asked) {
      box.hidden = button.getAttribute('aria-expanded') === 'true';
      button.setAttribute('aria-expanded', String(!box.hidden));
      if (!asked) {
        wanted = true;
        begin();
      }
      if (asked && !box.hidden && !mine) address.focus();
    },
    /** What became of the address, or of the code. @param {Frame} f */
    frame(f) {
      switch (f.state) {
        case 'proved':
          mine = String(f.address);
          begin();
          button.textContent = t('reader.address.yours');
          if (wanted && !box.hidden) this.toggle(true); // it was there for the call's sake: what is said has the room now
          wanted = false;
          break;
        case 'sent':
          only(leave, prove);
          say('sent', { address: String(f.address) });
          code.value = '';
          code.focus();
          break;
        default:
          say(String(f.state), { address: String(f.address ?? '') });
      }
    },
  };
}

/**
 * @param {HTMLInputElement} field
 * @param {string} label
 * @param {string} send
 */
function form(field, label, send) {
  return el('form', { autocomplete: 'on' }, el('label', { for: field.id }, label), field, el('button', { type: 'submit' }, send));
}
