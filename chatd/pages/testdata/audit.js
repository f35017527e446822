// What can be checked by a machine of a page being usable by everybody: names, contrast, sizes, no sideways scrolling.
// Evaluates to a list of faults.
(() => {
  const faults = [];
  const shown = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && e.getClientRects().length > 0;
  const label = (e) => `<${e.tagName.toLowerCase()}${e.id ? `#${e.id}` : ''} class="${e.getAttribute('class') || ''}">`;

  if (document.documentElement.scrollWidth > innerWidth) faults.push(`the page is ${document.documentElement.scrollWidth} px wide in a window of ${innerWidth}`);
  if (!document.documentElement.lang) faults.push('no language');
  if (!document.title) faults.push('no title');
  if (document.querySelectorAll('h1').length !== 1) faults.push(`${document.querySelectorAll('h1').length} h1`);
  if (document.querySelectorAll('main').length !== 1) faults.push('not one main');
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`id ${id} twice`);
  for (const e of document.querySelectorAll('[aria-describedby], [aria-labelledby]')) {
    const to = e.getAttribute('aria-describedby') || e.getAttribute('aria-labelledby');
    if (!document.getElementById(to)) faults.push(`${label(e)} refers to #${to}, which is not there`);
  }

  for (const e of document.querySelectorAll('input:not([type=hidden]), textarea, button, a[href]')) {
    if (!shown(e)) continue;
    const name = e.getAttribute('aria-label') || (e.labels && e.labels.length ? e.labels[0].textContent : '') || (e.matches('button, a') ? e.textContent : '');
    if (!name.trim()) faults.push(`${label(e)} has no name`);
    const box = e.getBoundingClientRect();
    if (!e.matches('.skip, p a') && box.height < 24) faults.push(`${label(e)} is only ${box.height} px high`);
    if (!e.matches('.skip') && (box.left < -1 || box.right > innerWidth + 1)) faults.push(`${label(e)} reaches out of the window`);
    if (e.matches('input, textarea') && parseFloat(getComputedStyle(e).fontSize) < 16) faults.push(`${label(e)} makes phones zoom in`);
  }
  for (const e of document.querySelectorAll('svg')) if (!e.closest('[aria-hidden=true]')) faults.push('a picture without words');

  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const rgb = (color) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c[3] === 255) return c;
    }
    return rgb(getComputedStyle(document.documentElement).backgroundColor);
  };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || e.closest('.unseen, .skip, noscript, script, template') || !shown(e)) continue;
    const r = ratio(rgb(getComputedStyle(e).color), ground(e));
    if (r < 4.5) faults.push(`${label(e)} "${walk.currentNode.data.trim().slice(0, 20)}" has a contrast of ${r.toFixed(2)}`);
  }
  for (const e of document.querySelectorAll('input, textarea')) {
    if (!shown(e)) continue;
    const r = ratio(rgb(getComputedStyle(e, '::placeholder').color), ground(e));
    if (e.placeholder && rgb(getComputedStyle(e, '::placeholder').color)[3] && r < 4.5) faults.push(`${label(e)}'s hint has a contrast of ${r.toFixed(2)}`);
  }
  return faults;
})()
