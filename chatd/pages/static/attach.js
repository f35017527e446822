// @ts-check
// How a file gets into a conversation: chosen, photographed, dropped or pasted. What sends it is loaded when there is one.

import { announce } from './dom.js';
import { t } from './words.js';

/**
 * @typedef {object} Way
 * @property {import('./log.js').Log} log
 * @property {string} url   where files are sent to
 * @property {number} max   bytes of one; 0: none can be sent
 * @property {() => boolean} up  the line is up
 * @property {() => void} [spoke]  one was sent
 */

/**
 * @param {HTMLElement} place  onto which files can be dropped: log and composer
 * @param {Way} way
 * @returns {(up: boolean) => void}  to be told when the line goes up or down
 */
export function attaching(place, way) {
  if (!way.max) return () => {};
  /** @type {Promise<import('./files.js').Uploads> | null} */
  let loading = null;
  /** @param {FileList | File[]} list */
  const send = (list) => {
    const files = [...list];
    if (files.length === 0) return;
    loading ??= import('./files.js').then((m) => new m.Uploads(way));
    loading.then((uploads) => uploads.add(files), () => {
      loading = null;
      announce(t('chat.file.trouble'));
    });
  };
  for (const input of /** @type {NodeListOf<HTMLInputElement>} */ (place.querySelectorAll('input[type=file]'))) {
    input.disabled = false;
    input.addEventListener('change', () => {
      send(input.files ?? []);
      input.value = ''; // the same once more is a change again
    });
  }
  place.querySelector('textarea')?.addEventListener('paste', (e) => {
    const data = e.clipboardData;
    if (!data || data.files.length === 0 || data.types.includes('text/plain')) return; // what was copied in a table comes as text and picture
    e.preventDefault();
    send(data.files);
  });

  /** @param {DragEvent} e */
  const holdsFiles = (e) => !!e.dataTransfer && [...e.dataTransfer.types].includes('Files');
  let depth = 0;
  /** @param {number} by */
  const over = (by) => {
    depth = by ? Math.max(depth + by, 0) : 0;
    place.classList.toggle('dropping', depth > 0);
  };
  place.addEventListener('dragenter', (e) => { if (holdsFiles(e)) over(1); });
  place.addEventListener('dragleave', (e) => { if (holdsFiles(e)) over(-1); });
  place.addEventListener('dragover', (e) => { if (holdsFiles(e)) e.preventDefault(); });
  place.addEventListener('drop', (e) => {
    if (!holdsFiles(e) || !e.dataTransfer) return;
    e.preventDefault();
    over(0);
    send(e.dataTransfer.files);
  });
  addEventListener('dragover', (e) => { // beside it, a browser would show the file in place of the page
    if (!holdsFiles(e) || e.defaultPrevented || !e.dataTransfer) return;
    e.preventDefault();
    e.dataTransfer.dropEffect = 'none';
  });
  return (up) => { loading?.then((uploads) => uploads.line(up), () => {}); };
}
