// Comfort only: every page works without this file.
"use strict";

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.querySelector("[data-label]").textContent = button.dataset.copied;
  });
}

for (const button of document.querySelectorAll("button[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

for (const button of document.querySelectorAll("button[data-shows]")) {
  const field = document.getElementById(button.dataset.shows);
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = field.type === "password";
    field.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
  });
  field.form.addEventListener("submit", () => { field.type = "password"; });
}

// A second click on a form under way sends nothing; the server would count it as one submission anyhow.
for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    const button = event.submitter;
    if (!button || !button.dataset.busy) return;
    button.style.inlineSize = `${button.getBoundingClientRect().width}px`;
    button.setAttribute("aria-busy", "true");
    button.dataset.idle = button.textContent;
    button.textContent = button.dataset.busy;
  });
}

// The back button may bring a page back as it was left: make its forms usable again.
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  for (const button of document.querySelectorAll("button[data-idle]")) {
    button.removeAttribute("aria-busy");
    button.textContent = button.dataset.idle;
  }
});

for (const text of document.querySelectorAll("[data-countdown]")) {
  const number = text.querySelector("[data-seconds]");
  const waiting = document.getElementById(text.dataset.enables || "");
  if (waiting) waiting.disabled = true;
  let seconds = Number(text.dataset.countdown);
  const timer = setInterval(() => {
    seconds -= 1;
    if (seconds > 0) {
      number.textContent = String(seconds);
      return;
    }
    clearInterval(timer);
    if (waiting) waiting.disabled = false;
    text.textContent = text.dataset.over;
  }, 1000);
}
