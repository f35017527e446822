// @ts-check
// How the calls of a conversation went, as quiet lines among what was said: it rang, nobody answered, word was left.

import { el } from './dom.js';
import { t, whenOf } from './words.js';

/** @typedef {{n: number, state: string, at: string}} Move */

export class History {
  /** @param {import('./log.js').Log} log */
  constructor(log) {
    this.log = log;
    this.last = '';
    this.rang = false; // since the call began, or began anew
    /** What was told last on this line: the server may not have kept it yet. @type {{state: string, n: number, at: Date} | null} */
    this.live = null;
  }

  /** A move as it happens. @param {string} state @param {number} n */
  told(state, n) {
    this.live = { state, n, at: new Date() };
    this.add(state, n, this.live.at);
  }

  /** The moves that the server has kept; they replace what is shown. @param {Move[]} moves */
  show(moves) {
    this.last = '';
    this.rang = false;
    for (const e of this.log.list.querySelectorAll('[data-kind=call]')) e.remove();
    for (const m of moves) this.add(m.state, m.n, new Date(m.at));
    if (this.live) this.add(this.live.state, Math.max(this.live.n, moves.at(-1)?.n ?? 0), this.live.at);
  }

  /**
   * @param {string} state  of the call
   * @param {number} n  the event behind which it came
   * @param {Date} at
   */
  add(state, n, at) {
    if (state === this.last) return;
    this.last = state;
    if (state === 'ringing') this.rang = true;
    else if (state === 'opened' || state === 'back' || state === 'left') this.rang = false;
    const key = `desk.move.${state === 'noticed' && !this.rang ? 'unrung' : state}`;
    const words = t(key);
    if (words === key) return; // one that needs no line
    const time = el('time', { datetime: at.toISOString() }, whenOf(at));
    this.log.place(el('li', { class: 'happened', 'data-kind': 'call' }, el('span', { dir: 'auto' }, words), ' ', time), n + 0.5, null);
  }
}
