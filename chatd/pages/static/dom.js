// @ts-check
// Making elements. Whatever a person wrote goes through textContent only; there is no way here to set HTML.

/**
 * @param {string} tag
 * @param {Record<string, string>} [attrs] attributes, by name
 * @param {...(Node | string)} inside
 * @returns {HTMLElement}
 */
export function el(tag, attrs = {}, ...inside) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attrs)) node.setAttribute(name, value);
  node.append(...inside);
  return node;
}

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @returns {T}
 */
export function need(id) {
  const node = document.getElementById(id);
  if (!node) throw new Error(`the page has no #${id}`);
  return /** @type {T} */ (node);
}

/**
 * Says something to a screen reader without showing it.
 * @param {string} text
 */
export function announce(text) {
  const place = document.getElementById('announce');
  if (!place) return;
  place.textContent = '';
  requestAnimationFrame(() => { place.textContent = text; });
}
