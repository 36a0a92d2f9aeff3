// The main job: registration, login, a request through the Worker, logout, rejection.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { PASSWORD, System, auth, bearer, code, received } from "./system.mjs";

let system;
before(async () => (system = await System.start()));
after(() => system.stop());

test("a user logs in, reaches the origin, logs out and is rejected within 10 s", async () => {
  const user = { email: "ada@example.com", password: PASSWORD };
  const registered = await system.post("/v1/register", user);
  assert.equal(registered.status, 201);
  assert.match((await registered.json()).user_id, /\S/);

  const loggedIn = await system.post("/v1/login", user);
  assert.equal(loggedIn.status, 200);
  const { access_token: token, token_type: type, expires_in: seconds } = await loggedIn.json();
  assert.equal(type, "Bearer");
  assert.ok(seconds > 0 && seconds <= 600);

  const answer = await system.ask("/hello", { headers: auth(token) });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(received(answer).get("x-auth-issuer"), "https://login.example");

  const loggedOut = await fetch(`${system.hostUrl}/v1/logout`, { method: "POST", headers: bearer(token) });
  assert.equal(loggedOut.status, 204);
  const waited = await system.untilStatus(token, 401, 10);
  assert.ok(waited <= 10);
  assert.equal(code(await system.ask("/hello", { headers: auth(token) })), "revoked");
});

test("the edge rejects an ended session and a logout-all within 10 s", async () => {
  const user = { email: "eve@example.com", password: PASSWORD };
  assert.equal((await system.post("/v1/register", user)).status, 201);
  const logIn = async (resource) => (await (await system.post("/v1/login", { ...user, resource })).json()).access_token;
  const [one, two, three] = [await logIn(), await logIn(), await logIn()];
  // The account endpoints take no token of an API.
  const account = await logIn("https://login.example");
  const sid = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url")).sid;
  const call = (method, path) => fetch(system.hostUrl + path, { method, headers: bearer(account) });

  assert.equal((await call("DELETE", `/v1/sessions/${sid(two)}`)).status, 204);
  await system.untilStatus(two, 401, 10);
  assert.equal((await system.ask("/hello", { headers: auth(three) })).status, 200);

  assert.equal((await call("POST", "/v1/logout-all")).status, 204);
  await system.untilStatus(three, 401, 10);
  await system.untilStatus(one, 401, 10);
  assert.equal((await system.ask("/hello", { headers: auth(await logIn()) })).status, 200);
});

test("the logout of one user does not affect another", async () => {
  const [gone, stays] = [await system.logIn(), await system.logIn()];
  await system.logOut(gone);
  await system.untilStatus(gone, 401, 10);
  assert.equal((await system.ask("/hello", { headers: auth(stays) })).status, 200);
});

test("a request without a token gets a Bearer challenge without an error attribute", async () => {
  const answer = await system.ask("/hello");
  assert.equal(answer.status, 401);
  assert.equal(code(answer), "missing_token");
  assert.match(answer.headers["www-authenticate"], /^Bearer\b/);
  assert.doesNotMatch(answer.headers["www-authenticate"], /error=/);
  assert.equal(answer.headers["content-type"], "application/problem+json");
  assert.equal(answer.headers["cache-control"], "no-store");
});

test("a token without the required scope gets 403 with the scope", async () => {
  const answer = await system.ask("/admin/", { headers: auth(await system.logIn()) });
  assert.equal(answer.status, 403);
  assert.equal(code(answer), "insufficient_scope");
  assert.match(answer.headers["www-authenticate"], /error="insufficient_scope".*scope="admin"/);
});

test("an open route needs no token, and an invalid token there opens no other route", async () => {
  assert.equal((await system.ask("/public/page")).status, 200);
  const answer = await system.ask("/private", { headers: auth("not.a.token") });
  assert.equal(answer.status, 401);
  assert.match(answer.headers["www-authenticate"], /error="invalid_token"/);
});

test("a token with one changed bit in its signature is rejected", async () => {
  const token = await system.logIn();
  const [header, claims, signature] = token.split(".");
  const bytes = Buffer.from(signature, "base64url");
  bytes[10] ^= 1;
  const forged = [header, claims, bytes.toString("base64url")].join(".");
  const answer = await system.ask("/hello", { headers: auth(forged) });
  assert.equal(answer.status, 401);
  assert.equal(code(answer), "bad_signature");
});
