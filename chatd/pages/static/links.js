// @ts-check
// Addresses in what somebody wrote become links. They are found in text and made as elements; nothing is ever read as HTML.

import { el } from './dom.js';

// Up to a blank, a quotation mark, an angle bracket, or a character that cannot be seen or turns the writing around.
const ADDRESS = /https?:\/\/[^\s<>"“”„«»‹›`\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]+/gi;
/** @type {Record<string, string>} */
const CLOSES = { ')': '(', ']': '[', '}': '{' };
const PUNCTUATION = '.,:;!?\'’…*_~|\\。、，；：！？）」』】';

/**
 * Text in pieces: what is an http or https address as a link, everything else as it is.
 * @param {string} text
 * @returns {(string | HTMLElement)[]}
 */
export function linked(text) {
  /** @type {(string | HTMLElement)[]} */
  const parts = [];
  let done = 0;
  for (const found of text.matchAll(ADDRESS)) {
    const before = text[found.index - 1] ?? '';
    const shown = trimmed(found[0]);
    const to = target(shown);
    if (!to || /[\p{L}\p{N}]/u.test(before)) continue;
    parts.push(text.slice(done, found.index), el('a', { href: to, target: '_blank', rel: 'noopener noreferrer nofollow' }, shown));
    done = found.index + shown.length;
  }
  parts.push(text.slice(done));
  return parts;
}

/**
 * An address without the punctuation that ends the sentence around it. A bracket at the end belongs to it when it was opened in it.
 * @param {string} address
 */
function trimmed(address) {
  /** @type {Record<string, number>} */
  const count = {};
  for (const c of address) count[c] = (count[c] || 0) + 1;
  let end = address.length;
  for (; end > 0; end--) {
    const last = address[end - 1];
    const opened = CLOSES[last];
    if (opened ? (count[opened] || 0) >= count[last] : !PUNCTUATION.includes(last)) break;
    count[last]--;
  }
  return address.slice(0, end);
}

/**
 * Where an address leads; '' when it is none, or shows a host that is only a user's name in it.
 * @param {string} address
 */
function target(address) {
  try {
    const url = new URL(address);
    return /^https?:$/.test(url.protocol) && url.hostname && url.hostname.length <= 253 && !url.username && !url.password ? url.href : '';
  } catch {
    return '';
  }
}
