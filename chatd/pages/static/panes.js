// @ts-check
// The conversations of the desk: the list at the side with what is unread, and one pane for each that was opened.

import { acts } from './acts.js';
import { amending } from './amend.js';
import { attaching } from './attach.js';
import { Guests } from './guests.js';
import { composer } from './composer.js';
import { el, need } from './dom.js';
import { History } from './history.js';
import { Log } from './log.js';
import { Signs } from './signs.js';
import { Talk } from './talk.js';
import { t, whenOf } from './words.js';

/** @typedef {import('./line.js').Frame} Frame */
/** @typedef {{root: HTMLElement, log: Log, talk: Talk, calls: History, state: HTMLElement, write: HTMLTextAreaElement, guests: Guests, files: (up: boolean) => void, signs: Signs, seen: number}} Pane */

const LOOK = 400; // ms that something is in view before it counts as seen

export class Panes {
  /**
   * @param {{send: (f: Frame) => boolean, renew: () => void, unread: (n: Map<string, number>) => void, opened: (conv: string) => void, spoke: (conv: string) => void, canned: (field: HTMLTextAreaElement) => void}} o
   */
  constructor(o) {
    this.o = o;
    this.list = need('conversations');
    this.place = need('panes');
    /** @type {Map<string, Pane>} */
    this.panes = new Map();
    /** @type {Map<string, number>} */
    this.unread = new Map();
    this.shown = '';
    this.up = false;
    this.looking = 0;
    /** A message that is to be shown once it is there. */
    this.wanted = { conv: '', n: 0 };
    /** @type {Map<string, ReturnType<typeof setTimeout>>} */
    this.getting = new Map();
    /** The newest event of each conversation that its number of unread ones knows of. @type {Map<string, number>} */
    this.counted = new Map();
    /** Where each conversation's call stands, and whether its reader is here. @type {Map<string, {call: string, here: boolean}>} */
    this.stands = new Map();
    /** Conversations whose visitors are blocked. @type {Set<string>} */
    this.out = new Set();
    this.list.addEventListener('click', (e) => this.clicked(e));
    for (const a of this.list.querySelectorAll('a')) {
      const n = Number(a.dataset.unread || 0);
      if (n) this.unread.set(a.dataset.conv || '', n);
      const time = a.querySelector('time');
      if (time) time.textContent = whenOf(new Date(time.dateTime)); // the server does not know this clock
      this.stands.set(a.dataset.conv || '', { call: a.dataset.call || '', here: a.dataset.here === 'true' });
    }
  }

  /** @param {MouseEvent} e */
  clicked(e) {
    const a = /** @type {HTMLElement} */ (e.target).closest('a');
    if (!a || !a.dataset.conv || e.metaKey || e.ctrlKey || e.shiftKey) return;
    e.preventDefault();
    this.open(a.dataset.conv, true);
  }

  /**
   * Shows a conversation; '' shows none (on a phone: the list).
   * @param {string} conv
   * @param {boolean} move  also in the address line
   */
  open(conv, move) {
    if (move && conv !== this.shown) history.pushState({ conv }, '', conv ? `/desk/c/${encodeURIComponent(conv)}` : '/desk');
    this.shown = conv;
    document.body.dataset.shown = conv ? 'one' : 'none';
    need('nothing').hidden = conv !== '';
    for (const [id, p] of this.panes) p.root.hidden = id !== conv;
    if (conv) {
      const p = this.panes.get(conv) ?? this.make(conv);
      p.root.hidden = false;
      this.o.opened(conv);
      this.look();
      if (move) p.write.focus();
    }
    for (const a of this.list.querySelectorAll('a')) {
      if (a.dataset.conv === conv) a.setAttribute('aria-current', 'page');
      else a.removeAttribute('aria-current');
    }
  }

  /**
   * Shows a message of a conversation that is open: at once, or when it comes.
   * @param {string} conv
   * @param {number} n
   */
  reveal(conv, n) {
    const log = this.panes.get(conv)?.log;
    const item = log?.item(n);
    this.wanted = item ? { conv: '', n: 0 } : { conv, n };
    if (!log || !item) return;
    log.follow = false;
    for (const old of log.list.querySelectorAll('.found')) old.classList.remove('found');
    item.classList.add('found');
    item.tabIndex = -1;
    item.focus({ preventScroll: true });
    item.scrollIntoView({ block: 'center' });
  }

  /**
   * @param {string} conv
   * @returns {Pane}
   */
  make(conv) {
    const template = /** @type {HTMLTemplateElement} */ (need('pane'));
    const root = /** @type {HTMLElement} */ (/** @type {Element} */ (template.content.firstElementChild).cloneNode(true));
    root.dataset.conv = conv;
    const item = this.item(conv);
    const who = item?.dataset.who || t('desk.someone');
    const about = item?.dataset.about || '';
    pick(root, '.pane-who').textContent = who;
    pick(root, '.pane-about').textContent = about ? t('desk.about', { about }) : t('desk.about.nothing');
    const at = `/desk/c/${encodeURIComponent(conv)}/files`;
    const box = pick(root, '.log');
    box.setAttribute('aria-label', t('desk.pane', { who }));
    const log = new Log(box, (f) => (f.from === 'owner' ? { mine: true, name: '' } : { mine: false, name: this.nameOf(conv, f) }), `${at}/`);
    const talk = new Talk(conv, log, (f) => this.o.send({ ...f, conv }), this.o.renew);
    const form = /** @type {HTMLFormElement} */ (pick(root, 'form'));
    const amends = amending(log, talk, form);
    const write = composer(form, conv, (text) => { if (amends(text)) return; talk.say(text); this.o.spoke(conv); });
    const files = attaching(root, { log, url: at, max: Number(need('desk').dataset.files), up: () => this.up, spoke: () => this.o.spoke(conv) });
    pick(root, '.canned').addEventListener('click', () => this.o.canned(write));
    pick(root, '.back').addEventListener('click', () => this.open('', true));
    acts(root, conv, () => this.item(conv)?.dataset.who || t('desk.someone'), this.o.send);
    const signs = new Signs({ form, log, talk, name: () => this.item(conv)?.dataset.who || t('desk.someone'), send: (f) => this.o.send({ ...f, conv }) });
    const p = { root, log, talk, calls: new History(log), state: pick(root, '.pane-state'), write, guests: new Guests(root, conv, this.o.send), files, signs, seen: 0 };
    this.panes.set(conv, p);
    this.place.append(root);
    this.bar(conv, p);
    this.show(conv);
    this.o.send({ t: 'open', conv, last: 0 });
    return p;
  }

  /**
   * @param {string} conv
   * @param {Frame} f
   */
  nameOf(conv, f) {
    if (f.from === 'guest') return f.login ? t('chat.colleague', { name: f.name }) : f.name || t('chat.guest', { n: f.who });
    return f.name || (f.from !== 'visitor' && f.from) || this.item(conv)?.dataset.who || t('desk.someone');
  }

  /** The line is up: every opened conversation goes on from its last event. */
  resume() {
    for (const [conv, p] of this.panes) {
      p.calls.live = null; // where the call stands is told anew
      this.o.send({ t: 'open', conv, last: p.talk.last });
      p.talk.resend();
    }
  }

  /** @param {boolean} up */
  line(up) {
    this.up = up;
    for (const p of this.panes.values()) {
      p.files(up);
      if (!up) p.talk.paused();
      p.signs.quiet();
      p.log.line(up);
    }
  }

  /** @param {Frame} f */
  event(f) {
    const p = this.panes.get(f.conv);
    const before = p ? p.talk.last : 0;
    if (p) p.talk.event(f);
    if (f.n === this.wanted.n && f.conv === this.wanted.conv) this.reveal(f.conv, f.n);
    if (p && f.from === 'guest') p.guests.event(f, this.nameOf(f.conv, f));
    if (f.kind === 'name' && f.from === 'visitor') this.rename(f.conv, String(f.text ?? ''));
    if (p && f.n <= before) return;
    this.look();
    if (f.kind !== 'say' && f.kind !== 'file') return;
    if (f.n <= (this.counted.get(f.conv) || 0)) return; // the list has it already
    this.counted.set(f.conv, f.n);
    const a = this.entry(f.conv, { ...f, who: '' });
    pick(a, '.item-text').textContent = String(f.text ?? '').slice(0, 120);
    if (f.from === 'owner') return;
    p?.signs.quiet();
    if (this.sees(f.conv)) return;
    this.bump(f.conv);
    this.got(f.conv, f.n);
  }

  /** A code for a guest. @param {Frame} f */
  code(f) { this.panes.get(f.conv)?.guests.code(f); }

  /** Who else has followed the link of a conversation's mail. @param {Frame} f */
  readers(f) { this.panes.get(f.conv)?.guests.readers(f, this.item(f.conv)?.dataset.who || t('desk.someone')); }

  /** @param {Frame} f */
  invited(f) { this.panes.get(f.conv)?.guests.invited(f); }

  /** The visitor of a conversation is writing. @param {Frame} f */
  typing(f) { this.panes.get(f.conv)?.signs.typing(); }

  /** How far the visitor has come with what was said. @param {Frame} f */
  reach(f) { this.panes.get(f.conv)?.signs.reach(f); }

  /**
   * What the visitor has said has come here, though nobody looks at it.
   * @param {string} conv
   * @param {number} n
   */
  got(conv, n) {
    clearTimeout(this.getting.get(conv));
    this.getting.set(conv, setTimeout(() => { this.getting.delete(conv); this.o.send({ t: 'got', conv, n }); }, LOOK));
  }

  /** How the list shows a conversation in which something was changed or taken back. @param {Frame} f */
  said(f) {
    const a = this.item(f.conv);
    if (!a || f.n < (this.counted.get(f.conv) || 0)) return;
    this.counted.set(f.conv, f.n);
    pick(a, '.item-text').textContent = f.text;
    if (f.unread && !this.sees(f.conv)) this.unread.set(f.conv, f.unread);
    else this.unread.delete(f.conv);
    this.mark(f.conv);
  }

  /** The line is up: how all conversations stand, whatever happened while it was down. @param {Frame} f newest first */
  standing(f) {
    for (const c of f.talks) {
      const a = this.entry(c.conv, c);
      pick(a, '.item-text').textContent = c.text;
      if (c.who) this.rename(c.conv, c.who);
      this.stands.set(c.conv, { call: String(c.state), here: !!c.here });
      this.show(c.conv);
      this.counted.set(c.conv, c.last);
      if (c.unread) this.unread.set(c.conv, c.unread);
      else this.unread.delete(c.conv);
      this.mark(c.conv);
    }
    this.look();
  }

  /**
   * The visitor has said how he is called.
   * @param {string} conv
   * @param {string} who
   */
  rename(conv, who) {
    const a = this.item(conv);
    if (!a || !who) return;
    a.dataset.who = who;
    pick(a, '.item-who').textContent = who;
    const p = this.panes.get(conv);
    if (!p) return;
    pick(p.root, '.pane-who').textContent = who;
    p.log.rename(who);
    this.show(conv);
  }

  /** Whether a person has the conversation in view. @param {string} conv */
  sees(conv) { return this.shown === conv && !document.hidden; }

  /** What is in view has been read; the server is told, and through it the other desks. */
  look() {
    const conv = this.shown;
    if (!conv || !this.sees(conv)) return;
    this.read(conv);
    clearTimeout(this.looking);
    this.looking = setTimeout(() => {
      const p = this.panes.get(conv);
      if (!p || !this.sees(conv) || p.talk.last <= p.seen) return;
      if (this.o.send({ t: 'seen', conv, n: p.talk.last })) p.seen = p.talk.last;
    }, LOOK);
  }

  /** Another desk of this login has read so far. @param {Frame} f */
  seen(f) {
    const p = this.panes.get(f.conv);
    if (p) p.seen = Math.max(p.seen, f.n);
    this.read(f.conv);
  }

  /** @param {Frame} f */
  refused(f) {
    for (const [conv, p] of this.panes) {
      if (f.conv && f.conv !== conv) continue;
      p.talk.refused(f.cid, f.code);
      p.guests.refused(f);
    }
  }

  /** @param {Frame} f */
  ack(f) {
    for (const [conv, p] of this.panes) if (!f.conv || f.conv === conv) p.talk.ack(f);
  }

  /**
   * @param {string} conv
   * @param {string} state  of the call
   */
  state(conv, state) {
    this.stands.set(conv, { call: state, here: this.stands.get(conv)?.here ?? false });
    this.show(conv);
    const p = this.panes.get(conv);
    if (p) p.calls.told(state, p.talk.last);
  }

  /** The mail address that the visitor of a conversation has proved to be his. @param {Frame} f */
  address(f) {
    const p = this.panes.get(f.conv);
    if (!p) return;
    const about = this.item(f.conv)?.dataset.about || '';
    const subject = /^re:/i.test(about) || !about ? about : `Re: ${about}`;
    const link = el('a', { href: `mailto:${encodeURIComponent(String(f.address)).replaceAll('%40', '@')}?subject=${encodeURIComponent(subject)}`, dir: 'ltr' }, String(f.address));
    p.root.dataset.address = 'yes';
    this.show(f.conv);
    pick(p.root, '.pane-address').replaceChildren(t('desk.address'), ' ', link);
  }

  /** How the calls of a conversation went. @param {Frame} f */
  moves(f) {
    this.panes.get(f.conv)?.calls.show(f.moves);
  }

  /** The reader of a conversation has come, or left. @param {Frame} f */
  reader(f) {
    this.stands.set(f.conv, { call: this.stands.get(f.conv)?.call ?? '', here: !!f.here });
    this.show(f.conv);
  }

  /** Whether the link by which a conversation came about can still be followed. @param {Frame} f */
  link(f) {
    const p = this.panes.get(f.conv);
    if (!p) return;
    pick(p.root, '.pane-link').textContent = f.works ? '' : t('desk.link.dead');
    p.root.dataset.link = f.works ? '' : 'dead';
    this.show(f.conv);
    pick(p.root, '[data-act=revoke]').hidden = pick(p.root, '.terms').hidden = !f.works;
    /** @type {HTMLSelectElement} */ (pick(p.root, '.terms select')).value = String(f.terms ?? '');
  }

  /** Whom the owner has blocked. @param {Frame} f */
  blocked(f) {
    this.out = new Set(f.talks.map((/** @type {Record<string, any>} */ b) => String(b.conv)));
    for (const [conv, p] of this.panes) this.bar(conv, p);
  }

  /** Whether the visitor of a conversation is blocked, above its pane. @param {string} conv @param {Pane} p */
  bar(conv, p) {
    const out = this.out.has(conv);
    pick(p.root, '.pane-blocked').textContent = out ? t('desk.blocked.here') : '';
    pick(p.root, '[data-act=block]').hidden = out;
    pick(p.root, '[data-act=unblock]').hidden = !out;
  }

  /** Somebody is at the door, or was. @param {Frame} f */
  caller(f) {
    this.entry(f.conv, f);
    if (!f.missed) this.reader({ t: 'reader', conv: f.conv, here: true });
  }

  /** Says how a conversation stands, in the list and above its pane. @param {string} conv */
  show(conv) {
    const s = this.stands.get(conv) ?? { call: '', here: false };
    const shown = standing(s.call, s.here);
    const key = `desk.state.${shown}`;
    const text = t(key) === key ? '' : t(key);
    const a = this.item(conv);
    if (a) {
      a.dataset.state = shown;
      pick(a, '.item-state').textContent = text;
    }
    const p = this.panes.get(conv);
    if (!p) return;
    p.root.dataset.state = shown;
    const words = s.here || shown === 'ended' ? text : t(p.root.dataset.address ? 'desk.away.mail' : p.root.dataset.link ? 'desk.away.dead' : 'desk.away', { who: a?.dataset.who || t('desk.someone') });
    if (p.state.textContent !== words) p.state.textContent = words;
  }

  /**
   * The list's entry for a conversation, brought up to date and in its place: the latest is on top.
   * @param {string} conv
   * @param {Record<string, any>} f
   * @returns {HTMLElement}
   */
  entry(conv, f) {
    let a = this.item(conv);
    if (!a) {
      const template = /** @type {HTMLTemplateElement} */ (need('item'));
      const li = /** @type {HTMLElement} */ (/** @type {Element} */ (template.content.firstElementChild).cloneNode(true));
      a = pick(li, 'a');
      a.dataset.conv = conv;
      a.setAttribute('href', `/desk/c/${encodeURIComponent(conv)}`);
    }
    if (f.who || !a.dataset.who) {
      a.dataset.who = String(f.who || t('desk.someone'));
      pick(a, '.item-who').textContent = a.dataset.who;
    }
    if (f.about) {
      a.dataset.about = String(f.about);
      pick(a, '.item-about').textContent = a.dataset.about;
    }
    this.move(a, f.at ? new Date(f.at) : new Date());
    this.show(conv);
    need('no-conversations').hidden = true;
    return a;
  }

  /**
   * Brings an entry to the place of its latest time; what is in its place stays there, and keeps the focus.
   * @param {HTMLElement} a
   * @param {Date} at
   */
  move(a, at) {
    const time = /** @type {HTMLTimeElement} */ (pick(a, 'time'));
    if (time.dateTime && !(Date.parse(time.dateTime) < at.getTime())) at = new Date(time.dateTime);
    time.dateTime = at.toISOString();
    time.textContent = whenOf(at);
    const li = /** @type {HTMLElement} */ (a.closest('li'));
    /** @param {Element | null} e */
    const when = (e) => Date.parse(/** @type {HTMLTimeElement | null} */ (e?.querySelector('time'))?.dateTime || '');
    let next = this.list.firstElementChild;
    while (next && (next === li || when(next) > at.getTime())) next = next.nextElementSibling;
    const after = li.nextElementSibling;
    if (li.parentElement !== this.list || next !== after) this.list.insertBefore(li, next);
  }

  /** @param {string} conv */
  bump(conv) {
    this.unread.set(conv, (this.unread.get(conv) || 0) + 1);
    this.mark(conv);
  }

  /** What is in view has been read. @param {string} conv */
  read(conv) {
    if (this.unread.delete(conv)) this.mark(conv);
  }

  /** @param {string} conv */
  mark(conv) {
    const n = this.unread.get(conv) || 0;
    const a = this.item(conv);
    if (a) {
      const badge = pick(a, '.item-unread');
      badge.hidden = n === 0;
      pick(badge, 'b').textContent = String(n);
    }
    this.tell();
  }

  /** What is unread, by conversation. */
  tell() {
    this.o.unread(this.unread);
  }

  /**
   * @param {string} conv
   * @returns {HTMLElement | null}
   */
  item(conv) {
    return this.list.querySelector(`a[data-conv="${CSS.escape(conv)}"]`);
  }
}

/**
 * How a conversation stands, for its owner: the end of a key of desk.state. The server says the same in desk.go.
 * @param {string} call  the call's state
 * @param {boolean} here  whether the reader is
 */
function standing(call, here) {
  const unanswered = call === 'away' || call === 'unknown' || call === 'noticed' || call === 'leaving';
  if (call === 'declined' || call === 'ended') return call;
  if (here) return unanswered ? 'waits' : call || 'here';
  return unanswered ? 'missed' : 'gone';
}

/**
 * @param {ParentNode} from
 * @param {string} what
 * @returns {HTMLElement}
 */
function pick(from, what) {
  const found = from.querySelector(what);
  if (!found) throw new Error(`the template has no ${what}`);
  return /** @type {HTMLElement} */ (found);
}
