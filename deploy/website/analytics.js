/*
 * Google Analytics 4 by Consent Mode v2. Owns what is told to Google, all of it after a yes, and that
 * nothing is left after a no. Knows nothing of banners.
 */

const DENIED = {
  ad_personalization: "denied",
  ad_storage: "denied",
  ad_user_data: "denied",
  analytics_storage: "denied",
  functionality_storage: "denied",
  personalization_storage: "denied",
};
const COOKIES = /^_(ga|gid|gat|gac|gcl)(_|$)/;

let started = false;
let last;

// Google's script reads this when it is there. Before that it is a list in memory, and says no.
window.dataLayer ??= [];
gtag("consent", "default", DENIED);

function gtag() {
  // Google's script takes `arguments` and no array.
  window.dataLayer.push(arguments);
}

/** Load Google Analytics, and count this page and those that follow without a load. */
export function start(id, days) {
  if (started) return;
  started = true;
  gtag("consent", "update", { analytics_storage: "granted" });
  gtag("js", new Date());
  gtag("config", id, {
    allow_ad_personalization_signals: false,
    allow_google_signals: false,
    cookie_domain: "none",
    cookie_expires: days * 86_400,
    cookie_flags: "SameSite=Lax;Secure",
    cookie_update: false,
    send_page_view: false,
  });
  view();
  // Sites that change pages by script: as soon as the address is another.
  window.navigation?.addEventListener("currententrychange", view);
  const script = document.createElement("script");
  script.async = true;
  script.referrerPolicy = "no-referrer";
  script.src = `https://www.googletagmanager.com/gtag/js?id=${id}`;
  document.head.append(script);
}

function view() {
  if (location.pathname === last) return;
  const told = page(last === undefined ? document.referrer : location.origin + last);
  last = location.pathname;
  // For what Google's script sends of its own accord. Not in `config`, which would outdo this.
  gtag("set", told);
  gtag("event", "page_view", told);
}

/** Return a page without query and fragment. Its title is not told: that of a search has its words. */
function page(referrer) {
  // Not of an app, nor of anything else that is no site.
  const from = /^https?:/.test(referrer) ? new URL(referrer) : undefined;
  const path = from?.origin === location.origin ? from.pathname : "/";
  return {
    page_location: location.origin + location.pathname,
    page_referrer: from ? from.origin + path : "",
    page_title: location.pathname,
  };
}

/** Where Google Analytics runs, end it with the page it runs in, and leave nothing of it. */
export function stop(id) {
  if (!started) return;
  window[`ga-disable-${id}`] = true;
  gtag("consent", "update", DENIED);
  clean();
  // Whatever Google's script has still to say when its page ends, it can reach nobody.
  const policy = document.createElement("meta");
  policy.httpEquiv = "Content-Security-Policy";
  policy.content = "default-src 'self'";
  document.head.append(policy);
  location.reload();
}

/** Remove all cookies of Google Analytics. */
export function clean() {
  for (const name of names(document.cookie.split(/; */))) expire(name);
  try {
    for (const name of names(Object.keys(localStorage))) localStorage.removeItem(name);
  } catch {
    // Storage that cannot be read has nothing of it.
  }
}

function names(found) {
  return found.map((one) => one.split("=")[0]).filter((one) => COOKIES.test(one));
}

/** Remove a cookie under every domain and path that could have set it for this page. */
function expire(name) {
  const labels = location.hostname.split(".");
  const domains = labels.map((_, index) => `;domain=${labels.slice(index).join(".")}`);
  const parts = location.pathname.split("/");
  const paths = parts.flatMap((_, end) => {
    const path = parts.slice(0, end).join("/");
    return [path, `${path}/`];
  });
  for (const domain of ["", ...domains]) {
    for (const path of [...paths, location.pathname]) {
      document.cookie = `${name}=;expires=Thu, 01 Jan 1970 00:00:00 GMT;path=${path}${domain}`;
    }
  }
}
