// What the page shows. The protocol is in oidc.js.

import { decode, fingerprint, Issuer, IssuerError, SignedOut } from "./oidc.js";

const config = await (await fetch("/config.json")).json();
const issuer = new Issuer({
  issuer: config.issuer,
  clientId: config.client_id,
  redirectUri: `${location.origin}/callback`,
  signedOutUri: `${location.origin}/`,
  scope: config.scope,
  resource: config.api,
  changed: () => show(),
});
const $ = (id) => document.getElementById(id);

let tokens; // what is shown

async function show() {
  tokens = await issuer.tokens();
  $("signed-out").hidden = Boolean(tokens);
  $("signed-in").hidden = !tokens;
  document.title = `${tokens ? "Signed in" : "Signed out"} · Sample page`;
  if (!tokens) return;
  const { user } = tokens;
  $("greeting").textContent = `Hello, ${user.name ?? user.preferred_username ?? user.sub}`;
  $("renewals").textContent = `Renewed ${tokens.renewals} ${tokens.renewals === 1 ? "time" : "times"} since you signed in.`;
  $("access-token").textContent = spell(tokens.access_token);
  $("id-token").textContent = spell(tokens.id_token);
  $("refresh-token").textContent = tokens.refresh_token ? await fingerprint(tokens.refresh_token) : "none was given";
  showAges();
}

function showAges() {
  if (!tokens) return;
  const { iat, exp } = decode(tokens.access_token).claims;
  const now = Math.floor(Date.now() / 1000);
  $("age").textContent = `Issued ${Math.max(0, now - iat)} s ago, expires in ${Math.max(0, exp - now)} s`;
}

async function requestData() {
  const token = await issuer.accessToken({ renew: true });
  $("answer").hidden = false;
  try {
    const response = await fetch(`${config.api}/experiment`, { headers: { Authorization: `Bearer ${token}` } });
    $("answer-status").textContent = `${response.status} from ${config.api}/experiment`;
    $("answer-text").textContent = JSON.stringify(await response.json(), null, 2);
  } catch {
    $("answer-status").textContent = `${config.api} does not answer.`;
    $("answer-text").textContent = "";
  }
}

function spell(token) {
  const { header, claims } = decode(token);
  return `${JSON.stringify(header, null, 2)}\n${JSON.stringify(claims, null, 2)}`;
}

// Runs what a button starts, once at a time, and says what went wrong.
async function run(work, button) {
  $("problem").hidden = true;
  if (button) button.setAttribute("aria-busy", "true");
  try {
    await work();
  } catch (error) {
    if (!(error instanceof SignedOut)) {
      if (!(error instanceof IssuerError)) console.error(error);
      $("problem").textContent = error instanceof IssuerError ? error.message : "Something went wrong. Please try again.";
      $("problem").hidden = false;
    }
  } finally {
    if (button) button.removeAttribute("aria-busy");
  }
  await show();
}

for (const [id, work] of [
  ["sign-in", () => issuer.signIn()],
  ["request", requestData],
  ["sign-out", () => issuer.signOut()],
]) {
  $(id).addEventListener("click", ({ currentTarget }) => {
    if (!currentTarget.hasAttribute("aria-busy")) run(work, currentTarget);
  });
}
setInterval(showAges, 1000);

$("where").textContent = `Signs in at ${config.issuer} as client ${config.client_id}`;
// A reload finds the tokens where they were; those that expired meanwhile are renewed first.
await run(() => (location.pathname === "/callback" ? issuer.finishSignIn() : issuer.accessToken()));
