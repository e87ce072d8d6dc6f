// Follows the theme of Airflow's UI, which keeps it in this origin's localStorage; without one, the system's.
// Loaded before the style sheet, so that no page is ever shown in the other theme first.
"use strict";
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");

  function show() {
    let chosen = null;
    try {
      chosen = localStorage.getItem("theme");
    } catch {
      // Storage is closed to this page: the system's theme it is.
    }
    const theme = chosen === "light" || chosen === "dark" ? chosen : system.matches ? "dark" : "light";
    document.documentElement.dataset.theme = theme;
  }

  show();
  addEventListener("storage", show);
  system.addEventListener("change", show);
})();
