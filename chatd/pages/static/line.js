// @ts-check
// A line to the chat server that stays up: it tries the chat port and, when that does not answer in time, the web port; it
// comes back after every break, waiting longer each time; it knows nothing of what is said on it.

/** @typedef {{t: string} & Record<string, any>} Frame */
/**
 * @typedef {object} Options
 * @property {string[]} urls      where the server may be reached, the best first
 * @property {() => Frame | null} hello  the first frame to send, made anew for each try; null: none is needed
 * @property {string} ready       the frame type by which the server says that we are in; '' when being connected is enough
 * @property {(up: boolean) => void} onChange  the line went up or down
 * @property {(f: Frame) => void} onFrame
 * @property {number} [headStart] ms that one address has before the next is tried
 */

const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
const STEADY = 10_000; // a line that held so long starts again with the first wait
const HELLO_LIMIT = 15_000;

export class Line {
  /** @param {Options} options */
  constructor(options) {
    this.o = { headStart: 800, ...options };
    /** @type {Set<WebSocket>} */
    this.tries = new Set();
    /** @type {WebSocket | null} */
    this.current = null;
    this.round = 0;
    this.failures = 0;
    this.since = 0;
    this.notBefore = 0;
    this.timer = 0;
    this.wanted = false;
    addEventListener('online', () => this.hurry());
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.hurry(); });
  }

  get up() { return this.current !== null; }

  start() {
    if (this.wanted) return;
    this.wanted = true;
    this.race();
  }

  /** Hangs up and stays down. */
  stop() {
    this.wanted = false;
    clearTimeout(this.timer);
    this.drop();
  }

  /** Breaks the line off and takes it up again: for when the other end has gone silent. */
  renew() {
    if (!this.wanted) return;
    this.drop();
    this.again();
  }

  /**
   * @param {Frame} frame
   * @returns {boolean} false when the line is down; nothing is kept for later here
   */
  send(frame) {
    if (!this.current || this.current.readyState !== WebSocket.OPEN) return false;
    this.current.send(JSON.stringify(frame));
    return true;
  }

  /** One try of all addresses, each with a head start before the next. */
  race() {
    clearTimeout(this.timer);
    if (this.current || !this.wanted) return;
    const round = ++this.round;
    let next = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let later;
    const tryNext = () => {
      clearTimeout(later);
      if (round !== this.round || this.current || !this.wanted) return;
      if (next < this.o.urls.length) {
        later = setTimeout(tryNext, this.o.headStart);
        this.dial(this.o.urls[next++], round, tryNext);
      } else if (this.tries.size === 0) {
        this.again();
      }
    };
    tryNext();
  }

  /**
   * @param {string} url
   * @param {number} round
   * @param {() => void} failed
   */
  dial(url, round, failed) {
    /** @type {WebSocket} */
    let ws;
    try {
      ws = new WebSocket(url);
    } catch {
      failed();
      return;
    }
    this.tries.add(ws);
    const limit = setTimeout(() => ws.close(), HELLO_LIMIT);
    ws.onopen = () => {
      if (round !== this.round || this.current) { ws.close(); return; }
      const hello = this.o.hello();
      if (hello) ws.send(JSON.stringify(hello));
      if (!this.o.ready) { clearTimeout(limit); this.adopt(ws); }
    };
    ws.onmessage = (e) => {
      const frame = parse(e.data);
      if (!frame) return;
      if (frame.t === this.o.ready && this.current !== ws) { clearTimeout(limit); this.adopt(ws); }
      if (frame.t === 'bye') this.notBefore = Date.now() + (Number(frame.after_ms) || 0);
      if (this.current === ws || (!this.current && frame.t === 'error')) this.o.onFrame(frame);
    };
    ws.onclose = () => {
      clearTimeout(limit);
      this.tries.delete(ws);
      if (this.current === ws) {
        this.current = null;
        this.o.onChange(false);
        this.again();
      } else if (round === this.round && !this.current) {
        failed();
      }
    };
  }

  /**
   * Takes a line that has been let in. A second join of ours replaces the first at the server, so the newest one counts,
   * and what is still on its way in is called off.
   * @param {WebSocket} ws
   */
  adopt(ws) {
    const old = this.current;
    this.current = ws;
    this.since = Date.now();
    for (const other of this.tries) {
      if (other !== ws && (other === old || other.readyState === WebSocket.CONNECTING)) this.close(other);
    }
    if (!old) this.o.onChange(true);
  }

  /** Closes everything without asking for more. */
  drop() {
    this.round++;
    const was = this.current;
    this.current = null;
    for (const ws of this.tries) this.close(ws);
    if (was) this.o.onChange(false);
  }

  /**
   * Closes a socket of which we want to hear nothing more.
   * @param {WebSocket} ws
   */
  close(ws) {
    this.tries.delete(ws);
    ws.onopen = ws.onmessage = ws.onclose = null;
    ws.close();
  }

  /** Tries once more, after a pause that grows with every failure. */
  again() {
    if (!this.wanted) return;
    if (this.since && Date.now() - this.since > STEADY) this.failures = 0;
    this.since = 0;
    const step = Math.min(FIRST_WAIT * 2 ** this.failures++, LONGEST_WAIT);
    const wait = Math.max(step * (0.5 + Math.random() / 2), this.notBefore - Date.now());
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.race(), wait);
  }

  /** The network or the person is back: no reason to wait out a long pause. */
  hurry() {
    if (!this.wanted || this.current || this.tries.size > 0 || Date.now() < this.notBefore) return;
    this.failures = 0;
    this.race();
  }
}

/**
 * @param {unknown} data
 * @returns {Frame | null}
 */
function parse(data) {
  if (typeof data !== 'string') return null;
  try {
    const frame = JSON.parse(data);
    return frame && typeof frame.t === 'string' ? frame : null;
  } catch {
    return null;
  }
}
