// @ts-check
// "Do not disturb": for an hour, until tomorrow morning, or until it is switched off. The server keeps it, for all desks of this login; while it holds, nothing rings.

import { announce, need } from './dom.js';
import { momentOf, t } from './words.js';

/** @typedef {import('./line.js').Frame} Frame */

const MORNING = 8; // o'clock
const NIGHT = 4; // before it, tomorrow morning is today's
const SLACK = 500; // ms: clocks run apart
const LONGEST = 0x7fffffff; // ms that a timer of the browser can wait

export class Rest {
  /** @param {(f: Frame) => boolean} send */
  constructor(send) {
    this.send = send;
    this.on = false;
    this.quiet = false; // by the account's quiet hours
    this.timer = 0;
    this.turn = 0;
    this.button = need('rest');
    this.choice = need('rest-choice');
    this.state = need('rest-state');
    this.button.addEventListener('click', () => this.offer(this.choice.hidden));
    this.choice.addEventListener('click', (e) => {
      const b = /** @type {HTMLElement} */ (e.target).closest('button');
      if (b) this.ask(String(b.dataset.rest));
    });
    this.choice.addEventListener('keydown', (e) => {
      if (e.key === 'Escape') this.offer(false);
    });
    need('rest-end').addEventListener('click', () => {
      this.button.focus();
      this.send({ t: 'rest', on: false });
    });
  }

  /** @param {boolean} open whether it can be chosen for how long */
  offer(open) {
    if (!open && this.choice.contains(document.activeElement)) this.button.focus();
    this.choice.hidden = !open;
    this.button.setAttribute('aria-expanded', String(open));
    if (open) this.choice.querySelector('button')?.focus();
  }

  /** @param {string} how long */
  ask(how) {
    const n = how === 'hour' ? 3600 : how === 'morning' ? Math.ceil((morning() - Date.now()) / 1000) : 0;
    if (this.send({ t: 'rest', on: true, n })) this.offer(false);
  }

  /** How it stands, by the server. @param {Frame} f */
  show(f) {
    clearTimeout(this.timer);
    clearTimeout(this.turn);
    const was = this.on || this.quiet;
    this.on = !!f.on;
    this.quiet = !!f.quiet;
    const still = this.on || this.quiet;
    /** @param {number} ms */
    const at = (ms) => momentOf(new Date(Date.now() + ms));
    let text = t('desk.rest.over');
    if (this.on) text = f.left_ms ? t('desk.rest.until', { until: at(f.left_ms) }) : t('desk.rest.open');
    else if (this.quiet) text = f.turns_ms ? t('desk.rest.quiet', { until: at(f.turns_ms) }) : t('desk.rest.always');
    if (was !== still || (still && need('rest-text').textContent !== text)) announce(text);
    need('rest-text').textContent = still ? text : '';
    this.state.hidden = !still;
    need('rest-end').hidden = !this.on;
    this.button.dataset.on = String(this.on);
    if (f.left_ms && f.left_ms < LONGEST) this.timer = setTimeout(() => this.show({ ...f, on: false, left_ms: 0, turns_ms: Math.max((f.turns_ms || 0) - f.left_ms, 0) }), f.left_ms);
    if (f.turns_ms && f.turns_ms < LONGEST) this.turn = setTimeout(() => this.send({ t: 'resting' }), f.turns_ms + SLACK);
  }
}

function morning() {
  const d = new Date();
  if (d.getHours() >= NIGHT) d.setDate(d.getDate() + 1);
  return d.setHours(MORNING, 0, 0, 0);
}
