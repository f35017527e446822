// @ts-check
// The owner's desk: it rings when somebody who has one of his mails wants to talk, and it is where he talks with them.

import { showBlocked } from './blocked.js';
import { Calls } from './calls.js';
import { beginAgain, need } from './dom.js';
import { Invited } from './invited.js';
import { Line } from './line.js';
import { Panes } from './panes.js';
import * as push from './push.js';
import { Rest } from './rest.js';
import { Sound } from './sound.js';
import { t } from './words.js';

/** @typedef {import('./line.js').Frame} Frame */

const desk = need('desk');
const INPUT_EVERY = 60_000;
let told = 0; // when the server last heard of an input

/** @param {Frame} f */
const send = (f) => line.send(f);

const panes = new Panes({ send, renew: () => line.renew(), unread: (all) => calls.count(all), opened: (conv) => calls.known(conv), spoke: (conv) => calls.taken(conv), canned });

const soundSwitch = /** @type {HTMLButtonElement} */ (need('sound'));
const soundText = need('sound-text');
const soundHint = need('sound-hint');
const sound = new Sound(showSound, soundSwitch);

const calls = new Calls(need('calls'), sound, {
  alerted: (f) => { send({ t: 'rung', call: f.call }); },
  answer: (f) => {
    send({ t: 'answer', call: f.call });
    panes.open(f.conv, true);
  },
  decline: (f) => { send({ t: 'decline', call: f.call }); },
  moment: (f) => { send({ t: 'moment', call: f.call }); },
  open: (conv) => panes.open(conv, true),
  state: (conv) => panes.stands.get(conv)?.call ?? '',
});

/** @type {Promise<import('./phrases.js').Phrases> | null} */
let phrases = null; // loaded when somebody wants one

/** Canned answers, for the field in which one is to be put. @param {HTMLTextAreaElement} field */
function canned(field) {
  phrases ??= import('./phrases.js').then((m) => new m.Phrases());
  phrases.then((p) => p.open(field), () => { phrases = null; });
}

const rest = new Rest(send);

const invitations = new Invited({ send, chime: () => sound.chime(), still: () => rest.on || rest.quiet });

const line = new Line({
  urls: (desk.dataset.sockets || '').split(' '),
  ready: '',
  hello: () => null,
  onChange: (up) => {
    desk.dataset.line = up ? 'up' : 'down';
    need('line').textContent = up ? '' : t('desk.line.lost');
    panes.line(up);
    if (up) {
      panes.resume();
    } else {
      told = 0;
      calls.forget();
    }
  },
  onFrame: (f) => {
    switch (f.t) {
      case 'visit': panes.caller(f); calls.visit(f); break;
      case 'ring': panes.caller(f); calls.ring(f); break;
      case 'silence': calls.silence(f); break;
      case 'list': panes.standing(f); break;
      case 'blocked': showBlocked(f, send); panes.blocked(f); break;
      case 'rest': rest.show(f); break;
      case 'event': panes.event(f); break;
      case 'said': panes.said(f); break;
      case 'typing': panes.typing(f); break;
      case 'reach': panes.reach(f); break;
      case 'ack': panes.ack(f); break;
      case 'reader': panes.reader(f); break;
      case 'call': called(f); break;
      case 'address': panes.address(f); break;
      case 'moves': panes.moves(f); break;
      case 'link': panes.link(f); break;
      case 'code': panes.code(f); break;
      case 'readers': panes.readers(f); break;
      case 'invitations': invitations.show(f); break;
      case 'invited': panes.invited(f); break;
      case 'seen': panes.seen(f); break;
      case 'error': refused(f); break;
    }
  },
});

/** Whoever of the owner's has answered, and at whichever desk: nobody waits any more. @param {Frame} f */
function called(f) {
  panes.state(f.conv, String(f.state));
  calls.stands(f.conv);
  if (['answered', 'declined', 'ended'].includes(String(f.state))) calls.taken(f.conv);
}

/**
 * Signed out, or something that was open here is no longer ours: the page as the server makes it now is the truth.
 * @param {Frame} f
 */
function refused(f) {
  if (f.cid) panes.refused(f);
  else if (f.code === 'signed-out') location.reload();
  else if (f.code === 'gap' || f.code === 'refused' || f.code === 'version') beginAgain();
}

/** @param {boolean} armed */
function showSound(armed) {
  soundSwitch.setAttribute('aria-checked', String(armed));
  soundText.textContent = t(armed ? 'desk.sound.on' : 'desk.sound.off');
  soundHint.hidden = armed || !sound.wanted;
}
soundSwitch.addEventListener('click', () => sound.set(!sound.armed));
showSound(false);

const notifyHint = need('notify-hint');
notifyHint.hidden = !('Notification' in window) || Notification.permission !== 'default';
need('notify').addEventListener('click', async () => {
  await Notification.requestPermission();
  notifyHint.hidden = true;
  soundSwitch.focus();
  void push.allow(desk.dataset.push || '');
});
void push.clear();
void push.allow(desk.dataset.push || ''); // each time, since a browser may have forgotten

/** @type {Promise<import('./find.js').Find> | null} */
let find = null; // loaded when somebody looks for something
need('find').addEventListener('submit', (e) => {
  e.preventDefault();
  find ??= import('./find.js').then((m) => new m.Find(panes));
  find.then((f) => f.begin(), () => { find = null; });
});
need('older').addEventListener('click', () => {
  import('./find.js').then((m) => m.showOlder(/** @type {HTMLButtonElement} */ (need('older')), panes), () => {});
});

const out = /** @type {HTMLFormElement} */ (need('out'));
out.addEventListener('submit', (e) => {
  if (out.dataset.told) return;
  e.preventDefault();
  out.dataset.told = 'yes';
  const soon = new Promise((done) => { setTimeout(done, 3000); }); // signing out does not hang on it
  void Promise.race([push.end(), soon]).then(() => out.submit());
});

// A person is at this desk: the server hears of it at most once a minute.
for (const name of ['pointermove', 'pointerdown', 'keydown', 'wheel', 'touchstart']) {
  addEventListener(name, (e) => {
    if (!e.isTrusted || Date.now() - told < INPUT_EVERY) return;
    if (send({ t: 'input' })) told = Date.now();
  }, { capture: true, passive: true });
}

addEventListener('popstate', () => panes.open(fromAddress(), false));
document.addEventListener('visibilitychange', () => { panes.look(); calls.arrange(); });

function fromAddress() {
  const found = location.pathname.match(/^\/desk\/c\/([^/]+)$/);
  return found ? decodeURIComponent(found[1]) : '';
}

panes.open(fromAddress(), false);
panes.tell();
line.start();
