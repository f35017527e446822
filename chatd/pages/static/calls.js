// @ts-check
// Who is at the door: visits, shown silently; rings, with sound, title and notification; calls that were missed. One card
// each, above everything else on the desk.

import { announce, el, need } from './dom.js';
import { momentOf, t } from './words.js';

const CARDS = 3; // missed calls that have a card; of the others there is one line
const LOOK = 400; // ms that a missed call is in view before it counts as shown

/** States in which a reader has called, and waits. */
const CALLED = ['ringing', 'retrying', 'away', 'unknown', 'noticed', 'leaving', 'back'];

/** @typedef {import('./line.js').Frame} Frame */
/** @typedef {{key: string, frame: Frame, card: HTMLElement, rings: boolean, note: Notification | null, told: boolean}} Call */
/**
 * @typedef {object} Acts
 * @property {(f: Frame) => void} answer
 * @property {(f: Frame) => void} decline
 * @property {(f: Frame) => void} moment
 * @property {(conv: string) => void} open
 * @property {(f: Frame) => void} alerted   this device has made itself noticed
 * @property {(conv: string) => string} state   where the call of a conversation stands
 */

export class Calls {
  /**
   * @param {HTMLElement} list
   * @param {import('./sound.js').Sound} sound
   * @param {Acts} acts
   */
  constructor(list, sound, acts) {
    this.list = list;
    this.sound = sound;
    this.acts = acts;
    this.title = document.title;
    /** Messages that are unread, by conversation. @type {Map<string, number>} */
    this.unread = new Map();
    /** By conversation: a visit that begins to ring keeps its card. @type {Map<string, Call>} */
    this.calls = new Map();
    this.looking = 0;
    const all = this.button('desk.dismiss.all', '', () => this.dismissAll());
    this.more = el('li', { class: 'call missed more' }, el('p', { class: 'call-text' }), el('div', { class: 'call-acts' }, all));
  }

  /** Somebody opened a mail's link and is there. @param {Frame} f */
  visit(f) {
    if (f.missed) { this.missed(f); return; }
    const key = this.key(f.conv);
    const text = t(key, { who: whoOf(f) });
    const c = this.show(f, 'visit', text, [this.button('desk.talk', 'main', () => this.answer(f))]);
    c.key = key;
    if (c.rings) this.quiet(c);
    this.retitle();
    announce(`${text} ${provedOf(f)} ${aboutOf(f)}`);
  }

  /** What is said of somebody who is there and does not ring just now: the key of its words. @param {string} conv */
  key(conv) {
    const state = this.acts.state(conv);
    if (state === 'moment') return 'desk.visit.moment';
    if (state === 'left') return 'desk.visit.left';
    return CALLED.includes(state) ? 'desk.visit.waits' : 'desk.visit';
  }

  /** He wants to talk now. @param {Frame} f */
  ring(f) {
    if (f.missed) { this.missed(f); return; }
    const text = t('desk.ring', { who: whoOf(f) });
    const c = this.show(f, 'ring', text, [
      this.button('desk.answer', 'main', () => this.answer(f)),
      this.button('desk.moment', '', () => this.acts.moment(f)),
      this.button('desk.decline', '', () => { this.acts.decline(f); this.remove(f.conv); }),
    ]);
    c.rings = true;
    const heard = this.sound.ring();
    c.note = this.notify(text, f);
    this.retitle();
    announce(`${text} ${provedOf(f)} ${aboutOf(f)}`);
    if (heard || c.note || !document.hidden) this.acts.alerted(f);
  }

  /** A call from the time when nobody was here. @param {Frame} f */
  missed(f) {
    const text = t('desk.missed', { who: whoOf(f) });
    this.show(f, 'missed', text, [
      this.button('desk.open', 'main', () => { this.remove(f.conv); this.acts.open(f.conv); }),
      this.button('desk.dismiss', '', () => this.remove(f.conv)),
    ]);
    if (!f.quiet) this.sound.chime();
    this.arrange();
    this.retitle();
    announce(`${text} ${aboutOf(f)}`);
  }

  /** The latest missed calls have their cards, below everybody who is there; the server hears which were shown. */
  arrange() {
    const missed = [...this.calls.values()].filter((c) => c.frame.missed);
    missed.sort((a, b) => timeOf(b) - timeOf(a));
    const cards = missed.map((c) => c.card);
    const placed = [...this.list.children].filter((card) => cards.includes(/** @type {HTMLElement} */ (card)));
    if (placed.some((card, i) => card !== cards[i])) {
      const focus = /** @type {HTMLElement | null} */ (document.activeElement);
      this.list.append(...cards);
      if (this.list.contains(focus)) focus?.focus();
    }
    for (const [i, c] of missed.entries()) c.card.hidden = i >= CARDS;
    clearTimeout(this.looking);
    this.looking = setTimeout(() => {
      if (!this.sound.armed && document.hidden) return;
      for (const c of this.calls.values()) if (c.frame.missed && !c.card.hidden) this.shown(c);
    }, LOOK);
    const others = missed.length - CARDS;
    if (others > 0) {
      /** @type {Element} */ (this.more.firstElementChild).textContent = t('desk.more', { n: others });
      this.list.append(this.more);
    } else {
      this.more.remove();
    }
  }

  /** @param {Call} c a missed call that the owner has been shown */
  shown(c) {
    if (c.told || !c.frame.call) return;
    c.told = true;
    this.acts.alerted(c.frame);
  }

  /** All missed calls are known. */
  dismissAll() {
    for (const [conv, c] of this.calls) {
      if (c.frame.missed) this.remove(conv);
    }
    need('sound').focus();
  }

  /** The call is over for this device: answered elsewhere, given up, or the visitor has gone. @param {Frame} f */
  silence(f) {
    for (const [conv, c] of this.calls) {
      if (c.frame.call === f.call && !c.frame.missed) this.remove(conv);
    }
  }

  /** The line is down: what we show may no longer be true, and the server tells it anew. */
  forget() {
    for (const [conv, c] of this.calls) if (!c.frame.missed) this.remove(conv);
  }

  /** Where the call of a conversation stands is another than before: whoever waits is shown so. @param {string} conv */
  stands(conv) {
    const c = this.calls.get(conv);
    if (c && !c.rings && !c.frame.missed && c.key !== this.key(conv)) this.visit(c.frame);
  }

  /** The owner talks in the conversation, or has declined to. @param {string} conv */
  taken(conv) { this.remove(conv); }

  /** Whoever opens the conversation knows of the call that was missed in it. @param {string} conv */
  known(conv) {
    if (this.calls.get(conv)?.frame.missed) this.remove(conv);
  }

  /** @param {Frame} f */
  answer(f) {
    this.remove(f.conv);
    this.acts.answer(f);
  }

  /** @param {string} conv */
  remove(conv) {
    const c = this.calls.get(conv);
    if (!c) return;
    this.calls.delete(conv);
    if (c.frame.missed) this.shown(c);
    this.quiet(c);
    c.card.remove();
    this.arrange();
    this.retitle();
  }

  /** @param {Call} c */
  quiet(c) {
    c.rings = false;
    c.note?.close();
    c.note = null;
    if (![...this.calls.values()].some((other) => other.rings)) this.sound.hush();
    this.retitle();
  }

  /**
   * @param {Frame} f
   * @param {string} kind
   * @param {string} text
   * @param {HTMLElement[]} buttons
   * @returns {Call}
   */
  show(f, kind, text, buttons) {
    const old = this.calls.get(f.conv);
    const head = el('p', { class: 'call-who', dir: 'auto' });
    head.textContent = text;
    const about = el('p', { class: 'call-about', dir: 'auto' });
    about.textContent = aboutOf(f);
    if (f.at && kind !== 'ring') about.append(' ', el('time', { datetime: String(f.at) }, momentOf(new Date(f.at))));
    const card = el('li', { class: `call ${kind}`, 'data-conv': f.conv }, el('div', { class: 'call-text' }, head, ...(f.proved ? [el('p', { class: 'call-proved' }, provedOf(f))] : []), about), el('div', { class: 'call-acts' }, ...buttons));
    if (old) {
      const hadFocus = old.card.contains(document.activeElement);
      old.card.replaceWith(card);
      if (hadFocus) buttons[0].focus();
    } else {
      this.list.insertBefore(card, f.missed ? null : this.list.querySelector('.missed'));
    }
    if (old?.frame.missed && f.missed) this.shown(old); // its card is the later one's now
    const c = { key: '', frame: f, card, rings: old?.rings ?? false, note: old?.note ?? null, told: false };
    this.calls.set(f.conv, c);
    return c;
  }

  /**
   * @param {string} key
   * @param {string} look
   * @param {() => void} act
   */
  button(key, look, act) {
    const b = el('button', { type: 'button', class: look }, t(key));
    b.addEventListener('click', act);
    return b;
  }

  /**
   * A notification of the system, where that was allowed and the person is elsewhere.
   * @param {string} text
   * @param {Frame} f
   * @returns {Notification | null}
   */
  notify(text, f) {
    if (!('Notification' in window) || Notification.permission !== 'granted' || (!document.hidden && document.hasFocus())) return null;
    try {
      const n = new Notification(text, { body: [provedOf(f), aboutOf(f)].filter(Boolean).join('\n'), tag: String(f.call), requireInteraction: true });
      n.onclick = () => { focus(); n.close(); };
      return n;
    } catch {
      return null; // some phones allow notifications from service workers only
    }
  }

  /** @param {Map<string, number>} unread */
  count(unread) {
    this.unread = unread;
    this.retitle();
  }

  /** The title, and the pane where no conversation is open, say what is the case. */
  retitle() {
    const all = [...this.calls.values()];
    const ringing = all.find((c) => c.rings);
    const visiting = all.find((c) => !c.frame.missed);
    if (ringing) this.pane(t('desk.ring', { who: whoOf(ringing.frame) }), t('desk.ring.text'));
    else if (visiting) this.pane(t(this.key(visiting.frame.conv), { who: whoOf(visiting.frame) }), t('desk.visit.text'));
    else this.pane(t('desk.quiet'), t('desk.quiet.text'));
    // A missed call whose conversation has unread messages is one matter, not two.
    const missed = all.filter((c) => c.frame.missed && !this.unread.has(c.frame.conv)).length;
    const fresh = [...this.unread.values()].reduce((sum, n) => sum + n, missed);
    if (ringing) document.title = `☎ ${t('desk.ring', { who: whoOf(ringing.frame) })}`;
    else if (fresh > 0) document.title = `(${fresh}) ${this.title}`;
    else document.title = this.title;
  }

  /**
   * @param {string} head
   * @param {string} text
   */
  pane(head, text) {
    need('nothing-head').textContent = head;
    need('nothing-text').textContent = text;
  }
}

/** @param {Frame} f */
function whoOf(f) { return String(f.who || '') || t('desk.someone'); }

/** By what address he is known: beside what he calls himself, which may look like one. @param {Frame} f */
function provedOf(f) { return f.proved ? t('desk.proved', { address: String(f.proved) }) : ''; }

/** @param {Frame} f */
function aboutOf(f) { return f.about ? t('desk.about', { about: String(f.about) }) : t('desk.about.nothing'); }

/** When a call was made; now where that is not said. @param {Call} c */
function timeOf(c) { return c.frame.at ? Date.parse(c.frame.at) : Date.now(); }
