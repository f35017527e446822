// @ts-check
// The field one writes in: grows with the text, Enter sends, Shift+Enter makes a line, and neither disturbs an input method.

const LONGEST = 4000; // bytes are limited by the server; this keeps a slip of the clipboard from being sent
const UNSPEAKABLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g; // control characters that came along with a paste

/**
 * @param {HTMLFormElement} form  holds one textarea
 * @param {string} key  names the conversation in this tab's storage, where what is not sent yet outlives a reload
 * @param {(text: string) => void} say
 * @returns {HTMLTextAreaElement}
 */
export function composer(form, key, say) {
  const field = /** @type {HTMLTextAreaElement} */ (form.querySelector('textarea'));
  field.maxLength = LONGEST;
  field.value ||= draft(key);

  const fit = () => {
    field.style.height = 'auto';
    field.style.height = `${Math.min(field.scrollHeight + 2, innerHeight * 0.35)}px`;
  };

  form.addEventListener('submit', (e) => {
    e.preventDefault();
    const text = field.value.replace(UNSPEAKABLE, '').trim();
    if (!text) { field.focus(); return; }
    field.value = '';
    if (!form.dataset.amending) keep(key, '');
    fit();
    say(text);
    field.focus();
  });

  // Not keydown: an input method uses Enter for itself, and a phone's keyboard may not report keys at all.
  let shift = false;
  field.addEventListener('keydown', (e) => { shift = e.shiftKey; });
  field.addEventListener('beforeinput', (e) => {
    if (e.inputType !== 'insertLineBreak' || shift) return;
    e.preventDefault();
    form.requestSubmit();
  });

  field.addEventListener('input', () => {
    if (!form.dataset.amending) keep(key, field.value); // a change is no draft
    fit();
  });
  new ResizeObserver(fit).observe(form); // also when it is shown first
  return field;
}

/** @param {string} key */
function draft(key) {
  try { return sessionStorage.getItem(`chmail.draft ${key}`) || ''; } catch { return ''; }
}

/**
 * @param {string} key
 * @param {string} text
 */
function keep(key, text) {
  try {
    if (text) sessionStorage.setItem(`chmail.draft ${key}`, text);
    else sessionStorage.removeItem(`chmail.draft ${key}`);
  } catch {
    // Without storage a reload loses what was not sent; the page still works.
  }
}
