// Verifies access tokens (RFC 9068) with the issuer's published keys. This file is the part to copy.

import { createLocalJWKSet, createRemoteJWKSet, errors, jwksCache, jwtVerify } from "jose";

const ALGORITHMS = ["ES256", "RS256", "PS256", "EdDSA", "Ed25519"];
const REQUIRED = ["sub", "client_id", "iat", "exp", "jti"];
const FRESH = 5 * 60_000; // ms; the issuer says max-age=300 of its keys
const STALE_AT_MOST = 60 * 60_000; // ms for which the last keys do while the issuer does not answer
const ASK_AGAIN_AFTER = 30_000; // ms: a stranger's made-up key ids must not become requests to the issuer

// Why a request is refused. `challenge` is the WWW-Authenticate header (RFC 6750 §3).
export class Refused extends Error {
  constructor(status, error, description, more = {}) {
    super(description);
    this.status = status;
    this.error = error;
    this.more = more;
  }

  challenge(realm) {
    const parts = { realm, ...(this.error && { error: this.error, error_description: this.message }), ...this.more };
    return `Bearer ${Object.entries(parts).map(([name, value]) => `${name}="${value}"`).join(", ")}`;
  }
}

// Returns a function from an Authorization header to the claims of a valid token; it throws Refused for all else.
export function createVerifier(issuer, audience) {
  const findKey = createKeyFinder(issuer);

  return async function verify(authorization) {
    const [scheme, token, ...rest] = (authorization ?? "").split(" ");
    if (scheme.toLowerCase() !== "bearer") throw new Refused(401); // no token at all, or another scheme's credentials
    if (!token || rest.length) throw new Refused(400, "invalid_request", "send: Authorization: Bearer TOKEN");
    let claims;
    try {
      const checks = { issuer, audience, typ: "at+jwt", algorithms: ALGORITHMS, requiredClaims: REQUIRED };
      claims = (await jwtVerify(token, findKey, checks)).payload;
    } catch (error) {
      if (error instanceof Refused) throw error;
      throw new Refused(401, "invalid_token", describe(error));
    }
    // Such a token is worth nothing without a proof of its key (RFC 9449, RFC 8705), which this sample does not check.
    if (claims.cnf) throw new Refused(401, "invalid_token", "the token is bound to a key; bearer tokens only");
    return claims;
  };
}

export function requireScope(claims, scope) {
  if (!String(claims.scope ?? "").split(" ").includes(scope)) {
    throw new Refused(403, "insufficient_scope", "the token's scope is not enough", { scope });
  }
}

function createKeyFinder(issuer) {
  const kept = {}; // jose writes here what it fetched last, and when
  let remote;
  let askAgainAt = 0;

  async function discover() {
    const response = await fetch(`${issuer}/.well-known/oauth-authorization-server`, {
      redirect: "error",
      signal: AbortSignal.timeout(5000),
    });
    if (!response.ok) throw new Error(`metadata: HTTP ${response.status}`);
    const metadata = await response.json();
    if (metadata.issuer !== issuer) throw new Error("the metadata is another issuer's"); // RFC 8414 §3.3
    const options = { cacheMaxAge: FRESH, cooldownDuration: ASK_AGAIN_AFTER, [jwksCache]: kept };
    return createRemoteJWKSet(new URL(metadata.jwks_uri), options);
  }

  async function ask(header, token) {
    if (Date.now() < askAgainAt) throw new Error("it did not answer a moment ago");
    try {
      remote ??= await discover();
      return await remote(header, token);
    } catch (error) {
      if (!isAboutTheToken(error)) askAgainAt = Date.now() + ASK_AGAIN_AFTER;
      throw error;
    }
  }

  return async function findKey(header, token) {
    try {
      return await ask(header, token);
    } catch (error) {
      if (isAboutTheToken(error)) throw error;
      if (kept.jwks && Date.now() < kept.uat + STALE_AT_MOST) return createLocalJWKSet(kept.jwks)(header, token);
      console.error(`${issuer} gives no keys: ${error.message}`);
      throw new Refused(503, "temporarily_unavailable", "the issuer's keys cannot be read");
    }
  };
}

function isAboutTheToken(error) {
  return error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JOSENotSupported;
}

function describe(error) {
  if (error instanceof errors.JWTExpired) return "the token has expired";
  if (error instanceof errors.JWTClaimValidationFailed) return `the token's ${error.claim} is not right`;
  if (error instanceof errors.JWKSNoMatchingKey) return "the token's key is not the issuer's";
  return "the token is not valid";
}
