// Enhancements only: every page also works without a script.
"use strict";

// In a frame of Airflow's, a link that leads out of these pages would open Airflow, or a foreign page, within that frame,
// which may open no window. The page around it is of the same origin, so the link is followed there. A link is inside
// when its address is below these pages' root, which is where this file comes from: no template has to mark it.
const root = new URL("..", document.currentScript.src);
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link || window.parent === window || link.href.startsWith(root.href)) return;
  event.preventDefault();
  const outer = window.parent.document;
  const copy = outer.createElement("a");
  copy.href = link.href;
  copy.target = link.target;
  copy.rel = "noopener";
  outer.body.append(copy);
  copy.click();
  copy.remove();
});

// Browsers allow the clipboard API on HTTPS only; other pages can copy a selection.
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

// <button data-copy="id"> copies the text of that element.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  await copy(document.getElementById(button.dataset.copy).textContent.trim());
  const label = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = label), 1500);
});

// <form data-without-empty> leaves its empty fields out of the address.
document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-without-empty]")) return;
  for (const field of event.target.elements) field.disabled ||= field.name !== "" && field.value === "";
});

// A page restored from the back-forward cache still has its fields disabled.
addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("form[data-without-empty] :disabled")) field.disabled = false;
});
