// @ts-check
// The conversation on the page: a list of what was said and what happened, the newest below. Text is only ever set as text, and addresses in it as links.

import { announce, el } from './dom.js';
import { linked } from './links.js';
import { dayOf, sizeOf, t, timeOf } from './words.js';

/** @typedef {import('./line.js').Frame} Frame */

export class Log {
  /**
   * @param {HTMLElement} box   scrolls, has role=log, and holds an ol
   * @param {(f: Frame) => {mine: boolean, name: string}} who  whose event it is
   * @param {string} files  where files are found, by their ids
   */
  constructor(box, who, files) {
    this.box = box;
    this.files = files;
    this.list = /** @type {HTMLElement} */ (box.querySelector('ol'));
    this.who = who;
    this.day = '';
    /** Our own messages that are not yet safe, by their id. @type {Map<string, HTMLElement>} */
    this.waiting = new Map();
    /** How whoever has given a name was called last, as data-from has it. @type {Map<string, string>} */
    this.called = new Map();
    /** The reader of the log is at its end and wants to stay there. */
    this.follow = true;
    /** Told of messages of our own that are safe. @type {(item: HTMLElement, at: Date) => void} */
    this.own = () => {};
    /** Says of a message of ours how far it has come. @type {(item: HTMLElement) => void} */
    this.reached = () => {};
    let top = 0;
    box.addEventListener('scroll', () => {
      if (box.scrollHeight - box.scrollTop - box.clientHeight < 60) this.follow = true;
      else if (box.scrollTop < top) this.follow = false; // by a person; what grows below leaves it where it is
      top = box.scrollTop;
    }, { passive: true });
    const sizes = new ResizeObserver(() => this.toEnd());
    sizes.observe(box);
    sizes.observe(this.list); // a picture has its height when it has come
  }

  toEnd() { if (this.follow) this.box.scrollTop = this.box.scrollHeight; }

  /** @param {Frame} f */
  event(f) {
    const at = new Date(f.at || Date.now());
    const { mine, name } = this.who(f);
    const from = `${f.from}${f.who || ''}`;
    if (f.kind === 'name') { // all that he has done is shown under it: what is news is how he was called before
      const before = this.called.get(from);
      this.called.set(from, String(f.text));
      if (f.from === 'guest') this.rename(String(f.text), from);
      if (mine || !before || before === f.text) return;
      const was = t('chat.event.named', { name: before, text: String(f.text) });
      this.place(el('li', { class: 'happened', 'data-kind': f.kind, 'data-from': from }, el('span', { dir: 'auto' }, was), ' ', time(at)), f.n, at);
      return;
    }
    if (f.kind === 'say') {
      const item = bubble(String(f.text ?? ''), mine, name, at);
      item.dataset.from = from;
      this.place(item, f.n, at);
      this.reached(item);
      if (!f.text) show(item, '');
      else if (mine) this.own(item, at);
      return;
    }
    if (f.kind === 'file') {
      this.gone(f.cid); // it takes the place of what was on its way
      const item = bubble('', mine, name, at);
      item.dataset.from = from;
      if (f.file) sentFile(item, String(f.text ?? ''), f.file, this.files);
      this.place(item, f.n, at);
      this.reached(item);
      if (!f.file) show(item, '');
      else if (mine) this.own(item, at);
      return;
    }
    if (f.kind === 'edit' || f.kind === 'delete') {
      this.amended(f, mine);
      return;
    }
    const text = mine && f.kind !== 'ended' ? '' : happened(f, name); // one knows what one has done oneself
    if (text) this.place(el('li', { class: 'happened', 'data-kind': f.kind, 'data-from': from }, el('span', { dir: 'auto' }, text), ' ', time(at)), f.n, at);
  }

  /**
   * Somebody is called otherwise, and so is all that he has done.
   * @param {string} name
   * @param {string} [from]  who, as data-from has it
   */
  rename(name, from = 'visitor') {
    for (const author of this.list.querySelectorAll(`.theirs[data-from="${CSS.escape(from)}"] .author`)) author.textContent = name;
    for (const item of this.list.querySelectorAll(`.happened[data-from="${CSS.escape(from)}"]`)) {
      const kind = /** @type {HTMLElement} */ (item).dataset.kind || '';
      if (kind !== 'name' && kind !== 'call') /** @type {Element} */ (item.firstElementChild).textContent = happened({ t: 'event', kind }, name);
    }
  }

  /**
   * A message was changed, or taken back.
   * @param {Frame} f
   * @param {boolean} mine
   */
  amended(f, mine) {
    this.waiting.delete(f.cid);
    const item = this.item(f.of);
    if (!item) return;
    show(item, f.kind === 'edit' ? String(f.text ?? '') : '');
    if (mine) mark(item, 'sent');
    this.reached(item);
    this.toEnd();
  }

  /** @param {number} n @returns {HTMLElement | null} */
  item(n) { return this.list.querySelector(`[data-whose][data-n="${Number(n)}"]`); }

  /** @param {{cid: string, text: string, of?: number}} w */
  pending(w) {
    if (w.of) {
      const meant = this.item(w.of);
      if (!meant) return; // its event comes
      this.waiting.set(w.cid, meant);
      mark(meant, 'sending');
      return;
    }
    const item = bubble(w.text, true, '', new Date());
    this.waiting.set(w.cid, item);
    mark(item, 'sending');
    this.place(item, Infinity, null);
  }

  /**
   * @param {string} cid
   * @param {number} n
   */
  safe(cid, n) {
    const item = this.waiting.get(cid);
    if (!item) return;
    this.waiting.delete(cid);
    mark(item, 'sent');
    this.place(item, n, new Date());
    this.reached(item);
    this.own(item, new Date());
  }

  /** @param {string} cid */
  gone(cid) {
    this.waiting.get(cid)?.remove();
    this.waiting.delete(cid);
  }

  /**
   * @param {string} cid
   * @param {string} code  why
   * @param {number} of  what it was to change; 0: nothing
   */
  refused(cid, code, of) {
    const item = this.waiting.get(cid) ?? (of ? this.item(of) : null);
    if (!item) {
      if (of) announce(t('chat.unchanged')); // a change from before the page was loaded anew, of what it has not shown yet
      return;
    }
    this.waiting.delete(cid);
    if (code === 'unchanged') mark(item, code);
    else mark(item, 'refused', code === 'ended' ? 'chat.refused.ended' : 'chat.refused');
  }

  /** What is on its way says whether the line is up. @param {boolean} up */
  line(up) {
    for (const item of this.waiting.values()) {
      if (item.dataset.state === 'sending' || item.dataset.state === 'waiting') mark(item, up ? 'sending' : 'waiting');
    }
  }

  /**
   * Puts an item where its number belongs: the order is the server's, the same for everybody, and what is not yet safe
   * comes last.
   * @param {HTMLElement} item
   * @param {number} n
   * @param {Date | null} at  null: no heading for its day
   */
  place(item, n, at) {
    const list = this.list;
    if (n === Infinity) this.follow = true;
    item.dataset.n = String(n);
    let next = null;
    for (let e = list.lastElementChild; e && Number(/** @type {HTMLElement} */ (e).dataset.n) > n; e = e.previousElementSibling) {
      if (e !== item) next = e;
    }
    if (at && at.toDateString() !== this.day) {
      const today = at.toDateString() === new Date().toDateString();
      if (!(today && this.day === '')) list.insertBefore(el('li', { class: 'day', 'data-n': String(n) }, dayOf(at)), next);
      this.day = at.toDateString();
    }
    list.insertBefore(item, next);
    const before = /** @type {HTMLElement | null} */ (item.previousElementSibling);
    const goesOn = before !== null && !!item.dataset.whose && before.dataset.whose === item.dataset.whose && (item.dataset.whose === 'mine' || before.dataset.from === item.dataset.from);
    item.classList.toggle('goes-on', goesOn);
    item.classList.toggle('same-minute', goesOn && before.querySelector('time')?.textContent === item.querySelector('time')?.textContent);
    this.toEnd();
  }
}

/**
 * @param {string} text
 * @param {boolean} mine
 * @param {string} name
 * @param {Date} at
 */
function bubble(text, mine, name, at) {
  const said = el('p', { class: 'said', dir: 'auto' });
  said.append(...linked(text));
  const author = el('b', { class: 'author', dir: 'auto' });
  author.textContent = mine ? t('chat.you') : name;
  const foot = el('span', { class: 'foot' }, time(at));
  if (mine) foot.append(' ', el('span', { class: 'mark' }), el('span', { class: 'reach', 'aria-live': 'off' }));
  return el('li', { class: mine ? 'mine' : 'theirs', 'data-whose': mine ? 'mine' : 'theirs' }, author, said, foot);
}

/**
 * A file: a picture is shown, and everything can be saved.
 * @param {HTMLElement} item
 * @param {string} name
 * @param {{id: string, type: string, size: number, width?: number, height?: number}} file
 * @param {string} files  where it is found
 */
function sentFile(item, name, file, files) {
  const href = files + encodeURIComponent(file.id);
  const link = el('a', { href, download: name, rel: 'noopener' });
  item.dataset.file = file.id;
  if (file.width && file.height && /^image\/(jpeg|png|gif)$/.test(file.type)) {
    link.append(el('img', { src: href, alt: name, width: String(file.width), height: String(file.height), loading: 'lazy', decoding: 'async' }));
    link.append(el('span', { class: 'filename', 'aria-hidden': 'true' }, name));
    link.addEventListener('click', (e) => { // it is opened larger; from there it can be saved
      if (e.metaKey || e.ctrlKey || e.shiftKey) return;
      e.preventDefault();
      import('./larger.js').then((m) => m.larger(href, name), () => { location.href = href; });
    });
  } else {
    link.append(el('span', { class: 'filename' }, name));
  }
  item.querySelector('.said')?.replaceChildren(link, ' ', el('span', { class: 'size' }, sizeOf(Number(file.size))));
}

/**
 * What a message says now; '' when it was taken back.
 * @param {HTMLElement} item
 * @param {string} text
 */
function show(item, text) {
  item.querySelector('.said')?.replaceChildren(...(text ? linked(text) : [t('chat.deleted')]));
  if (!text) item.querySelector('.changes')?.remove();
  item.classList.toggle('taken-back', !text);
  item.classList.toggle('amended', !!text);
  item.querySelector('.edited')?.remove();
  if (text) item.querySelector('time')?.after(' ', el('span', { class: 'edited' }, t('chat.edited')));
}

/** @param {Date} at */
function time(at) {
  return el('time', { datetime: at.toISOString() }, timeOf(at));
}

/**
 * How far a message of ours has come: in words, and in data-state for its look.
 * @param {HTMLElement} item
 * @param {'sending' | 'waiting' | 'sent' | 'refused' | 'unchanged'} state
 * @param {string} [words]  key of what is said about it
 */
function mark(item, state, words = `chat.${state}`) {
  item.dataset.state = state;
  delete item.dataset.reach;
  item.querySelector('.reach')?.replaceChildren();
  const place = item.querySelector('.mark');
  if (place) place.textContent = t(words);
}

/**
 * A sentence for an event that is no message; '' for one that needs none.
 * @param {Frame} f
 * @param {string} name
 */
function happened(f, name) {
  const key = `chat.event.${f.kind}`;
  const text = t(key, { name });
  return text === key ? '' : text;
}
