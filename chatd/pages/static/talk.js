// @ts-check
// One conversation as this page knows it: which events it has, which of its own messages are not yet safe. Events are
// numbered without a gap, so a hole shows at once and is filled by asking again; sending twice is harmless because each
// message carries an id of ours.

/** @typedef {import('./line.js').Frame} Frame */
/** @typedef {{cid: string, text: string, sent: number, of?: number}} Waiting  of: the message that it changes, or takes back if text is empty */
/**
 * @typedef {object} View
 * @property {(f: Frame) => void} event     an event not shown before, in order
 * @property {(w: Waiting) => void} pending  a message of ours that is on its way
 * @property {(cid: string, n: number) => void} safe  it is committed, as event n
 * @property {(cid: string) => void} gone    it is shown as an event already: the pending one may go
 * @property {(cid: string, code: string, of: number) => void} refused  the server does not take it, and never will; of: what it was to change
 */

const PATIENCE = 1_000; // so long a missing event may be on its way
const SILENCE = 10_000; // no acknowledgement for so long: the line is dead whatever the browser says

export class Talk {
  /**
   * @param {string} key   names the conversation in this tab's storage
   * @param {View} view
   * @param {(f: Frame) => boolean} send
   * @param {() => void} broken  called when the line must be taken up anew
   */
  constructor(key, view, send, broken) {
    this.key = `chmail.out ${key}`;
    this.view = view;
    this.send = send;
    this.broken = broken;
    this.last = 0;
    this.holeTimer = 0;
    /** @type {Map<string, Waiting>} */
    this.out = new Map();
    /** Numbers of our own messages that were acknowledged before their event came. @type {Set<number>} */
    this.known = new Set();
    for (const w of this.load()) {
      this.out.set(w.cid, { ...w, sent: 0 });
      view.pending(w);
    }
    setInterval(() => this.watch(), 2_000);
  }

  /**
   * @param {string} text
   * @param {number} [of]  the message of ours that says this from now on; nothing more, if text is empty
   */
  say(text, of) {
    const w = { cid: randomId(), text, sent: 0, of };
    this.out.set(w.cid, w);
    this.save();
    this.view.pending(w);
    this.offer(w);
  }

  /** The line is up: whatever is not yet safe goes out again, in order. */
  resend() {
    for (const w of this.out.values()) this.offer(w);
  }

  /** The line is down: nothing is under way any more. */
  paused() {
    clearTimeout(this.holeTimer);
    this.holeTimer = 0;
    for (const w of this.out.values()) w.sent = 0;
  }

  /** @param {Frame} f an event frame */
  event(f) {
    if (f.n <= this.last) return;
    if (f.n > this.last + 1) {
      this.hole(f.n);
      return;
    }
    this.last = f.n;
    if (this.known.delete(f.n)) return;
    const ours = this.out.get(f.cid);
    if (this.out.delete(f.cid)) this.save();
    if (ours && !ours.of) {
      this.view.safe(f.cid, f.n);
    } else {
      this.view.event(f);
    }
    this.advance();
  }

  /**
   * An event came before its turn. What is missing may be on its way, as when a conversation is opened while somebody speaks in
   * it; when it does not come, the line is taken up anew. Nothing behind a hole is ever shown.
   * @param {number} n
   */
  hole(n) {
    if (this.holeTimer) return;
    this.holeTimer = setTimeout(() => {
      this.holeTimer = 0;
      if (this.last < n) this.broken();
    }, PATIENCE);
  }

  /** @param {Frame} f an ack frame */
  ack(f) {
    const ours = this.out.get(f.cid);
    if (!ours) return;
    this.out.delete(f.cid);
    this.save();
    if (ours.of) return; // its event shows it
    if (f.n <= this.last) {
      this.view.gone(f.cid);
      return;
    }
    this.view.safe(f.cid, f.n);
    this.known.add(f.n);
    this.advance();
  }

  /**
   * The server does not take one of our messages: sending it again would not help.
   * @param {string} cid
   * @param {string} code  why
   */
  refused(cid, code) {
    const ours = this.out.get(cid);
    if (!ours) return;
    this.out.delete(cid);
    this.save();
    this.view.refused(cid, ours.of ? 'unchanged' : code, ours.of || 0);
  }

  /** Takes acknowledged messages of ours into account that no event is needed for. */
  advance() {
    while (this.known.delete(this.last + 1)) this.last++;
  }

  /** @param {Waiting} w */
  offer(w) {
    const t = w.of ? (w.text ? 'edit' : 'delete') : 'say';
    if (this.send({ t, cid: w.cid, n: w.of, text: w.text })) w.sent = Date.now();
  }

  watch() {
    for (const w of this.out.values()) {
      if (w.sent && Date.now() - w.sent > SILENCE) {
        this.paused();
        this.broken();
        return;
      }
    }
  }

  /** @returns {Waiting[]} */
  load() {
    try {
      return JSON.parse(sessionStorage.getItem(this.key) || '[]');
    } catch {
      return [];
    }
  }

  save() {
    try {
      if (this.out.size) sessionStorage.setItem(this.key, JSON.stringify([...this.out.values()]));
      else sessionStorage.removeItem(this.key);
    } catch {
      // Without storage a reload loses what was not yet sent; the page still works.
    }
  }
}

/** 128 random bits, as a client id must never meet another. */
export function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
}
