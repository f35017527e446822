// @ts-check
// Invitations among colleagues: the cards of those that came to this desk, and the dialog in which one is written.

import { announce, el, need } from './dom.js';
import { t } from './words.js';

/** @typedef {import('./line.js').Frame} Frame */

export class Invited {
  /**
   * @param {{send: (f: Frame) => boolean, chime: () => void, still: () => boolean}} o  still: nothing may sound just now
   */
  constructor(o) {
    this.o = o;
    this.list = need('invitations');
    /** @type {Map<string, HTMLElement>} */
    this.cards = new Map();
    this.over = 0;
  }

  /** All that there are. @param {Frame} f */
  show(f) {
    clearTimeout(this.over);
    if (f.guest) this.places(f.guest);
    const now = new Set(f.list.map((/** @type {Frame} */ i) => i.id));
    for (const [id, card] of this.cards) if (!now.has(id)) this.remove(id, card);
    let fresh = '';
    for (const i of f.list) {
      if (this.cards.has(i.id)) continue;
      const card = this.card(i);
      this.cards.set(i.id, card);
      this.list.append(card);
      fresh ||= `${textOf(i)} ${aboutOf(i)}`;
    }
    if (fresh) {
      announce(fresh);
      if (!this.o.still()) this.o.chime();
    }
    const [first] = f.list;
    if (first) this.over = setTimeout(() => this.show({ ...f, list: f.list.slice(1).map((/** @type {Frame} */ i) => ({ ...i, left_ms: i.left_ms - first.left_ms })) }), first.left_ms);
  }

  /**
   * The conversations of others in which he takes part: to come back is a form, as joining is.
   * @param {Frame[]} list
   */
  places(list) {
    const ul = /** @type {HTMLElement} */ (need('guest-in').querySelector('ul'));
    const at = [...ul.children].findIndex((li) => li.contains(document.activeElement));
    ul.replaceChildren(...list.map((p) => {
      const who = el('span', { dir: 'auto' }, t('desk.guest-in.of', { owner: p.owner || p.login, who: p.who || t('desk.someone') }));
      const go = el('button', { type: 'submit' }, who, el('span', { class: 'item-about', dir: 'auto' }, String(p.about || '')));
      return el('li', {}, el('form', { method: 'post', action: '/desk/come', target: '_blank' }, el('input', { type: 'hidden', name: 'conv', value: String(p.conv) }), go));
    }));
    need('guest-in').hidden = list.length === 0;
    if (at >= 0) (ul.children[Math.min(at, list.length - 1)]?.querySelector('button') ?? need('rest')).focus();
  }

  /**
   * @param {string} id
   * @param {HTMLElement} card
   */
  remove(id, card) {
    const had = card.contains(document.activeElement);
    card.remove();
    this.cards.delete(id);
    if (had) need('rest').focus();
  }

  /**
   * Joining is a form: the page that it leads to is a window of its own, so that this desk goes on ringing.
   * @param {Frame} i
   */
  card(i) {
    const form = el('form', { method: 'post', action: '/desk/come', target: '_blank', class: 'call-acts' }, el('input', { type: 'hidden', name: 'id', value: String(i.id) }), el('button', { class: 'main', type: 'submit' }, t('desk.invited.join')));
    const not = el('button', { type: 'button' }, t('desk.invited.not'));
    not.addEventListener('click', () => { if (!this.o.send({ t: 'not-now', text: i.id })) announce(t('desk.line.lost')); });
    form.append(not);
    const who = el('p', { class: 'call-who', dir: 'auto' }, textOf(i));
    return el('li', { class: 'call invitation' }, el('div', { class: 'call-text' }, who, el('p', { class: 'call-about', dir: 'auto' }, aboutOf(i))), form);
  }
}

/** @param {Frame} i */
function textOf(i) { return t('desk.invited', { owner: i.owner || i.login, login: i.login, who: i.who || t('desk.someone') }); }

/** @param {Frame} i */
function aboutOf(i) { return i.about ? t('desk.about', { about: i.about }) : t('desk.about.nothing'); }

/**
 * Asks whom to invite, and whether he sees what has been said.
 * @param {string} who  with whom the conversation is
 * @returns {Promise<{text: string, all: boolean} | null>}
 */
export function askColleague(who) {
  const dialog = /** @type {HTMLDialogElement} */ (need('colleague'));
  const form = /** @type {HTMLFormElement} */ (need('colleague-form'));
  const login = /** @type {HTMLInputElement} */ (need('colleague-login'));
  const all = /** @type {HTMLInputElement} */ (need('colleague-all'));
  need('colleague-head').textContent = t('desk.colleague.sure', { who });
  form.reset();
  form.onsubmit = (e) => {
    e.preventDefault();
    if (login.value.trim()) dialog.close('yes');
  };
  need('colleague-no').onclick = () => dialog.close('no');
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((said) => {
    dialog.addEventListener('close', () => said(dialog.returnValue === 'yes' ? { text: login.value.trim(), all: all.checked } : null), { once: true });
  });
}
