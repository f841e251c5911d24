/*
 * In the place of Google's script: does what it is documented to do with what it is told, and in the
 * worst case what a careful site has not forbidden. It takes the document's own address, referrer and
 * title where no others were given, measures by itself when the history changes, sends without
 * cookies while consent is denied, and has a last word when its page ends, whoever said what.
 */
(() => {
  const id = new URL(document.currentScript.src).searchParams.get("id");
  const consent = {};
  let config = {};
  let set = {};

  function cookie(name, value) {
    const registrable = location.hostname.split(".").slice(-2).join(".");
    const domain = config.cookie_domain === "none" ? "" : `;domain=${registrable}`;
    const age = config.cookie_expires ?? 63072000;
    document.cookie = `${name}=${value};path=/;max-age=${age}${domain};${config.cookie_flags ?? ""}`;
  }

  function collect(event, own) {
    const document_ = { page_location: location.href, page_referrer: document.referrer };
    const said = { ...document_, page_title: document.title, ...set, ...config, ...own };
    const isGranted = consent.analytics_storage === "granted";
    if (isGranted) {
      cookie("_ga", "GA1.1.1.1");
      cookie(`_ga_${id.slice(2)}`, "GS2.1.s1");
      if (consent.ad_storage !== "denied") cookie("_gcl_au", "1.1.1");
    }
    const query = new URLSearchParams({
      v: 2,
      tid: id,
      en: event,
      dl: said.page_location,
      dr: said.page_referrer,
      dt: said.page_title,
      gcs: isGranted ? "G101" : "G100",
      signals: String(said.allow_google_signals ?? true),
      update: String(config.cookie_update ?? true),
      ads: String(said.allow_ad_personalization_signals ?? true),
    });
    return `https://region1.google-analytics.com/g/collect?${query}`;
  }

  function send(event, own) {
    if (window[`ga-disable-${id}`]) return;
    fetch(collect(event, own), { method: "POST", mode: "no-cors", keepalive: true });
  }

  function take([command, name, given]) {
    if (command === "consent") {
      Object.assign(consent, given);
      if (name === "update" && given.analytics_storage === "denied") send("consent_denied");
    } else if (command === "set") {
      set = { ...set, ...name };
    } else if (command === "config") {
      config = given;
      if (given.send_page_view !== false) send("page_view");
    } else if (command === "event") {
      send(name, given);
    }
  }

  window.dataLayer.forEach(take);
  window.dataLayer.push = (...all) => all.forEach(take);
  navigation.addEventListener("currententrychange", () => setTimeout(() => send("scroll"), 0));
  addEventListener("pagehide", () => navigator.sendBeacon(collect("last_word")));
})();
