// @ts-check
// Going on with the conversation on another device: a code is shown here, and typed there. Loaded when it is asked for.

import { el } from './dom.js';
import { t } from './words.js';

/** @typedef {import('./line.js').Frame} Frame */

/**
 * @param {HTMLElement} button  asks for a code
 * @param {(f: Frame) => boolean} send
 */
export function carrying(button, send) {
  const says = el('div', { role: 'status' });
  const close = el('button', { type: 'button' }, t('reader.carry.close'));
  const box = el('div', { class: 'carry', id: 'carry-box' }, says, close);
  button.closest('.instead')?.after(box);
  button.setAttribute('aria-controls', box.id);
  let waits = false; // for a code
  let over = 0;
  let count = 0;

  /** @param {boolean} open */
  const show = (open) => {
    box.hidden = !open;
    button.setAttribute('aria-expanded', String(open));
  };
  /** @param {...(Node | string)} what */
  const say = (...what) => says.replaceChildren(el('p', {}, ...what));
  close.addEventListener('click', () => {
    waits = false;
    clearTimeout(over);
    says.replaceChildren(); // nobody else is to see it
    show(false);
    button.focus();
  });

  const offer = () => { if (waits) send({ t: 'carry', cid: `carry.${++count}` }); };

  return {
    ask() {
      waits = true;
      clearTimeout(over);
      show(true);
      say(t('reader.carry.wait'));
      offer();
    },
    /** The line is up, again or for the first time. */
    up: offer,
    /** A code, or why there is none. @param {Frame} f */
    frame(f) {
      if (f.cid !== `carry.${count}` || !waits) return;
      waits = false;
      if (f.t === 'error') {
        const key = `reader.carry.${f.code}`;
        const text = t(key);
        say(text === key ? t('reader.carry.busy') : text);
        return;
      }
      const code = String(f.code);
      const shown = el('span', { 'aria-hidden': 'true' });
      for (const group of code.split(' ')) shown.append(el('b', {}, group), ' ');
      const spelled = el('span', { class: 'unseen' }, [...code.replaceAll(' ', '')].join(', '));
      say(t('reader.carry.how', { url: `${location.host}/join`, n: Math.round(Number(f.left_ms) / 60_000) }));
      says.append(el('p', { class: 'code', dir: 'ltr' }, shown, spelled));
      over = setTimeout(() => say(t('reader.carry.over')), Number(f.left_ms));
    },
  };
}
