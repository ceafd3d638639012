/** Start of the host's page: which view, the bar at the top, theme, and what is said when the host is gone. */
import { showAddNode } from "./host_add.js";
import { getJson } from "./host_api.js";
import { showAudit } from "./host_audit.js";
import { showHelp } from "./host_dialog.js";
import { fill, h, isTyping, setText } from "./dom.js";
import { showFaults } from "./host_faults.js";
import { showFleet } from "./host_fleet.js";
import { clock, HOST_CLOCK, shortStamp, titleTime } from "./format.js";
import { Live } from "./host_live.js";
import { showNode } from "./host_node.js";
import { setUpTheme } from "./theme_button.js";

const main = document.getElementById("main");
const facts = document.getElementById("bar-facts");
const lost = document.getElementById("lost");
const live = new Live();
let view = new AbortController();

/** Draws what the address says. */
function route() {
  view.abort();
  view = new AbortController();
  if (location.pathname === "/audit") {
    live.follow(undefined);
    return showAudit(main, { live }, view.signal);
  }
  const found = /^\/nodes\/([^/]+)\/?$/.exec(location.pathname);
  const page = { live, open };
  if (found === null) return showFleet(main, page, view.signal);
  showNode(main, page, decodeURIComponent(found[1]), view.signal);
}

/** Goes to another view without loading the page anew. */
function open(path) {
  if (path === location.pathname) return;
  history.pushState(null, "", path);
  scrollTo(0, 0);
  route();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-link]");
  const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey &&
    !event.altKey;
  if (link === null || !isPlain) return;
  event.preventDefault();
  open(link.getAttribute("href"));
});
addEventListener("popstate", route);

const addButton = document.getElementById("add-button");
let role;
const hostName = h("span", { class: "fact" });
const hostClock = h("span", { class: "fact" });
const insecure = h("span", {
  class: "fact is-warning",
  hidden: true,
  title:
    "Whoever is on the way between nodes and host reads and changes what is sent: see insecure",
}, "no TLS");
fill(facts, insecure, hostName, hostClock);

function drawBar() {
  const { host } = live;
  if (host === undefined) return;
  setText(hostName, `host ${host.version}`);
  hostName.title = `host_id ${host.host_id}`;
  setText(hostClock, `${clock(live.hostNow())} ${HOST_CLOCK}`);
  hostClock.title = titleTime(live.hostNow(), HOST_CLOCK);
  document.getElementById("faults-button").hidden = host.allow_faults !== true;
  insecure.hidden = host.insecure !== true;
  addButton.hidden = role !== "admin" || host.can_enroll !== true;
}
live.on("host", drawBar, new AbortController().signal);

const lostText = h("span", {});
fill(
  lost,
  lostText,
  h("button", { type: "button", onclick: () => live.retry() }, "Try now"),
);
function drawLink() {
  const isLost = live.link === "lost";
  document.body.classList.toggle("is-lost", isLost && live.shownAt !== undefined);
  if (lost.hidden === isLost) lost.hidden = !isLost;
  if (!isLost) return;
  const wait = Math.max(0, Math.ceil((live.retryAt - performance.now()) / 1_000));
  const since = live.shownAt === undefined
    ? "Nothing was received yet."
    : `Data shown is from ${shortStamp(live.shownAt, Date.now())} (${HOST_CLOCK}).`;
  const next = wait === 0 ? "Trying now." : `Next attempt in ${wait} s.`;
  setText(lostText, `Connection to the host lost. ${since} ${next}`);
}
live.on("link", drawLink, new AbortController().signal);

const nextTheme = setUpTheme();
addButton.addEventListener("click", showAddNode);
document.getElementById("help-button").addEventListener("click", showHelp);
document.getElementById("faults-button").addEventListener("click", showFaults);
document.addEventListener("keydown", (event) => {
  if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "?") showHelp();
  else if (event.key === "t") nextTheme();
});

/** Who is logged in, and the way out. */
async function showMe() {
  const { name, role: mine, logged_in } = await getJson("/api/me");
  role = mine;
  drawBar();
  const me = document.getElementById("me");
  me.hidden = !logged_in;
  setText(document.getElementById("me-name"), name);
  document.getElementById("audit-link").hidden = role !== "admin";
  me.title = `Logged in as ${name}, ${role}`;
}
showMe().catch(() => {});
route();
