// @ts-check
// The small signs of a talk: that the other side is writing, and how far each side has come with what was said. Loaded once the line is up.

import { t } from './words.js';

/** @typedef {import('./line.js').Frame} Frame */
/**
 * @typedef {object} Talking
 * @property {HTMLFormElement} form  with the field in which one writes; before it stands who is writing, in a span for everybody and one that is only heard
 * @property {import('./log.js').Log} log
 * @property {import('./talk.js').Talk} talk
 * @property {() => string} name  how the other side is called
 * @property {(f: Frame) => boolean} send
 */

const TELL = 3_000; // ms: while a person writes, the other side is told so often
const FORGET = 6_000; // ms without a word of it: he does not write any more
const HEARD = 60_000; // ms: whoever hears the page is told no more often
const LOOK = 600; // ms that something is in view before it counts as seen

export class Signs {
  /** @param {Talking} o */
  constructor(o) {
    this.o = o;
    this.told = 0;
    this.heard = -HEARD;
    this.timer = 0;
    this.looking = 0;
    this.seen = 0;
    this.got = 0;
    this.reached = { got: 0, seen: 0 }; // how far the other side has come
    o.log.reached = (item) => this.say(item);
    this.shown = /** @type {HTMLElement} */ (o.form.previousElementSibling?.firstElementChild);
    this.aloud = /** @type {HTMLElement} */ (o.form.previousElementSibling?.lastElementChild);
    const field = /** @type {HTMLTextAreaElement} */ (o.form.querySelector('textarea'));
    field.addEventListener('input', (e) => {
      if (!e.isTrusted || !field.value.trim() || Date.now() - this.told < TELL) return;
      if (o.send({ t: 'typing' })) this.told = Date.now();
    });
    o.form.addEventListener('submit', () => { this.told = 0; });
    import('./emoji.js').then((m) => m.emojis(o.form), () => {}); // without them one writes as well
  }

  /** The other side is writing. */
  typing() {
    const text = t('chat.typing', { name: this.o.name() });
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.quiet(), FORGET);
    if (this.shown.textContent === text) return;
    this.shown.textContent = text;
    if (performance.now() - this.heard < HEARD) return;
    this.heard = performance.now();
    this.aloud.textContent = text;
  }

  /** It has said what it wrote, or writes no more. */
  quiet() {
    clearTimeout(this.timer);
    this.shown.textContent = this.aloud.textContent = '';
  }

  /** The line came up, or went down: what was told on it may not have arrived. */
  anew() {
    this.quiet();
    this.seen = this.got = this.told = 0;
    this.look();
  }

  /** Something has come, or has come into view: the other side is told, once it has been so for a moment. */
  look() {
    clearTimeout(this.looking);
    this.looking = setTimeout(() => {
      const n = this.o.talk.last;
      if (document.hidden) {
        if (n > this.got && this.o.send({ t: 'got', n })) this.got = n;
      } else if (n > this.seen && this.o.send({ t: 'seen', n })) {
        this.seen = this.got = n;
      }
    }, LOOK);
  }

  /** He leaves: what he has in view is told as seen at once. */
  last() {
    clearTimeout(this.looking);
    const n = this.o.talk.last;
    if (!document.hidden && n > this.seen && this.o.send({ t: 'seen', n })) this.seen = this.got = n;
  }

  /** How far the other side has come with what was said here. @param {Frame} f */
  reach(f) {
    const before = this.reached.seen;
    const seen = Math.max(before, Number(f.seen) || 0);
    this.reached = { seen, got: Math.max(this.reached.got, Number(f.got) || 0, seen) };
    for (let e = this.o.log.list.lastElementChild; e && !(Number(/** @type {HTMLElement} */ (e).dataset.n) <= before); e = e.previousElementSibling) {
      this.say(/** @type {HTMLElement} */ (e));
    }
  }

  /** Says of a message how far it has come, in words; whoever hears the page is not read that as it changes. @param {HTMLElement} item */
  say(item) {
    const place = item.querySelector('.reach');
    const n = Number(item.dataset.n);
    if (!place || (item.dataset.state && item.dataset.state !== 'sent')) return;
    const how = n <= this.reached.seen ? 'seen' : n <= this.reached.got ? 'delivered' : '';
    if (!how || item.dataset.reach === how) return;
    item.dataset.reach = how;
    place.textContent = t(`chat.${how}`);
    /** @type {Element} */ (item.querySelector('.mark')).textContent = '';
  }
}
