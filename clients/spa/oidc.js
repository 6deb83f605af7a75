// Signing in from a page without a server of its own: authorization code with PKCE (RFC 7636), refresh, revocation.
// This file is the part to copy. It needs a secure context (https, or localhost).

import { Vault } from "./vault.js";

const LEEWAY = 5; // seconds: renew a little early, so that the API does not see a token in its last second

// Nobody is signed in (any more): show the sign-in button.
export class SignedOut extends Error {}

// The issuer said no, or something that does not fit, or nothing; the message is for a person.
export class IssuerError extends Error {}

export class Issuer {
  #options;
  #vault;
  #metadata;

  // issuer, clientId, redirectUri, signedOutUri, scope, resource: as registered with `authserver clients create --type spa`;
  // `changed` is called when another tab renewed the tokens or signed out.
  constructor({ changed, ...options }) {
    this.#options = options;
    this.#vault = new Vault(`tokens of ${options.clientId}`, changed);
  }

  // The tokens of this origin, shared by all its tabs; undefined where nobody is signed in.
  tokens() {
    return this.#vault.read();
  }

  // Leaves the page for the issuer's sign-in.
  async signIn() {
    const { authorization_endpoint } = await this.#discover();
    const verifier = randomText();
    const nonce = randomText();
    const state = randomText();
    // Kept by state, in this tab only: two tabs can sign in at once, and a planted answer finds nothing here.
    sessionStorage.setItem(`sign-in ${state}`, JSON.stringify({ verifier, nonce }));
    const { clientId, redirectUri, scope, resource } = this.#options;
    location.assign(withQuery(authorization_endpoint, {
      response_type: "code", client_id: clientId, redirect_uri: redirectUri, scope, resource, state, nonce,
      code_challenge: await challengeOf(verifier), code_challenge_method: "S256",
    }));
  }

  // Takes the issuer's answer from the address bar, and clears it there: the code must not stay in the history.
  async finishSignIn() {
    const answer = Object.fromEntries(new URLSearchParams(location.search));
    history.replaceState(null, "", "/");
    const { issuer, clientId, redirectUri } = this.#options;
    const begun = JSON.parse(sessionStorage.getItem(`sign-in ${answer.state}`) ?? "null");
    sessionStorage.removeItem(`sign-in ${answer.state}`);
    if (!begun) throw new IssuerError("This sign-in is over, or began in another tab. Please start again.");
    if (answer.iss !== issuer) throw new IssuerError("This answer is not from our issuer."); // RFC 9207 §2.4
    if (answer.error === "access_denied") throw new IssuerError("You did not allow this app to sign you in.");
    if (answer.error) throw new IssuerError(`The issuer did not sign you in: ${answer.error}`);
    const tokens = await this.#ask({
      grant_type: "authorization_code", client_id: clientId, redirect_uri: redirectUri,
      code: answer.code, code_verifier: begun.verifier,
    });
    const claims = decode(tokens.id_token).claims; // from the issuer by TLS: its signature may go unchecked (Core §3.1.3.7)
    const isForUs = claims.iss === issuer && [claims.aud].flat().includes(clientId) && claims.nonce === begun.nonce;
    if (!isForUs) throw new IssuerError("The issuer's answer could not be checked. Please sign in again.");
    const user = await this.#askWho(tokens.access_token, claims);
    await this.#vault.locked(() => this.#remember({ ...tokens, user }, 0));
  }

  // Returns an access token, after renewing the pair where it has expired or `renew` is true.
  // One tab at a time does so, and reads the refresh token under the lock: none is ever presented by two tabs.
  accessToken({ renew = false } = {}) {
    return this.#vault.locked(async () => {
      const held = await this.tokens();
      if (!held) throw new SignedOut();
      if (!renew && Date.now() / 1000 < held.expires_at - LEEWAY) return held.access_token;
      if (!held.refresh_token) return this.#forget();
      const { clientId } = this.#options;
      const form = { grant_type: "refresh_token", client_id: clientId, refresh_token: held.refresh_token };
      const tokens = await this.#ask(form).catch((error) => {
        if (error.code === "invalid_grant") return this.#forget();
        throw error;
      });
      await this.#remember({ ...held, ...tokens }, held.renewals + 1);
      return tokens.access_token;
    });
  }

  // Forgets everything, first of all; then revokes the refresh token, and leaves the page to sign out at the issuer too.
  async signOut() {
    const held = await this.#vault.locked(async () => {
      const tokens = await this.tokens();
      await this.#vault.clear();
      return tokens;
    });
    const { revocation_endpoint, end_session_endpoint } = await this.#discover();
    const { clientId, signedOutUri } = this.#options;
    if (held?.refresh_token) {
      const body = new URLSearchParams({ token: held.refresh_token, client_id: clientId });
      await fetch(revocation_endpoint, { method: "POST", body }).catch(() => {}); // ends with the session all the same
    }
    location.assign(withQuery(end_session_endpoint, {
      client_id: clientId, post_logout_redirect_uri: signedOutUri, ...(held && { id_token_hint: held.id_token }),
    }));
  }

  #remember(tokens, renewals) {
    const expires_at = Math.floor(Date.now() / 1000) + tokens.expires_in;
    const { access_token, refresh_token, id_token, user } = tokens;
    return this.#vault.write({ access_token, refresh_token, id_token, user, expires_at, renewals });
  }

  async #forget() {
    await this.#vault.clear();
    throw new SignedOut();
  }

  async #discover() {
    const { issuer } = this.#options;
    this.#metadata ??= await read(fetch(`${issuer}/.well-known/openid-configuration`));
    if (this.#metadata.issuer !== issuer) throw new IssuerError("This app is set up wrongly: its issuer has another name.");
    return this.#metadata;
  }

  // Adds what UserInfo says to the ID token's claims: with a code flow the name stands there only. An answer about
  // another `sub` must not be used (OIDC Core §5.3.2); without an answer the claims must do.
  async #askWho(accessToken, claims) {
    const { userinfo_endpoint } = await this.#discover();
    const headers = { Authorization: `Bearer ${accessToken}` };
    const user = await read(fetch(userinfo_endpoint, { headers })).catch(() => claims);
    if (user.sub !== claims.sub) throw new IssuerError("The issuer's answer is about someone else. Please sign in again.");
    return user;
  }

  async #ask(form) {
    const { token_endpoint } = await this.#discover();
    return read(fetch(token_endpoint, { method: "POST", body: new URLSearchParams(form) }));
  }
}

// The header and the claims of a JWT, for showing; that proves nothing about it.
export function decode(token) {
  const [header, claims] = token.split(".").slice(0, 2).map((part) => {
    const octets = Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(octets));
  });
  return { header, claims };
}

// Some hexadecimal digits that tell one secret from the next, and are of no use to whoever reads them.
export async function fingerprint(text) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return [...digest.slice(0, 8)].map((octet) => octet.toString(16).padStart(2, "0")).join("");
}

async function read(asked) {
  let response;
  try {
    response = await asked;
  } catch {
    throw new IssuerError("The issuer does not answer. Please try again in a moment; nothing was lost.");
  }
  const document = await response.json().catch(() => ({}));
  if (response.ok) return document;
  const error = new IssuerError(`The issuer answered: ${document.error_description ?? document.error ?? response.status}`);
  error.code = document.error;
  throw error;
}

async function challengeOf(verifier) {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

function randomText() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

function base64url(octets) {
  return btoa(String.fromCharCode(...octets)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function withQuery(address, query) {
  const url = new URL(address);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url.href;
}
