// Passkeys (WebAuthn Level 3). A form carries what it asks for in data-passkey; what the browser answers goes into its
// hidden field, and the form is sent. Without this file, or where there are no passkeys, its button stays hidden.
"use strict";

const decode = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));

const encode = (binary) =>
  btoa(String.fromCharCode(...new Uint8Array(binary))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

// The browsers' own JSON forms are younger than passkeys, and some password managers do not bring them.
function readRequest(form) {
  const request = JSON.parse(form.dataset.passkey);
  request.challenge = decode(request.challenge);
  if (request.user) request.user.id = decode(request.user.id);
  for (const each of [...(request.allowCredentials ?? []), ...(request.excludeCredentials ?? [])]) {
    each.id = decode(each.id);
  }
  return request;
}

function spellCredential({ id, rawId, type, response }) {
  const spelled = { clientDataJSON: encode(response.clientDataJSON) };
  for (const name of ["authenticatorData", "signature", "userHandle", "attestationObject"]) {
    if (response[name]) spelled[name] = encode(response[name]);
  }
  if (response.getTransports) spelled.transports = response.getTransports();
  return JSON.stringify({ id, rawId: encode(rawId), type, response: spelled });
}

async function offerPasskey(form) {
  const button = form.querySelector("button[data-passkey-ask]");
  const cancelled = form.querySelector("[data-passkey-cancelled]");
  const known = form.querySelector("[data-passkey-known]");
  let controller = new AbortController();
  let asking = Promise.resolve();

  async function ask(mediation) {
    const publicKey = readRequest(form);
    const { signal } = controller;
    const credential = publicKey.rp
      ? await navigator.credentials.create({ publicKey, signal })
      : await navigator.credentials.get({ publicKey, signal, mediation });
    form.elements.passkey.value = spellCredential(credential);
    if (form.elements.password) form.elements.password.value = "";
    button.setAttribute("aria-busy", "true");
    form.submit(); // the fields of the other way may be empty
  }

  async function offerAutofill() {
    const takesPasskeys = form.querySelector("input[autocomplete~=webauthn]");
    if (!takesPasskeys || !(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
    asking = ask("conditional").catch(() => {});
  }

  button.addEventListener("click", async () => {
    // a browser asks for one passkey at a time: what waits in the list of a field goes first
    controller.abort();
    await asking;
    controller = new AbortController();
    cancelled.hidden = true;
    if (known) known.hidden = true;
    try {
      await ask();
    } catch (error) {
      const words = known && error.name === "InvalidStateError" ? known : cancelled;
      words.setAttribute("role", "alert");
      words.hidden = false;
      await offerAutofill();
    }
  });
  button.hidden = false;
  for (const text of form.querySelectorAll("[data-passkey-missing]")) text.hidden = true;
  await offerAutofill();
}

if (window.PublicKeyCredential) {
  for (const text of document.querySelectorAll("[data-passkey-offered]")) text.hidden = false;
  for (const form of document.querySelectorAll("form[data-passkey]")) offerPasskey(form);
  // lets the authenticator drop what is no passkey here any more (§5.1.10)
  for (const { dataset } of document.querySelectorAll("[data-passkey-signal]")) {
    const { method, about } = JSON.parse(dataset.passkeySignal);
    PublicKeyCredential[method]?.(about).catch(() => {});
  }
}
