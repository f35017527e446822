// @ts-check
// Sending files: one after the other, with progress, until the server has said that each is safe. A file has an id of ours like a message, so that to send it once
// more, because nobody knows what became of it, does no harm.

import { announce, el } from './dom.js';
import { randomId } from './talk.js';
import { sizeOf, t } from './words.js';

const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 30_000;
const AGAIN = new Set(['busy', 'trouble', 'intent', '']); // what may be otherwise a moment later

/** @typedef {{file: File, cid: string, item: HTMLElement, bar: HTMLProgressElement, tries: number}} Upload */

export class Uploads {
  /** @param {import('./attach.js').Way} way */
  constructor(way) {
    this.way = way;
    /** @type {Upload[]} */
    this.queue = [];
    /** @type {XMLHttpRequest | null} */
    this.request = null;
    this.timer = 0;
    addEventListener('beforeunload', (e) => { if (this.queue.length > 0) e.preventDefault(); }); // a file that is not sent yet does not outlive the page
  }

  /** @param {File[]} files */
  add(files) {
    for (const file of files) {
      const u = this.show(file);
      if (file.size > this.way.max) this.refuse(u, 'large');
      else this.queue.push(u);
    }
    this.next();
  }

  /** @param {boolean} up */
  line(up) {
    const now = this.queue[0];
    if (!up || !now || this.request) return;
    now.tries = 0;
    this.next();
  }

  /**
   * The file among the messages, as one that is on its way.
   * @param {File} file
   * @returns {Upload}
   */
  show(file) {
    const { log } = this.way;
    const bar = /** @type {HTMLProgressElement} */ (el('progress', { max: '1', value: '0', 'aria-label': file.name }));
    const said = el('p', { class: 'said', dir: 'auto' }, file.name, ' ', el('span', { class: 'size' }, sizeOf(file.size)));
    const mark = el('span', { class: 'mark' }, t('chat.sending'));
    const cancel = el('button', { type: 'button', 'aria-label': t('chat.file.cancel', { name: file.name }) }, t('chat.cancel'));
    const item = el('li', { class: 'mine', 'data-whose': 'mine', 'data-state': 'sending' },
      el('b', { class: 'author' }, t('chat.you')), said, bar, el('span', { class: 'foot' }, mark, ' ', cancel));
    const u = { file, cid: `file.${randomId()}`, item, bar, tries: 0 };
    cancel.addEventListener('click', () => this.cancel(u));
    log.waiting.set(u.cid, item);
    log.place(item, Infinity, null);
    return u;
  }

  /** Sends what is first in turn. */
  next() {
    clearTimeout(this.timer);
    const u = this.queue[0];
    if (!u || this.request) return;
    const x = this.request = new XMLHttpRequest();
    x.open('POST', `${this.way.url}?cid=${u.cid}`);
    x.setRequestHeader('Content-Type', 'application/octet-stream');
    x.setRequestHeader('Content-Disposition', `attachment; filename*=UTF-8''${encoded(u.file.name)}`);
    x.upload.onprogress = (e) => { if (e.lengthComputable) u.bar.value = e.loaded / e.total; };
    x.onloadend = () => {
      if (this.request !== x) return; // called off
      this.request = null;
      this.answered(u, x.status, answer(x.responseText));
    };
    this.mark(u, 'sending', t('chat.sending'));
    x.send(u.file);
  }

  /**
   * @param {Upload} u
   * @param {number} status
   * @param {{n?: number, code?: string}} a
   */
  answered(u, status, a) {
    if (status === 201) {
      this.queue.shift();
      this.mark(u, 'sent', t('chat.sent'));
      u.bar.remove();
      u.item.querySelector('button')?.remove(); // its event takes its place
      this.way.spoke?.();
    } else if (status === 0 || status >= 500 || AGAIN.has(a.code ?? ' ')) {
      this.mark(u, 'waiting', t('chat.waiting'));
      u.bar.value = 0;
      this.timer = setTimeout(() => this.next(), Math.min(FIRST_WAIT * 2 ** u.tries++, LONGEST_WAIT));
      return;
    } else {
      this.queue.shift();
      this.refuse(u, a.code ?? '');
    }
    this.next();
  }

  /**
   * @param {Upload} u
   * @param {string} code  why
   */
  refuse(u, code) {
    const key = `chat.file.refused.${code}`;
    const words = t(key, { max: sizeOf(this.way.max) });
    this.mark(u, 'refused', words === key ? t('chat.file.refused') : words);
    u.bar.remove();
    const button = u.item.querySelector('button');
    if (!button) return;
    button.textContent = t('chat.file.dismiss');
    button.setAttribute('aria-label', t('chat.file.dismiss.name', { name: u.file.name }));
  }

  /** @param {Upload} u */
  cancel(u) {
    const first = this.queue[0] === u;
    this.queue = this.queue.filter((other) => other !== u);
    this.way.log.gone(u.cid);
    this.way.log.box.focus();
    announce(t('chat.file.cancelled', { name: u.file.name }));
    if (!first) return;
    const x = this.request;
    this.request = null;
    x?.abort();
    this.next();
  }

  /**
   * @param {Upload} u
   * @param {string} state
   * @param {string} words
   */
  mark(u, state, words) {
    u.item.dataset.state = state;
    const place = u.item.querySelector('.mark');
    if (place && place.textContent !== words) place.textContent = words;
  }
}

/** A name for a header field (RFC 8187). @param {string} name */
function encoded(name) {
  return encodeURIComponent(name.slice(-200).toWellFormed?.() ?? name.slice(-200)).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
}

/**
 * @param {string} text
 * @returns {{n?: number, code?: string}}
 */
function answer(text) {
  try { return JSON.parse(text) || {}; } catch { return {}; }
}
