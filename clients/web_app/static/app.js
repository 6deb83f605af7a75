// Lets the ages count; without it they are those of the moment the page was made.
"use strict";

// The server's clock is what the tokens mean: count on from what the page says, not from this machine's clock.
const shown = performance.now();
const counters = [...document.querySelectorAll("[data-since], [data-until]")].map((element) => ({
  element,
  start: Number(element.textContent),
  step: element.dataset.since ? 1 : -1,
}));

setInterval(() => {
  const passed = Math.floor((performance.now() - shown) / 1000);
  for (const { element, start, step } of counters) {
    element.textContent = String(Math.max(0, start + step * passed));
  }
}, 1000);
