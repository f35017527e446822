// @ts-check
// The alarm (R8), made by the page itself: two soft notes, again and again while somebody calls. Browsers let a page sound only
// after a gesture on it; until then the sound is not armed, and the desk says so.

const NOTES = [659.25, 880]; // e″ and a″
const EVERY = 2.4; // seconds
const TIMES = 15;

export class Sound {
  /**
   * @param {(armed: boolean) => void} onChange
   * @param {HTMLElement} toggle  the switch; a gesture on it means what the switch says
   */
  constructor(onChange, toggle) {
    this.onChange = onChange;
    /** @type {AudioContext | null} */
    this.audio = null;
    /** What the present ring goes through; closing it ends the ring. @type {GainNode | null} */
    this.tap = null;
    this.wanted = true;
    /** Until when on the audio clock a chime sounds: several missed calls are told with one. */
    this.chimes = 0;
    /** How often the notes are still to be played, once they can be heard. */
    this.due = 0;
    this.make(); // a browser that knows this person from the page before lets it sound at once
    for (const name of ['pointerup', 'keydown', 'click']) { // not pointerdown: what it changes must not move a button away under the finger
      addEventListener(name, (e) => {
        if (e.isTrusted && !toggle.contains(/** @type {Node} */ (e.target))) this.arm();
      }, { capture: true, passive: true });
    }
  }

  /** Whether a ring would be heard now. */
  get armed() { return this.wanted && this.audio !== null && this.audio.state === 'running'; }

  make() {
    this.audio = new AudioContext();
    this.audio.onstatechange = () => {
      this.onChange(this.armed);
      if (this.armed && this.due) this.play(this.due);
    };
  }

  /** Within a gesture: makes the sound ready. */
  arm() {
    if (!this.wanted || this.armed) return;
    if (!this.audio) this.make();
    this.audio?.resume().catch(() => this.onChange(false));
  }

  /** @param {boolean} on */
  set(on) {
    this.wanted = on;
    if (on) {
      this.arm();
      this.chime();
    } else {
      this.hush();
    }
    this.onChange(this.armed);
  }

  /**
   * Rings until hush, half a minute at most. All of it is handed to the audio clock at once: the timers of a tab in the
   * background come too late.
   * @returns {boolean} whether it can be heard
   */
  ring() {
    this.hush();
    this.play(TIMES);
    return this.armed;
  }

  /** The notes, once. */
  chime() {
    if (!this.tap) this.play(1);
  }

  hush() {
    this.due = 0;
    this.tap?.disconnect();
    this.tap = null;
  }

  /** @param {number} times */
  play(times) {
    if (!this.wanted) return;
    if (!this.armed || !this.audio) {
      this.due = Math.max(this.due, times); // made up for at the first gesture, unless it is over by then
      return;
    }
    this.due = 0;
    if (times === 1) {
      if (this.audio.currentTime < this.chimes) return;
      this.chimes = this.audio.currentTime + EVERY;
    }
    const tap = this.audio.createGain();
    tap.connect(this.audio.destination);
    if (times > 1) this.tap = tap;
    for (let i = 0; i < times; i++) {
      for (const [k, pitch] of [...NOTES, ...NOTES].entries()) {
        note(this.audio, tap, pitch, i * EVERY + k * 0.32 + (k > 1 ? 0.16 : 0));
      }
    }
  }
}

/**
 * @param {AudioContext} audio
 * @param {AudioNode} to
 * @param {number} pitch
 * @param {number} after seconds from now
 */
function note(audio, to, pitch, after) {
  const start = audio.currentTime + after;
  const loudness = audio.createGain();
  loudness.gain.setValueAtTime(0, start);
  loudness.gain.linearRampToValueAtTime(0.22, start + 0.02);
  loudness.gain.exponentialRampToValueAtTime(0.001, start + 0.7);
  loudness.connect(to);
  for (const [ratio, share] of [[1, 1], [2, 0.25]]) {
    const voice = audio.createOscillator();
    const level = audio.createGain();
    voice.frequency.value = pitch * ratio;
    level.gain.value = share;
    voice.connect(level).connect(loudness);
    voice.start(start);
    voice.stop(start + 0.75);
  }
}
