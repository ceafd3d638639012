/**
 * The editor of a node's configuration: a form from the host's table of settings. What is left empty stays as
 * the node was started. Shows what would change before it is sent, and what became of it after.
 */
import { change, getJson, nodePath } from "./host_api.js";
import { fill, h, setAttr, setText } from "./dom.js";
import { plural } from "./format.js";

const CHECK_AFTER_MS = 300;

function asText(value) {
  if (value === undefined) return "";
  return Array.isArray(value) ? value.join("\n") : String(value);
}

/** The value that a field's text stands for; a text that is no number stays one, for the host to refuse. */
function parse(setting, text) {
  const trimmed = text.trim();
  if (trimmed === "") return undefined;
  if (setting.type === "list") {
    return trimmed.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  }
  if (setting.type === "flag" || setting.type === "boolean") return trimmed === "true";
  if (setting.type !== "integer" && setting.type !== "number") return trimmed;
  const value = Number(trimmed);
  return Number.isNaN(value) ? trimmed : value;
}

/** What is plainly wrong with a value; the host has the last word. */
function localProblem(setting, value) {
  if (setting.type !== "integer" && setting.type !== "number") return undefined;
  const unit = setting.unit ? ` ${setting.unit}` : "";
  if (typeof value !== "number") return "a number is needed";
  if (setting.type === "integer" && !Number.isInteger(value)) return "a whole number is needed";
  if (value < setting.min || value > setting.max) {
    return `from ${setting.min} to ${setting.max}${unit}`;
  }
  return undefined;
}

function show(value) {
  return value === undefined ? "not set" : Array.isArray(value) ? value.join("; ") : String(value);
}

/** @param {{nodeId: string, live: any}} options */
export function createConfig({ nodeId, live }, signal) {
  let settings = [], wanted = {}, fields = new Map(), version = -1, checkTimer = 0, checkRun = 0;
  let isSending = false, isLoading = false;
  const state = h("p", { class: "config-state", role: "status" });
  const form = h("form", { class: "settings", novalidate: true, autocomplete: "off" });
  const diff = h("ul", { class: "diff", "aria-label": "What changes" });
  const problem = h("p", { class: "problem", role: "alert" });
  const toAll = h("input", { type: "checkbox", id: "config-all" });
  const allLabel = h("label", { for: "config-all" }, "Send to all nodes instead of this one");
  const send = h("button", { type: "submit", class: "primary", form: "config-form" }, "Send");
  const undo = h("button", { type: "button", onclick: () => setFields(wanted) }, "Undo");
  const foot = h(
    "div",
    { class: "config-foot", hidden: true },
    diff,
    h("div", { class: "all" }, toAll, allLabel),
    problem,
    h("div", { class: "actions" }, undo, send),
  );
  form.id = "config-form";
  const element = h(
    "section",
    { class: "card config" },
    h("h2", {}, "Configuration"),
    state,
    form,
    foot,
  );

  function values() {
    const config = {};
    for (const setting of settings) {
      const value = parse(setting, fields.get(setting.name).input.value);
      if (value !== undefined) config[setting.name] = value;
    }
    return config;
  }

  /** What differs from what is wanted now. */
  function changes(config) {
    return settings.map(({ name, unit }) => ({
      name,
      unit,
      before: wanted[name],
      after: config[name],
    }))
      .filter(({ before, after }) => JSON.stringify(before) !== JSON.stringify(after));
  }

  function setFields(config) {
    for (const { name } of settings) fields.get(name).input.value = asText(config[name]);
    toAll.checked = false;
    problem.textContent = "";
    edited();
  }

  function edited() {
    const config = values();
    const changed = changes(config);
    foot.hidden = changed.length === 0;
    fill(
      diff,
      ...changed.map(({ name, before, after }) =>
        h(
          "li",
          {},
          h("b", {}, name),
          " ",
          h("del", {}, show(before)),
          " → ",
          h("ins", {}, show(after)),
        )
      ),
    );
    for (const { name } of settings) {
      fields.get(name).row.toggleAttribute(
        "data-changed",
        changed.some((one) => one.name === name),
      );
    }
    const problems = settings.filter(({ name }) => config[name] !== undefined)
      .map((setting) => ({
        setting: setting.name,
        text: localProblem(setting, config[setting.name]),
      }))
      .filter(({ text }) => text !== undefined);
    showProblems(problems);
    clearTimeout(checkTimer);
    if (problems.length === 0 && changed.length > 0) {
      checkTimer = setTimeout(() => check(config), CHECK_AFTER_MS);
    }
  }

  function showProblems(problems) {
    for (const { name } of settings) {
      const { input, message } = fields.get(name);
      const text = problems.filter(({ setting }) => setting === name).map(({ text }) => text).join(
        "; ",
      );
      setText(message, text);
      setAttr(input, "aria-invalid", text === "" ? null : "true");
    }
    send.disabled = problems.length > 0 || isSending;
  }

  /** Asks the host what it thinks; true where it agrees or can't be asked without a token. */
  async function check(config) {
    const run = ++checkRun;
    try {
      const verdict = await post(config);
      if (run !== checkRun || verdict === undefined) return true;
      const problems = (verdict.problems ?? []).map(({ setting, expected, received, wrong }) => ({
        setting,
        text: wrong ?? `expected ${expected}, got ${received}`,
      }));
      showProblems(problems);
      return verdict.ok;
    } catch (error) {
      problem.textContent = error.message;
      return false;
    }
  }

  async function post(config) {
    const response = await fetch("/api/config/check", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(config),
    });
    return response.ok || response.status === 400 ? await response.json() : undefined;
  }

  async function submit() {
    if (isSending || send.disabled) return;
    const config = values();
    isSending = true;
    send.disabled = true;
    problem.textContent = "";
    try {
      if (!await check(config)) return;
      const path = toAll.checked ? "/api/config" : nodePath(nodeId, "/config");
      const { cfg_version } = await change("PUT", path, config);
      wanted = config;
      version = cfg_version;
      setFields(config);
    } catch (error) {
      problem.textContent = `Not sent: ${error.message}.`;
    } finally {
      isSending = false;
      send.disabled = false;
    }
  }

  function makeField(setting) {
    const { name, type, unit, help, choices } = setting;
    const id = `setting-${name}`;
    const own = `node’s own (usually ${show(setting.default) || "empty"})`;
    const shared = {
      id,
      name,
      "aria-describedby": `${id}-help ${id}-problem`,
      spellcheck: "false",
    };
    let input;
    if (type === "flag" || type === "choice") {
      const words = type === "flag" ? ["true", "false"] : choices ?? [];
      input = h(
        "select",
        shared,
        h("option", { value: "" }, own),
        ...words.map((word) => h("option", { value: word }, word)),
      );
    } else if (type === "list") input = h("textarea", { ...shared, rows: "2", placeholder: own });
    else {
      const mode = type === "integer" ? "numeric" : type === "number" ? "decimal" : "text";
      input = h("input", { ...shared, type: "text", inputmode: mode, placeholder: own });
    }
    input.addEventListener("input", edited);
    const message = h("span", { class: "problem", id: `${id}-problem`, role: "alert" });
    const row = h(
      "div",
      { class: "setting" },
      h("label", { for: id }, name, unit && h("span", { class: "faint" }, ` ${unit}`)),
      input,
      message,
      h("p", { class: "note", id: `${id}-help` }, help),
    );
    return { input, message, row };
  }

  async function load() {
    if (isLoading) return;
    isLoading = true;
    try {
      if (settings.length === 0) {
        settings = await getJson("/api/settings", signal);
        fields = new Map(settings.map((setting) => [setting.name, makeField(setting)]));
        fill(form, ...[...fields.values()].map(({ row }) => row));
      }
      const { desired } = await getJson(nodePath(nodeId, "/config"), signal);
      const isUntouched = changes(values()).length === 0;
      wanted = desired?.config ?? {};
      version = desired?.cfg_version ?? 0;
      if (isUntouched) setFields(wanted);
      else edited();
    } catch (error) {
      if (!signal.aborted && settings.length === 0) {
        setText(state, `Can’t be read: ${error.message}.`);
      }
    } finally {
      isLoading = false;
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  // Leaving with unsent changes would lose them in silence.
  addEventListener("beforeunload", (event) => {
    if (!foot.hidden) event.preventDefault();
  }, { signal });
  signal.addEventListener("abort", () => clearTimeout(checkTimer));
  toAll.addEventListener(
    "change",
    () =>
      setText(send, toAll.checked ? `Send to all ${plural(live.entries.size, "node")}` : "Send"),
  );
  load();

  return {
    element,
    /** Takes the node's summary: which version is wanted and which is in force. */
    show({ node }) {
      const { cfg_version_desired: want, cfg_version_applied: has, config_error: error } = node;
      if (want !== version && !isSending) load();
      const text = error
        ? `Version ${want} was refused by the node: ${error}. Version ${has} is in force.`
        : want > has
        ? `Version ${want} is wanted, ${has} is in force. ${
          node.connected ? "Waiting for the node." : "The node gets it when it connects."
        }`
        : has === 0
        ? "The node runs as it was started; nothing is set from here."
        : `Version ${has} is in force.`;
      setText(state, text);
      setAttr(state, "data-tone", error ? "bad" : want > has ? "warn" : "ok");
    },
  };
}
