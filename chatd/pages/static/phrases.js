// @ts-check
// Canned answers: a list from which one is put into the field one writes in, and where it is kept. Loaded when somebody opens it; the server keeps them, for all desks
// of this login.

import { el, need } from './dom.js';
import { put } from './put.js';
import { t } from './words.js';

/** @typedef {{id: number, text: string}} Phrase */

const PATIENCE = 15_000; // ms for one answer

export class Phrases {
  constructor() {
    this.dialog = /** @type {HTMLDialogElement} */ (need('phrases'));
    this.list = need('phrases-list');
    this.filter = /** @type {HTMLInputElement} */ (need('phrases-filter'));
    this.text = /** @type {HTMLTextAreaElement} */ (need('phrases-text'));
    this.note = need('phrases-note');
    this.save = need('phrases-save');
    this.stop = need('phrases-stop');
    /** @type {Phrase[]} */
    this.all = [];
    this.asked = 0; // the latest question: an answer to one before it is no news
    this.id = 0; // of the one that is being changed
    /** @type {HTMLTextAreaElement | null} */
    this.field = null;
    this.filter.addEventListener('input', () => this.show());
    this.filter.addEventListener('keydown', (e) => {
      if (e.isComposing) return;
      const first = /** @type {HTMLElement | null} */ (this.list.querySelector('.phrase'));
      if (e.key === 'Enter') { e.preventDefault(); first?.click(); }
      if (e.key === 'ArrowDown') { e.preventDefault(); first?.focus(); }
    });
    this.list.addEventListener('keydown', (e) => this.moved(e));
    need('phrases-close').addEventListener('click', () => this.dialog.close());
    this.stop.addEventListener('click', () => this.change(null));
    need('phrases-form').addEventListener('submit', (e) => {
      e.preventDefault();
      const text = this.text.value.trim();
      if (!text) { this.text.focus(); return; }
      void this.keep(this.id, text);
    });
  }

  /** Opens the list for a field. @param {HTMLTextAreaElement} field */
  open(field) {
    this.field = field;
    this.filter.value = '';
    this.change(null);
    this.note.textContent = '';
    this.dialog.showModal();
    this.filter.focus();
    void this.ask({});
  }

  /**
   * Reads how they stand, after a change if there is one.
   * @param {RequestInit} how
   * @returns {Promise<boolean>} whether the change was made
   */
  async ask(how) {
    const turn = ++this.asked;
    try {
      const answer = await fetch('/desk/phrases', { ...how, signal: AbortSignal.timeout(PATIENCE) });
      const { phrases, code } = await answer.json();
      if (code === 'signed-out') location.reload();
      if (turn !== this.asked) return answer.ok;
      this.all = phrases;
      this.show();
      this.note.textContent = code ? t(`desk.phrases.fault.${code}`) : '';
      return answer.ok;
    } catch {
      this.note.textContent = t('desk.phrases.fault.trouble');
      return false;
    }
  }

  /**
   * @param {number} id  0: a new one
   * @param {string} text  '': it is removed
   */
  async keep(id, text) {
    const body = new URLSearchParams({ text });
    if (id) body.set('id', String(id));
    if (!await this.ask({ method: 'POST', body })) return;
    this.note.textContent = t(text ? 'desk.phrases.kept' : 'desk.phrases.removed');
    if (id === this.id) this.change(null);
    this.filter.focus();
  }

  /** Has one be changed, or a new one written. @param {Phrase | null} p */
  change(p) {
    this.id = p ? p.id : 0;
    this.text.value = p ? p.text : '';
    /** @type {HTMLElement} */ (need('phrases-label')).textContent = t(p ? 'desk.phrases.change' : 'desk.phrases.new');
    this.stop.hidden = !p;
    if (p) this.text.focus();
  }

  show() {
    const sought = this.filter.value.normalize('NFKC').toLowerCase().trim();
    const some = this.all.filter((p) => p.text.normalize('NFKC').toLowerCase().includes(sought));
    this.list.replaceChildren(...some.map((p) => this.entry(p)));
    need('phrases-none').hidden = this.all.length > 0;
  }

  /** @param {Phrase} p */
  entry(p) {
    const insert = el('button', { type: 'button', class: 'phrase', dir: 'auto' });
    insert.textContent = p.text;
    insert.addEventListener('click', () => this.insert(p.text));
    const label = p.text.slice(0, 40);
    const edit = el('button', { type: 'button', class: 'plain', 'aria-label': `${t('chat.edit')}: ${label}` }, t('chat.edit'));
    edit.addEventListener('click', () => this.change(p));
    const remove = el('button', { type: 'button', class: 'plain', 'aria-label': `${t('chat.delete')}: ${label}` }, t('chat.delete'));
    remove.addEventListener('click', () => {
      if (!remove.dataset.sure) {
        remove.dataset.sure = 'asked';
        remove.textContent = t('desk.phrases.sure');
        remove.setAttribute('aria-label', `${t('desk.phrases.sure')} ${label}`);
        return;
      }
      void this.keep(p.id, '');
    });
    return el('li', {}, insert, edit, remove);
  }

  /** Up and down go from one to the next. @param {KeyboardEvent} e */
  moved(e) {
    if (e.key !== 'ArrowDown' && e.key !== 'ArrowUp') return;
    const all = [...this.list.querySelectorAll('.phrase')];
    const at = all.findIndex((b) => b.parentElement?.contains(document.activeElement));
    const next = /** @type {HTMLElement | undefined} */ (all[at + (e.key === 'ArrowDown' ? 1 : -1)]);
    e.preventDefault();
    if (next) next.focus();
    else if (e.key === 'ArrowUp') this.filter.focus();
  }

  /** Puts a text where the field's cursor is. @param {string} text */
  insert(text) {
    const field = this.field;
    this.dialog.close();
    if (!field) return;
    const before = field.value.slice(0, field.selectionStart);
    put(field, before && !/\s$/.test(before) ? ` ${text}` : text); // apart from the word before it
  }
}
