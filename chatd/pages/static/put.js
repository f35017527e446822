// @ts-check
// Putting something into the field one writes in, as if it had been typed there.

/**
 * Puts a text where a field's cursor is, in the place of what is selected.
 * @param {HTMLTextAreaElement} field
 * @param {string} text
 */
export function put(field, text) {
  field.focus();
  if (field.value.length + text.length - (field.selectionEnd - field.selectionStart) > field.maxLength && field.maxLength > 0) return; // as if typed
  field.setRangeText(text, field.selectionStart, field.selectionEnd, 'end');
  field.dispatchEvent(new Event('input'));
}
