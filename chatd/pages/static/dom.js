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
 * Loads the page anew because the server asks for a fresh beginning; not again and again, should that not help.
 * @returns {boolean} false when it was tried a moment ago
 */
export function beginAgain() {
  const key = 'chmail.again';
  try {
    if (Date.now() - Number(sessionStorage.getItem(key) || 0) < 60_000) return false;
    sessionStorage.setItem(key, String(Date.now()));
  } catch {
    return false;
  }
  location.reload();
  return true;
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
