// @ts-check
// The page's texts in the reader's language: the server puts them into the page as data, scripts look them up by key.

const source = document.getElementById('words');
/** @type {Record<string, string>} */
const texts = source ? JSON.parse(source.textContent || '{}') : {};

/**
 * The text for a key, with {name} filled in.
 * @param {string} key
 * @param {Record<string, string | number>} [fill]
 * @returns {string}
 */
export function t(key, fill = {}) {
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => (name in fill ? String(fill[name]) : whole));
}

const spoken = document.documentElement.lang || 'en';

/** The page's language, for dates; as it is written where this person lives, when his browser says so. */
export const lang = navigator.languages.find((l) => l.split('-')[0] === spoken) || spoken;

const clock = new Intl.DateTimeFormat(lang, { hour: 'numeric', minute: '2-digit' });
const moment = new Intl.DateTimeFormat(lang, { day: 'numeric', month: 'short', hour: 'numeric', minute: '2-digit' });
const day = new Intl.DateTimeFormat(lang, { weekday: 'long', day: 'numeric', month: 'long' });
const sizes = ['byte', 'kilobyte', 'megabyte', 'gigabyte'];
const short = new Intl.DateTimeFormat(lang, { day: 'numeric', month: 'short' });

/** @param {Date} d */
export const timeOf = (d) => clock.format(d);

/** @param {Date} d */
export const dayOf = (d) => day.format(d);

/**
 * The time today, the date before.
 * @param {Date} d
 */
export const whenOf = (d) => (d.toDateString() === new Date().toDateString() ? clock.format(d) : short.format(d));

/**
 * The time, and unless it is today the date.
 * @param {Date} d
 */
export const momentOf = (d) => (d.toDateString() === new Date().toDateString() ? clock.format(d) : moment.format(d));

/**
 * A number of bytes, as people read it.
 * @param {number} n
 */
export function sizeOf(n) {
  let unit = 0;
  for (; n >= 1000 && unit < sizes.length - 1; unit++) n /= 1024;
  return new Intl.NumberFormat(lang, { style: 'unit', unit: sizes[unit], unitDisplay: unit ? 'short' : 'long', maximumFractionDigits: n < 10 ? 1 : 0 }).format(n);
}
