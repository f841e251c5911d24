/*
 * The question and the panel behind "Privacy choices". Owns what is seen and heard; what an answer
 * means is for consent.js. All of it stands in shadow trees, so that no style of the site gets in.
 */

const CHOICES = "privacy-choices";

let texts, where, answer;
let host, box, heard, styled;
let now, opener;
const sheet = new CSSStyleSheet();
const shown = new Set();

/** Say which words to use, and what to call with an answer. Called once, before all others. */
export function answered(words, place, call) {
  [texts, where, answer] = [words, place, call];
  customElements.define("consent-state", State);
  // Before the site's own handlers, which may take every link for one of theirs.
  document.addEventListener("click", open, { capture: true });
  document.addEventListener("focusin", stepAside);
}

/** `<consent-state>`: a sentence that says what holds, wherever a site wants it to stand. */
class State extends HTMLElement {
  connectedCallback() {
    // In a shadow tree, where no framework that made the element misses or removes it.
    this.shadowRoot ?? this.attachShadow({ mode: "open" });
    shown.add(this);
    this.write();
  }

  disconnectedCallback() {
    shown.delete(this);
  }

  write() {
    this.shadowRoot.replaceChildren(make("span", local(), sentence()));
  }
}

/** Say what holds now, in every place that shows it. */
export function tell(standing) {
  now = standing;
  for (const one of shown) one.write();
}

function sentence() {
  if (!now) return "";
  const date = new Date(now.date);
  // A no stays one where its day was lost.
  if (now.state === "refused" && isNaN(date)) return texts.unanswered;
  const text = texts[now.state];
  if (!text.includes("{date}")) return text;
  const day = date.toLocaleDateString(where.language, { dateStyle: "long", timeZone: "UTC" });
  return text.replace("{date}", day);
}

/** Ask, without taking the focus and without keeping anybody from reading on. */
export function ask() {
  draw(texts.title, question(), choices());
}

/** Take the banner away. */
export function hide() {
  if (!host || box.hidden) return;
  box.hidden = true;
  room();
  if (opener?.isConnected) opener.focus();
  opener = undefined;
}

/** Open the panel for a click on any link whose address ends in #privacy-choices. */
function open(event) {
  const link = event.composedPath()[0].closest?.(`a[href$="#${CHOICES}"]`);
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  event.stopPropagation();
  opener = link;
  // Where the browser has said no, there is nothing to choose here.
  const free = ["accepted", "refused", "unanswered"].includes(now.state);
  draw(
    texts.choices,
    make("p", {}, make("strong", {}, sentence())),
    ...(free ? [question(), choices()] : []),
    button(texts.close, hide),
  );
  styled.then(() => box.focus());
}

function question() {
  return make("p", {}, texts.ask, " ", make("a", { href: where.privacy }, texts.more));
}

function choices() {
  // One look, one size, the no first: neither is easier.
  const no = button(texts.refuse, () => choose("refused"));
  const yes = button(texts.accept, () => choose("accepted"));
  return make("div", { className: "choices" }, no, yes);
}

function choose(choice) {
  answer(choice);
  hide();
  heard.textContent = sentence();
}

function draw(title, ...content) {
  host ?? build();
  stand();
  box.replaceChildren(make("p", { id: "title" }, title), ...content);
  box.classList.remove("top");
  box.hidden = false;
  heard.textContent = "";
}

function build() {
  heard = make("p", { className: "heard", role: "status" });
  box = make("section", { ...local(), hidden: true, tabIndex: -1 });
  box.setAttribute("aria-labelledby", "title");
  box.addEventListener("keydown", ({ key }) => key === "Escape" && opener && hide());
  host = make("consent-banner", {});
  // A site that says nothing of dark and light gets what the reader's system says.
  const scheme = getComputedStyle(document.documentElement).colorScheme;
  if (scheme === "normal") host.style.colorScheme = "light dark";
  const href = new URL("consent.css", import.meta.url).href;
  const style = make("link", { rel: "stylesheet", href });
  // Not before it can stand where it belongs: else it would push the page down for a moment.
  host.style.display = "none";
  styled = new Promise((go) => (style.onload = style.onerror = go));
  styled.then(() => (host.style.display = "contents"));
  host.attachShadow({ mode: "open" }).append(style, box, heard);
  document.adoptedStyleSheets.push(sheet);
  new ResizeObserver(room).observe(box);
}

/** Be in the page, also where a site that changes pages by script has put in another body. */
function stand() {
  // First, so that who uses keyboard or screen reader does not have to look for it.
  if (!host.isConnected) document.body?.prepend(host);
}

/** Leave room under the page, so that its end, and what has the focus, can be scrolled into view. */
function room() {
  // What was taken out of the page has no size any more, which is how this hears of it.
  stand();
  const height = `${box.offsetHeight + 16}px !important`;
  // A sheet of its own: what the site has set itself is there again afterwards.
  sheet.replaceSync(
    box.hidden ? "" : `:root { padding-bottom: ${height}; scroll-padding-bottom: ${height}; }`,
  );
}

/** Never cover what has the focus: where scrolling cannot help, go to the other edge. */
function stepAside({ target }) {
  if (!host || box.hidden || target === host) return;
  requestAnimationFrame(() => {
    const its = target.getBoundingClientRect();
    const own = box.getBoundingClientRect();
    const isApart =
      its.right <= own.left || its.left >= own.right || its.bottom <= own.top || its.top >= own.bottom;
    // What is longer than the banner, such as a whole article, cannot be hidden by it.
    if (!isApart && its.height <= own.height) box.classList.toggle("top");
  });
}

function button(text, onclick) {
  return make("button", { type: "button", onclick }, text);
}

function local() {
  return { lang: where.language, dir: texts.direction };
}

function make(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
