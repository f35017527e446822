// @ts-check
// Whom the owner has brought into a conversation: the code for the next one, and those who are in it, each to be sent away.

import { sure } from './acts.js';
import { announce, el } from './dom.js';
import { t } from './words.js';

/** @typedef {import('./line.js').Frame} Frame */

export class Guests {
  /**
   * @param {HTMLElement} root  the conversation's pane
   * @param {string} conv
   * @param {(f: Frame) => boolean} send
   */
  constructor(root, conv, send) {
    this.conv = conv;
    this.send = send;
    this.list = /** @type {HTMLElement} */ (root.querySelector('.pane-guests ul'));
    this.awaited = /** @type {HTMLElement} */ (root.querySelector('.pane-guests .awaited'));
    this.says = /** @type {HTMLElement} */ (root.querySelector('.pane-guests [role=status]'));
    /** @type {Map<number, HTMLElement>} */
    this.in = new Map();
    this.over = 0;
    /** Other readers who are to be written an invitation, by the id of the code that is asked for. @type {Map<string, {to: string, who: string}>} */
    this.chosen = new Map();
  }

  /**
   * Asks which of the mail's other readers is to be brought in, and for his code.
   * @param {Frame} f
   * @param {string} who  how the visitor is called
   */
  async readers(f, who) {
    const { askReader, nameOf } = await import('./others.js');
    const chosen = await askReader(f, who);
    if (!chosen) return;
    const cid = `invite.reader.${Date.now()}`;
    this.chosen.set(cid, { to: chosen.to, who: nameOf(f.list.find((/** @type {Frame} */ r) => r.conv === chosen.to)) });
    if (!this.send({ t: 'invite', conv: this.conv, cid, all: chosen.all })) announce(t('desk.line.lost'));
  }

  /**
   * @param {Frame} f
   * @param {string} name  how the guest is called
   */
  event(f, name) {
    if (f.kind === 'removed') {
      this.in.get(f.who)?.remove();
      this.in.delete(f.who);
    } else if (f.kind === 'join' || f.kind === 'name') {
      const called = f.kind === 'name' ? String(f.text) : name;
      let item = this.in.get(f.who);
      if (!item) {
        const away = el('button', { type: 'button' }, t('desk.guest.remove'));
        away.addEventListener('click', async () => {
          const who = item?.firstElementChild?.textContent || '';
          if (!await sure('desk.guest.remove', who, f.login ? 'desk.guest.remove.colleague' : 'desk.guest.remove.text')) return;
          if (!this.send({ t: 'remove', conv: this.conv, who: f.who })) announce(t('desk.line.lost'));
        });
        item = el('li', {}, el('span', { dir: 'auto' }), ' ', away);
        this.in.set(f.who, item);
        this.list.append(item);
        this.says.textContent = ''; // the code has been used
      }
      /** @type {Element} */ (item.firstElementChild).textContent = called;
      item.querySelector('button')?.setAttribute('aria-label', t('desk.guest.remove.whom', { who: called }));
    }
    this.list.hidden = this.in.size === 0;
  }

  /** @param {Frame} f */
  code(f) {
    clearTimeout(this.over);
    const chosen = this.chosen.get(String(f.cid));
    this.chosen.delete(String(f.cid));
    const url = `${location.origin}/join?code=${String(f.code).replaceAll(/[^A-Z0-9]/g, '')}`;
    if (chosen && this.send({ t: 'say', conv: chosen.to, cid: String(f.cid), on: true, text: t('desk.readers.message', { url }) })) {
      this.says.textContent = t('desk.readers.done', { who: chosen.who });
      return;
    }
    this.says.replaceChildren(t('desk.invite.how', { url: `${location.host}/join`, n: Math.round(Number(f.left_ms) / 60_000) }), ' ', el('b', { class: 'code', dir: 'ltr' }, String(f.code)));
    this.over = setTimeout(() => { this.says.textContent = ''; }, Number(f.left_ms));
  }

  /** Which colleagues are invited and have not answered. @param {Frame} f */
  invited(f) {
    const had = this.awaited.contains(document.activeElement);
    this.awaited.replaceChildren(...f.list.map((/** @type {Frame} */ a) => {
      const back = el('button', { type: 'button', 'aria-label': t('desk.colleague.back.whom', { login: a.login }) }, t('desk.colleague.back'));
      back.addEventListener('click', () => { if (!this.send({ t: 'withdraw', conv: this.conv, text: a.login })) announce(t('desk.line.lost')); });
      return el('li', {}, el('span', { dir: 'auto' }, t('desk.colleague.awaited', { login: a.login })), ' ', back);
    }));
    this.awaited.hidden = f.list.length === 0;
    if (f.list.length) this.says.textContent = ''; // what was said of an earlier try
    if (had) /** @type {HTMLElement} */ (this.awaited.closest('.talk')?.querySelector('textarea')).focus();
  }

  /** @param {Frame} f */
  refused(f) {
    if (!String(f.cid).startsWith('invite.')) return;
    const colleague = String(f.cid).startsWith('invite.colleague.') ? `desk.colleague.${f.code}` : '';
    const key = colleague && t(colleague) !== colleague ? colleague : `desk.invite.${f.code}`;
    this.says.textContent = t(key) === key ? t('desk.invite.busy') : t(key);
  }
}
