/*
 * Every word that a reader sees, by language: that of <html lang>, else English. To add one, copy a
 * block; `direction` is ltr or rtl. A yes is for the text that was read: change a letter of it, and
 * who said yes to it is asked again.
 */

export const TEXTS = {
  en: {
    direction: "ltr",
    title: "May we count your visits?",
    ask:
      "If you accept, Google Analytics sets cookies and receives your IP address, kind of browser and " +
      "device, and which pages you open, how long and how often. If not, nothing is loaded from Google. " +
      "To change that: “Privacy choices” at the end of each page.",
    choices: "Privacy choices",
    refuse: "Refuse",
    accept: "Accept",
    close: "Close",
    more: "Details",
    accepted: "Your visits are counted, as you accepted on {date}.",
    refused: "Your visits are not counted, as you refused on {date}.",
    unanswered: "Your visits are not counted, because you have not accepted it.",
    gpc: "Your visits are not counted, because your browser says so (Global Privacy Control).",
    dnt: "Your visits are not counted, because your browser says so (Do Not Track).",
    storage: "Your visits are not counted, because your browser keeps no answers for this site.",
    none: "This site counts no visits.",
  },
  de: {
    direction: "ltr",
    title: "Dürfen wir Ihre Besuche zählen?",
    ask:
      "Wenn Sie zustimmen, setzt Google Analytics Cookies und erhält Ihre IP-Adresse, die Art Ihres " +
      "Browsers und Geräts, welche Seiten Sie hier wie lange öffnen und wie oft Sie kommen. Sonst wird " +
      "nichts von Google geladen. Antwort ändern: „Datenschutz-Einstellungen“ am Ende jeder Seite.",
    choices: "Datenschutz-Einstellungen",
    refuse: "Ablehnen",
    accept: "Zustimmen",
    close: "Schließen",
    more: "Einzelheiten",
    accepted: "Ihre Besuche werden gezählt, denn Sie haben am {date} zugestimmt.",
    refused: "Ihre Besuche werden nicht gezählt, denn Sie haben am {date} abgelehnt.",
    unanswered: "Ihre Besuche werden nicht gezählt, denn Sie haben nicht zugestimmt.",
    gpc: "Ihre Besuche werden nicht gezählt, denn Ihr Browser sagt es so (Global Privacy Control).",
    dnt: "Ihre Besuche werden nicht gezählt, denn Ihr Browser sagt es so (Do Not Track).",
    storage: "Ihre Besuche werden nicht gezählt, denn Ihr Browser behält für diese Website keine Antwort.",
    none: "Diese Website zählt keine Besuche.",
  },
  ar: {
    direction: "rtl",
    title: "هل تسمح لنا بإحصاء زياراتك؟",
    ask:
      "إذا وافقت، تضع Google Analytics ملفات تعريف الارتباط وتتلقى عنوان IP الخاص بك ونوع متصفحك وجهازك " +
      "والصفحات التي تفتحها هنا ومدة بقائك فيها وعدد زياراتك. وإلا فلن يُحمَّل أي شيء من " +
      "Google. لتغيير جوابك: «خيارات الخصوصية» في نهاية كل صفحة.",
    choices: "خيارات الخصوصية",
    refuse: "أرفض",
    accept: "أوافق",
    close: "إغلاق",
    more: "التفاصيل",
    accepted: "تُحصى زياراتك لأنك وافقت على ذلك في {date}.",
    refused: "لا تُحصى زياراتك لأنك رفضت ذلك في {date}.",
    unanswered: "لا تُحصى زياراتك لأنك لم توافق على ذلك.",
    gpc: "لا تُحصى زياراتك لأن متصفحك يطلب ذلك (Global Privacy Control).",
    dnt: "لا تُحصى زياراتك لأن متصفحك يطلب ذلك (Do Not Track).",
    storage: "لا تُحصى زياراتك لأن متصفحك لا يحفظ أي جواب لهذا الموقع.",
    none: "لا يُحصي هذا الموقع أي زيارات.",
  },
};
