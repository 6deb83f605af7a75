// A sample resource server on Express.
//
//   ISSUER=http://localhost:9000 PORT=9001 node server.js

import express from "express";
import { createVerifier, Refused, requireScope } from "./tokens.js";

const port = Number(process.env.PORT ?? 9001);
const issuer = (process.env.ISSUER ?? "http://localhost:9000").replace(/\/$/, "");
const audience = process.env.AUDIENCE ?? `http://localhost:${port}`;
const READ = "api:read";
const WRITE = "api:write";

const verify = createVerifier(issuer, audience);
const app = express();
app.disable("x-powered-by");

// Whoever is let through has a valid token in `response.locals.token`, with this scope.
const withToken = (scope) => async (request, response, next) => {
  const claims = await verify(request.get("authorization"));
  if (scope) requireScope(claims, scope);
  response.locals.token = claims;
  next();
};

app.get("/", (request, response) => {
  response.json({ api: audience, issuer, scopes: [READ, WRITE] });
});

app.get("/healthz", (request, response) => {
  response.json({ status: "ok" });
});

app.get("/whoami", withToken(), (request, response) => {
  const { sub, client_id, scope, exp } = response.locals.token;
  response.json({ subject: sub, client_id, scope, expires_at: new Date(exp * 1000).toISOString() });
});

app.get("/notes", withToken(READ), (request, response) => {
  response.json({ notes: [`for ${response.locals.token.sub} only`] });
});

app.get("/experiment", withToken(), (request, response) => {
  const held = new Set(String(response.locals.token.scope ?? "").split(" "));
  const missing = [READ, WRITE].filter((scope) => !held.has(scope));
  const access = missing.length === 0 ? "full" : missing.length === 2 ? "none" : "limited";
  response.json({ access, missing_scope: missing.join(" ") });
});

app.use((error, request, response, next) => {
  if (!(error instanceof Refused)) return next(error);
  response.status(error.status);
  if (error.status === 503) response.set("Retry-After", "5");
  else response.set("WWW-Authenticate", error.challenge(audience));
  response.json({ error: error.error ?? "no_token", error_description: error.message || "send an access token" });
});

app.listen(port, process.env.HOST ?? "127.0.0.1", () => {
  console.log(`${audience} takes tokens of ${issuer}`);
});
