// @ts-check
// The reader's page: nothing happens until a person shows himself; then the line is opened, the owner is called, and every
// turn of the call is said in plain words.

import { amending } from './amend.js';
import { composer } from './composer.js';
import { beginAgain, need } from './dom.js';
import { onIntent } from './intent.js';
import { Line } from './line.js';
import { Log } from './log.js';
import { Talk } from './talk.js';
import { t } from './words.js';

/** @typedef {import('./line.js').Frame} Frame */

const page = need('reader');
const owner = page.dataset.owner || '';
const token = location.pathname.split('/').pop() || '';
const guest = page.dataset.conv || ''; // a guest's conversation
const urls = (page.dataset.sockets || '').split(' ').filter(Boolean);

const nameField = /** @type {HTMLInputElement} */ (need('name'));
const stateText = need('state');
const leaveButton = need('leave');
const lineText = need('line');

let callState = page.dataset.call || 'opened'; // before anything has happened: what has to be done so that the owner is called
let met = false; // this page was let in at least once
let intended = false;
let gone = false; // by the button, from where he had been
let toldName = '';
let conv = ''; // which conversation this is; '' before there is one
/** Carries it to another device. @type {ReturnType<typeof import('./carry.js').carrying> | undefined} */
let carry;
/** How an address is left. @type {ReturnType<typeof import('./address.js').addressing> | undefined} */
let address;
/** @type {Frame | undefined} */
let proved; // what the server has said of an address before anybody asked
/** @type {Promise<import('./signs.js').Signs> | null} */
let signs = null; // loaded when the line is up, and so is
/** what takes files. @type {Promise<(up: boolean) => void> | null} */
let files = null;

let me = 0; // a guest's number

/** Whose event it is. @param {Frame} f */
function whose(f) {
  if (f.from === 'guest') return { mine: f.who === me, name: f.login ? t('chat.colleague', { name: f.name }) : String(f.name || t('chat.guest', { n: f.who })) };
  if (f.from === 'visitor') return { mine: !guest, name: String(f.name || t('chat.visitor')) };
  return { mine: false, name: owner };
}
const log = new Log(need('log'), whose, `${location.pathname}/files/`);
/** @type {Talk} */
const talk = new Talk(location.pathname, log, (f) => line.send(f), () => line.renew());

/** @type {Line} */
const line = new Line({
  urls,
  ready: 'joined',
  hello: () => {
    toldName = document.activeElement === nameField ? '' : nameField.value.trim(); // not while it is being written
    return { t: 'join', v: 1, ...(guest ? { conv: guest } : { token }), last: talk.last, name: toldName || undefined };
  },
  onChange: (up) => {
    if (up) {
      met = true;
      remember();
      leaveButton.hidden = false;
      if (intended) line.send({ t: 'intent' });
      tellName();
      talk.resend();
      carry?.up();
      signs ??= import('./signs.js').then((m) => new m.Signs({ form, log, talk, name: () => owner, send: (f) => line.send(f) }));
      files ??= import('./attach.js').then((m) => m.attaching(need('main'), { log, url: `${location.pathname}/files`, max: Number(page.dataset.files), up: () => line.up, spoke: tellName }));
    } else {
      talk.paused();
    }
    small((s) => s.anew());
    log.line(up);
    files?.then((tell) => tell(up), () => { files = null; });
    say();
  },
  onFrame: (f) => {
    switch (f.t) {
      case 'joined': welcome(f); break;
      case 'event':
        conv ||= String(f.conv ?? '');
        talk.event(f);
        if (guest && f.from === 'visitor' && f.name) need('guest-of').textContent = t('reader.guest', { name: owner, who: String(f.kind === 'name' ? f.text : f.name) });
        small((s) => { if (f.from === 'owner') s.quiet(); s.look(); });
        break;
      case 'typing': small((s) => s.typing()); break;
      case 'reach': small((s) => s.reach(f)); break;
      case 'ack': talk.ack(f); break;
      case 'address':
        proved = f;
        if (f.state === 'proved' && callState === 'unproved' && !intended) setCall('opened'); // it was proved at an earlier visit
        address?.frame(f);
        break;
      case 'code': carry?.frame(f); break;
      case 'call': setCall(String(f.state)); break;
      case 'bye': ended(f); break;
      case 'error': refused(f); break;
    }
  },
});

/** Once they are there; the page talks without, too. @param {(s: import('./signs.js').Signs) => void} what */
function small(what) { signs?.then(what, () => { signs = null; }); }
document.addEventListener('visibilitychange', () => small((s) => s.look()));

/** @param {string} state */
function setCall(state) {
  callState = state;
  page.dataset.call = state;
  if (state === 'ended') over();
  if (state === 'unproved' && !address) leaveAddress(false);
  say();
}

/** Words of this page, a guest's own where there are such: no mail or link led him here. '' where there are none. @param {string} key */
function told(key) {
  const own = guest ? `${key}-guest` : key;
  for (const k of [own, key]) {
    const text = t(k, { name: owner });
    if (text !== k) return text;
  }
  return '';
}

/** Says where the call stands, and whether the line is up when it is not. */
function say() {
  const text = told(`reader.state.${callState}`);
  if (text && stateText.textContent !== text) stateText.textContent = text;
  lineText.textContent = line.up || !line.wanted ? '' : t(met ? 'reader.line.lost' : 'reader.line.opening');
  page.dataset.line = line.up ? 'up' : line.wanted ? 'down' : 'idle';
}

/**
 * The server hangs up and says why; the line comes back by itself, unless another page of ours has taken it over.
 * @param {Frame} f
 */
function ended(f) {
  if (f.reason !== 'replaced') return;
  line.stop();
  leaveButton.hidden = true;
  setCall('elsewhere'); // how the call stands is seen there
  field.disabled = true; // what was written stays
}

/** @param {Frame} f */
function refused(f) {
  if (f.cid) {
    talk.refused(f.cid, f.code);
    carry?.frame(f);
    return;
  }
  // The server cannot give all that happened since, or is newer than this page: begin with what it has.
  if ((f.code === 'gap' || f.code === 'version') && beginAgain()) return;
  const text = told(`reader.end.${f.code}`);
  if (!text) return; // a fault that passes: the line comes back by itself
  line.stop();
  stateText.textContent = text;
  over();
}

/** Nothing more can be said or done here, and nothing is offered; what was said stays to be read. */
function over() {
  field.disabled = true;
  page.dataset.over = 'yes';
}

/** A reload or a second visit takes the conversation up again without waiting for a sign. */
function remember() {
  try { sessionStorage.setItem(`chmail.met ${location.pathname}`, '1'); } catch { /* then it waits for a sign */ }
}

function forget() {
  try { sessionStorage.removeItem(`chmail.met ${location.pathname}`); } catch { /* nothing was kept */ }
}

function remembered() {
  try { return sessionStorage.getItem(`chmail.met ${location.pathname}`) === '1'; } catch { return false; }
}

const form = /** @type {HTMLFormElement} */ (need('composer'));
const amends = amending(log, talk, form);
const field = composer(form, location.pathname, (text) => {
  if (amends(text)) return;
  if (gone) { // he had been here, and left: a form that a scanner's script submits calls nobody
    gone = false;
    intended = true;
    line.start();
  }
  tellName();
  talk.say(text);
  if (nameField.value.trim()) need('name-row').hidden = true;
});
field.disabled = false;

/** Another conversation than before is not mixed with it. @param {Frame} f */
function welcome(f) {
  if (conv && f.conv !== conv) {
    line.stop();
    if (!beginAgain()) setCall('elsewhere');
    return;
  }
  conv = String(f.conv ?? '');
  me = Number(f.who) || 0;
  if (f.first) talk.last = Math.max(talk.last, f.first - 1);
  known(String(f.name ?? ''));
}

/** Who has given a name is not asked again. @param {string} name */
function known(name) {
  if (!name || document.activeElement === nameField || (nameField.value.trim() || name) !== name) return;
  nameField.value = toldName = name;
  need('name-row').hidden = true;
}

/** The name is asked once and softly: it goes along with the first message, or when it changes. */
function tellName() {
  const name = nameField.value.trim();
  if (!name || name === toldName || document.activeElement === nameField) return;
  if (!line.send({ t: 'name', name })) return;
  toldName = name;
}
nameField.addEventListener('blur', tellName);

onIntent(() => {
  intended = true;
  page.dataset.intent = 'shown';
  if (line.up) line.send({ t: 'intent' });
  else line.start();
  say();
});
if (location.search === '?joined') {
  remember();
  history.replaceState(history.state, '', location.pathname + location.hash); // the address is the link's
}
if (guest || remembered()) line.start();

leaveButton.addEventListener('click', async () => {
  await signs?.then((s) => s.last(), () => {});
  line.send({ t: 'leave' }); // or the other side would wait for him to come back
  intended = false;
  gone = true;
  leaveButton.hidden = true;
  forget();
  field.focus();
  line.stop();
  setCall('gone');
});
const addressButton = need('leave-address');
addressButton.addEventListener('click', () => leaveAddress(true));

/** @param {boolean} asked  by a person, who goes on there */
async function leaveAddress(asked) {
  const { addressing } = await import('./address.js');
  if (!address) {
    address = addressing(addressButton, { owner, reach: page.dataset.reach || '', send: (f) => line.send(f) });
    if (proved) address.frame(proved);
  } else if (!asked) {
    return;
  }
  address.toggle(asked);
}
const carryButton = need('carry');
carryButton.addEventListener('click', async () => {
  const { carrying } = await import('./carry.js');
  carry ??= carrying(carryButton, (f) => line.send(f));
  carry.ask();
});
