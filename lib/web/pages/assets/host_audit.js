/** Who changed what at this host: the audit trail, the newest first. */
import { fill, h } from "./dom.js";
import { HOST_CLOCK, shortStamp, titleTime } from "./format.js";
import { getJson } from "./host_api.js";

const LIMIT = 100;

/** What an action is called. */
const WORDS = {
  put_config: "set the configuration of",
  put_node_config: "set the configuration of",
  forget_node: "forgot",
  add_fault: "injected a fault",
  clear_faults: "ended all faults",
  create_token: "made a token for",
  revoke_token: "revoked a token of",
  add_node: "made an enrolment token for",
  pki_token: "made an enrolment token for",
  pki_revoke: "revoked a certificate of",
  pki_sign: "signed a certificate for",
  enroll: "enrolled",
  renew: "renewed its certificate",
};

/** What an action was done to, where its words don't say it. */
function targetOf({ action, target }) {
  if (["add_fault", "clear_faults", "enroll", "renew"].includes(action)) return "";
  return target === "*" ? "all nodes" : target;
}

/** What changed between two values, a line for each part. */
export function changesOf(before, after) {
  const isParts = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
  const show = (value) => value === undefined || value === null ? "–" : JSON.stringify(value);
  if (!isParts(before ?? {}) || !isParts(after ?? {})) {
    return [before === undefined ? show(after) : `${show(before)} → ${show(after)}`];
  }
  const names = new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})]);
  names.delete("created_wall_ms");
  return [...names].filter((name) => show(before?.[name]) !== show(after?.[name])).map((name) =>
    before === undefined || before === null
      ? `${name} ${show(after?.[name])}`
      : `${name} ${show(before?.[name])} → ${show(after?.[name])}`
  );
}

function rowOf(entry, now) {
  const { at_wall_ms, who, role, address, before, after } = entry;
  return h(
    "tr",
    {},
    h(
      "td",
      { class: "when", title: titleTime(at_wall_ms, HOST_CLOCK) },
      shortStamp(at_wall_ms, now),
    ),
    h("td", {}, h("strong", {}, who), h("div", { class: "note" }, `${role}, ${address}`)),
    h("td", {}, WORDS[entry.action] ?? entry.action, " ", h("strong", {}, targetOf(entry))),
    h("td", { class: "changes" }, ...changesOf(before, after).map((line) => h("div", {}, line))),
  );
}

/** Draws the page until `signal` aborts. */
export async function showAudit(main, { live }, signal) {
  document.title = "Audit – Holdfast";
  const body = h("tbody");
  const more = h("button", { type: "button", hidden: true }, "Older");
  const problem = h("p", { class: "problem", role: "alert" });
  const note = h("p", { class: "note" }, `Times by the ${HOST_CLOCK}.`);
  fill(
    main,
    h(
      "section",
      { class: "audit" },
      h("h1", {}, "Who changed what"),
      note,
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ...["When", "Who", "What", "Change"].map((text) => h("th", { scope: "col" }, text)),
          ),
        ),
        body,
      ),
      problem,
      more,
    ),
  );
  let last;
  const load = async () => {
    try {
      const before = last === undefined ? "" : `&before_id=${last}`;
      const entries = await getJson(`/api/audit?limit=${LIMIT}${before}`, signal);
      const now = live.hostNow();
      for (const entry of entries) body.append(rowOf(entry, now));
      last = entries.at(-1)?.id ?? last;
      more.hidden = entries.length < LIMIT;
      if (last === undefined) {
        note.textContent =
          "Nothing was changed yet. Configurations, tokens, certificates and forgotten nodes will stand here.";
      }
    } catch (error) {
      if (!signal.aborted) problem.textContent = `Can’t be shown: ${error.message}.`;
    }
  };
  more.addEventListener("click", load);
  await load();
}
