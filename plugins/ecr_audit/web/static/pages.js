// What is nicer with a script. Without one every page works, too.
"use strict";

// In a frame of Airflow's, links that lead out of these pages (data-outside) would open in that frame, and the frame
// may open no window. Its page is of the same origin, so the link is followed there.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-outside]");
  if (!link || window.parent === window) return;
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

// <button data-copy="id"> copies the text of that element.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
  const label = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = label), 1500);
});
