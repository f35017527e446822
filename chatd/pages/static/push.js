// @ts-check
// Lets this browser be woken by a ring when the desk is closed. Only where notifications were allowed; signing out ends it.

/** The one script address that may be given to the browser as such. */
const types = /** @type {any} */ (window).trustedTypes;
const policy = types ? types.createPolicy('worker', { createScriptURL: () => '/desk/worker.js' }) : null;

/** Whether this browser can be woken at all. */
export const possible = 'serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window;

/**
 * Makes sure that the server can wake this browser, with its key. What goes wrong costs nothing but that: an open desk rings as ever.
 * @param {string} key
 */
export async function allow(key) {
  if (!possible || !key || Notification.permission !== 'granted') return;
  try {
    await navigator.serviceWorker.register(policy ? policy.createScriptURL('') : '/desk/worker.js', { scope: '/desk', updateViaCache: 'none' });
    const registration = await navigator.serviceWorker.ready;
    const raw = bytes(key);
    let subscription = await registration.pushManager.getSubscription();
    if (subscription && !same(subscription.options.applicationServerKey, raw)) { // of a server with other keys
      await subscription.unsubscribe();
      subscription = null;
    }
    subscription ||= await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: raw });
    await post('/desk/push', subscription);
  } catch (e) {
    console.info('this browser cannot be woken:', e);
  }
}

/** Takes away what was shown while no desk was open: this desk shows it now. */
export async function clear() {
  if (!possible) return;
  const registration = await navigator.serviceWorker.getRegistration('/desk');
  for (const n of await registration?.getNotifications() ?? []) n.close();
}

/** Ends it, for whoever uses this browser next. */
export async function end() {
  if (!possible) return;
  try {
    const registration = await navigator.serviceWorker.getRegistration('/desk');
    const subscription = registration && await registration.pushManager.getSubscription();
    if (!subscription) return;
    await post('/desk/push/end', { endpoint: subscription.endpoint });
    await subscription.unsubscribe();
  } catch (e) {
    console.info('the browser could not be told:', e);
  }
}

/** @param {string} key base64url */
function bytes(key) {
  const text = atob(key.replace(/-/g, '+').replace(/_/g, '/'));
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

/**
 * @param {ArrayBuffer | null} have
 * @param {Uint8Array} want
 */
function same(have, want) {
  const bytesOf = have ? new Uint8Array(have) : new Uint8Array();
  return bytesOf.length === want.length && bytesOf.every((b, i) => b === want[i]);
}

/**
 * @param {string} path
 * @param {unknown} what
 */
async function post(path, what) {
  const response = await fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(what), keepalive: true });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
}
