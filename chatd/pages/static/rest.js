// @ts-check
// "Do not disturb": for an hour, until tomorrow morning, or until it is switched off. The server keeps it, for all desks of this login; while it holds, nothing rings.

import { announce, need } from './dom.js';
import { momentOf, t } from './words.js';

/** @typedef {import('./line.js').Frame} Frame */

const MORNING = 8; // o'clock
const NIGHT = 4; // before it, tomorrow morning is today's
const LONGEST = 0x7fffffff; // ms that a timer of the browser can wait

export class Rest {
  /** @param {(f: Frame) => boolean} send */
  constructor(send) {
    this.send = send;
    this.on = false;
    this.timer = 0;
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
    const changed = this.on !== !!f.on;
    this.on = !!f.on;
    const until = new Date(Date.now() + (f.left_ms || 0));
    const text = !this.on ? t('desk.rest.over') : f.left_ms ? t('desk.rest.until', { until: momentOf(until) }) : t('desk.rest.open');
    if (changed || (this.on && need('rest-text').textContent !== text)) announce(text);
    need('rest-text').textContent = this.on ? text : '';
    this.state.hidden = !this.on;
    this.button.dataset.on = String(this.on);
    if (f.left_ms && f.left_ms < LONGEST) this.timer = setTimeout(() => this.show({ t: 'rest', on: false }), f.left_ms);
  }
}

function morning() {
  const d = new Date();
  if (d.getHours() >= NIGHT) d.setDate(d.getDate() + 1);
  return d.setHours(MORNING, 0, 0, 0);
}
