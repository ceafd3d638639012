/** The button that goes through the themes: the system's, light, dark. */

const KEY = "holdfast-theme";
const THEMES = ["system", "light", "dark"];

function current() {
  return document.documentElement.dataset.theme ?? "system";
}

/**
 * Brings the button `#theme-button` to life and gives what it does, for a key. A canvas hears of a change by
 * the event `themechange` of the document.
 */
export function setUpTheme() {
  const button = document.getElementById("theme-button");
  const name = () => {
    const text = `Theme: ${current()}`;
    button.title = text;
    button.setAttribute("aria-label", text);
  };
  const next = () => {
    const chosen = THEMES[(THEMES.indexOf(current()) + 1) % THEMES.length];
    if (chosen === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    try {
      localStorage.setItem(KEY, chosen);
    } catch {
      // Storage is switched off: the choice holds as long as the page.
    }
    name();
    document.dispatchEvent(new Event("themechange"));
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    document.dispatchEvent(new Event("themechange"));
  });
  button.addEventListener("click", next);
  name();
  return next;
}
