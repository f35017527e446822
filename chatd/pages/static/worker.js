// @ts-check
// The desk's service worker: it is woken when somebody rings while no desk is open in this browser, shows that, and tells the server that it has.
// It has no words of its own; what it shows comes with the message.

/** @typedef {{ call: string, conv: string, title: string, text: string, missed: boolean, over: boolean, lang: string }} Told */

const worker = /** @type {any} */ (self); // a ServiceWorkerGlobalScope

worker.addEventListener('install', () => worker.skipWaiting());
worker.addEventListener('activate', (/** @type {any} */ e) => e.waitUntil(worker.clients.claim()));

worker.addEventListener('push', (/** @type {any} */ e) => {
  if (e.data) e.waitUntil(show(e.data.json()));
});

/** @param {Told} told */
async function show(told) {
  const pages = await worker.clients.matchAll({ type: 'window', includeUncontrolled: true });
  // A desk in view rings by itself, and says so by itself. The sign-in and the list of mails do not.
  if (pages.some((/** @type {any} */ p) => p.visibilityState === 'visible' && isDesk(new URL(p.url).pathname))) return;
  // What is over takes the place of the ring, quietly: a browser that is woken has to show something.
  await worker.registration.showNotification(told.title, {
    body: told.text, tag: told.call, lang: told.lang, renotify: !told.over, silent: told.over, requireInteraction: !told.missed && !told.over, data: { conv: told.conv },
  });
  if (!told.missed && !told.over) await post('/desk/push/rung', { call: told.call });
}

/** @param {string} path */
function isDesk(path) {
  return path === '/desk' || path.startsWith('/desk/c/');
}

worker.addEventListener('notificationclick', (/** @type {any} */ e) => {
  e.notification.close();
  e.waitUntil(open(`/desk/c/${encodeURIComponent(e.notification.data.conv)}`));
});

/** @param {string} path */
async function open(path) {
  const pages = await worker.clients.matchAll({ type: 'window' });
  const desk = pages.find((/** @type {any} */ p) => new URL(p.url).pathname === path) || pages.find((/** @type {any} */ p) => new URL(p.url).pathname.startsWith('/desk'));
  if (!desk) return worker.clients.openWindow(path);
  await desk.focus();
  return new URL(desk.url).pathname === path ? desk : desk.navigate(path);
}

worker.addEventListener('pushsubscriptionchange', (/** @type {any} */ e) => {
  const options = e.oldSubscription && e.oldSubscription.options;
  if (options) e.waitUntil(worker.registration.pushManager.subscribe(options).then((/** @type {any} */ s) => post('/desk/push', s)));
});

/**
 * @param {string} path
 * @param {unknown} what
 */
function post(path, what) {
  return fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(what) });
}
