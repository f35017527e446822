// @ts-check
// Looking for something in all conversations, and the way to those that are older than the list. Loaded when somebody does.

import { el, need } from './dom.js';
import { momentOf, t, whenOf } from './words.js';

/** @typedef {import('./panes.js').Panes} Panes */
/** @typedef {{talks: Record<string, any>[], older?: string, code?: string}} Found */

const PATIENCE = 20_000; // ms for one answer
const AGAIN = 700; // ms until we ask again when an earlier question is still being answered
const TRIES = 8;

/**
 * @param {string} words
 * @param {string} older
 * @param {AbortSignal} [off]
 * @returns {Promise<Found>}
 */
async function ask(words, older, off) {
  for (let tries = 1; ; tries++) {
    const limit = AbortSignal.timeout(PATIENCE);
    const signal = off ? AbortSignal.any([off, limit]) : limit;
    const answer = await fetch('/desk/find', { method: 'POST', body: new URLSearchParams({ words, older }), signal });
    if (answer.status !== 429 || tries === TRIES) {
      const found = /** @type {Found} */ (await answer.json());
      if (found.code === 'signed-out') location.reload();
      if (!answer.ok) throw new Error(found.code);
      return found;
    }
    await new Promise((done) => { setTimeout(done, AGAIN); });
  }
}

/**
 * Brings the next older conversations into the list.
 * @param {HTMLButtonElement} button  whose data-older says where they begin
 * @param {Panes} panes
 */
export async function showOlder(button, panes) {
  if (button.ariaBusy === 'true') return;
  button.ariaBusy = 'true';
  const text = need('older-text');
  text.textContent = '';
  try {
    const found = await ask('', button.dataset.older || '');
    panes.standing({ t: 'list', talks: found.talks });
    button.dataset.older = found.older || '';
    if (found.talks.length) /** @type {HTMLElement | null} */ (panes.item(found.talks[0].conv))?.focus();
    button.hidden = !found.older;
  } catch {
    text.textContent = t('desk.find.trouble');
  } finally {
    button.ariaBusy = 'false';
  }
}

export class Find {
  /** @param {Panes} panes */
  constructor(panes) {
    this.panes = panes;
    this.place = need('found');
    this.list = /** @type {HTMLElement} */ (this.place.querySelector('ol'));
    this.text = need('found-text');
    this.field = /** @type {HTMLInputElement} */ (need('find-words'));
    this.more = need('found-older');
    this.words = '';
    this.older = '';
    this.count = 0;
    this.off = new AbortController();
    this.more.addEventListener('click', () => this.go(this.older));
    need('found-end').addEventListener('click', () => this.end());
    this.field.addEventListener('keydown', (e) => {
      if (e.key === 'Escape' && !e.isComposing && !this.place.hidden) { e.preventDefault(); this.end(); }
    });
    this.field.addEventListener('input', () => { if (!this.field.value.trim()) this.close(); });
    this.list.addEventListener('click', (e) => this.clicked(e));
  }

  /** Looks for what stands in the field. */
  begin() {
    this.words = this.field.value.trim();
    if (!this.words) { this.close(); return; }
    this.list.replaceChildren();
    this.count = 0;
    void this.go('');
  }

  /** @param {string} older */
  async go(older) {
    this.off.abort();
    const off = this.off = new AbortController();
    this.place.hidden = false;
    need('listed').hidden = true;
    this.more.hidden = true;
    this.text.textContent = t('desk.find.looking');
    try {
      const found = await ask(this.words, older, off.signal);
      if (off.signal.aborted) return;
      const before = this.list.lastElementChild;
      this.list.append(...found.talks.map((f) => this.entry(f)));
      if (older) /** @type {HTMLElement | null | undefined} */ (before?.nextElementSibling?.querySelector('a'))?.focus();
      this.count += found.talks.length;
      this.older = found.older || '';
      this.more.hidden = !this.older;
      this.text.textContent = t(this.older ? 'desk.find.so-far' : this.count ? 'desk.find.all' : 'desk.find.none', { n: this.count, words: this.words });
    } catch {
      if (!off.signal.aborted) this.text.textContent = t('desk.find.trouble');
    }
  }

  /** @param {Record<string, any>} f */
  entry(f) {
    const who = el('span', { class: 'item-who', dir: 'auto' });
    who.append(...marked(f.who || t('desk.someone'), this.words));
    const about = el('span', { class: 'item-about', dir: 'auto' });
    about.append(...marked(f.about, this.words));
    const at = new Date(f.at);
    const href = `/desk/c/${encodeURIComponent(f.conv)}`;
    const li = el('li', {}, el('a', { href, 'data-n': '0' }, who, ' ', el('time', { datetime: at.toISOString() }, whenOf(at)), ' ', about));
    for (const h of f.hits || []) {
      const said = el('span', { class: 'hit-text', dir: 'auto' });
      said.append(...marked(h.text, this.words));
      const when = new Date(h.at);
      const by = el('b', { dir: 'auto' }, h.from === 'owner' ? t('chat.you') : h.from === 'guest' ? h.name || t('chat.guest', { n: h.who }) : f.who || t('desk.someone'));
      li.append(el('a', { class: 'hit', href, 'data-n': String(Number(h.n)) }, by, ' ', el('time', { datetime: when.toISOString() }, momentOf(when)), ' ', said));
    }
    for (const a of li.querySelectorAll('a')) a.dataset.conv = f.conv;
    this.found.set(f.conv, f);
    return li;
  }

  /** What the list of conversations needs to know of those that were found. @type {Map<string, Record<string, any>>} */
  found = new Map();

  /** @param {MouseEvent} e */
  clicked(e) {
    const a = /** @type {HTMLElement} */ (e.target).closest('a');
    if (!a || !a.dataset.conv || e.metaKey || e.ctrlKey || e.shiftKey) return;
    e.preventDefault();
    const conv = a.dataset.conv;
    const f = this.found.get(conv);
    if (f && !this.panes.item(conv)) this.panes.standing({ t: 'list', talks: [f] });
    this.panes.open(conv, true);
    if (Number(a.dataset.n)) this.panes.reveal(conv, Number(a.dataset.n));
  }

  /** Back to the list of conversations. */
  end() {
    this.field.value = '';
    this.close();
    this.field.focus();
  }

  close() {
    this.off.abort();
    this.place.hidden = true;
    need('listed').hidden = false;
    this.list.replaceChildren();
    this.text.textContent = '';
  }
}

/**
 * A text with what was looked for marked, where it stands as it was written or in another case.
 * @param {string} text
 * @param {string} words
 * @returns {(Node | string)[]}
 */
function marked(text, words) {
  const low = text.toLowerCase();
  if (low.length !== text.length) return [text];
  /** @type {(Node | string)[]} */
  const parts = [];
  const sought = words.toLowerCase().split(/\s+/).filter(Boolean);
  let from = 0;
  while (from < text.length) {
    let at = -1;
    let length = 0;
    for (const w of sought) {
      const i = low.indexOf(w, from);
      if (i >= 0 && (at < 0 || i < at)) { at = i; length = w.length; }
    }
    if (at < 0) break;
    parts.push(text.slice(from, at), el('mark', {}, text.slice(at, at + length)));
    from = at + length;
  }
  parts.push(text.slice(from));
  return parts;
}
