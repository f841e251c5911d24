/*
 * The one script that a page includes. Owns the reader's answer: where it is kept, what counts as a
 * no, and that nothing but a yes to the present text starts Google Analytics.
 */

import { clean, start, stop } from "./analytics.js";
import { answered, ask, hide, tell } from "./banner.js";
import { TEXTS } from "./texts.js";

const DAYS = 180; // A yes ends after half a year, and so does the cookie; a no has no end.

const tag = document.querySelector("script[data-measurement-id]");
const id = tag?.dataset.measurementId ?? "";
// By account, for two sites may share one origin.
const KEY = `analytics-consent-${id}`;
const privacy = tag?.dataset.privacy ?? new URL("privacy.html", import.meta.url).pathname;
const wanted = document.documentElement.lang.toLowerCase();
const language = [wanted, wanted.split("-")[0]].find((one) => Object.hasOwn(TEXTS, one)) ?? "en";

let cannotKeep = false;

/** Return a short name of a text: another one as soon as a letter is another. */
function version(of) {
  let hash = 0x811c9dc5;
  for (const letter of JSON.stringify(TEXTS[of])) {
    hash = Math.imul(hash ^ letter.codePointAt(0), 0x01000193);
  }
  return (hash >>> 0).toString(36);
}

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch (error) {
    // Something that is no answer is none; storage that cannot be read takes none.
    cannotKeep ||= !(error instanceof SyntaxError);
    return {};
  }
}

function keep(choice) {
  const date = new Date().toISOString().slice(0, 10);
  try {
    localStorage.setItem(KEY, JSON.stringify({ choice, date, version: version(language), language }));
  } catch {
    cannotKeep = true;
    // A no that cannot be written takes at least an older yes away.
    forget();
  }
}

function forget() {
  try {
    localStorage.removeItem(KEY);
  } catch {
    cannotKeep = true;
  }
}

function age(date) {
  return (Date.now() - Date.parse(date)) / 86_400_000;
}

/** Say what holds on this page: `accepted`, or why not. */
function standing() {
  const { choice, date, version: agreed, language: read } = kept();
  const holds = Object.hasOwn(TEXTS, read) && agreed === version(read) && age(date) >= -1;
  // That of the README is none.
  if (!/^G-(?!X+$)[A-Z0-9]+$/.test(id)) return { state: "none" };
  if (navigator.globalPrivacyControl) return { state: "gpc" };
  if (navigator.doNotTrack === "1") return { state: "dnt" };
  if (cannotKeep) return { state: "storage" };
  if (choice === "refused") return { state: choice, date };
  return choice === "accepted" && holds && age(date) < DAYS ? { state: choice, date } : { state: "unanswered" };
}

/** Leave nothing of a yes that had ended before this page was opened. */
function tidy() {
  const { choice, date } = kept();
  const { state } = standing();
  if (choice !== "accepted" || state === "accepted") return;
  clean();
  // A yes to another text may be that of a newer page in another tab: it is a no here, and stays.
  if (state !== "unanswered" || age(date) >= DAYS) forget();
}

/** Bring this page in line with what holds now; it may have changed in another tab. */
function apply() {
  const now = standing();
  tell(now);
  if (now.state === "accepted") {
    start(id, DAYS);
    hide();
  } else {
    stop(id);
    if (now.state === "unanswered") ask();
    else hide();
  }
}

if (document.readyState === "loading") {
  await new Promise((go) => document.addEventListener("DOMContentLoaded", go, { once: true }));
}
if (document.prerendering) {
  // A page that is only made ready for a reader was not read yet.
  await new Promise((go) => document.addEventListener("prerenderingchange", go, { once: true }));
}
// Included twice, perhaps under two addresses, it still works once.
if (!customElements.get("consent-state")) {
  answered(TEXTS[language], { language, privacy }, (choice) => {
    // Also what another page has set, whose yes this page cannot judge or never ran under.
    if (choice === "refused" && kept().choice === "accepted") clean();
    keep(choice);
    apply();
  });
  addEventListener("storage", ({ key }) => (key === KEY || key === null) && apply());
  addEventListener("pageshow", ({ persisted }) => persisted && apply());
  tidy();
  apply();
}
