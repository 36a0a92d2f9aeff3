// One origin for app, login and API: the Worker serves the auth host under the path of its issuer.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";

import { scratch } from "./programs.mjs";
import { PASSWORD, System, auth, code, received } from "./system.mjs";

const ISSUER = "https://app.example/auth";
const SECRET = randomBytes(24).toString("hex");

let system;
before(async () => {
  system = new System();
  system.folder = scratch();
  await system.startEngine();
  const settings = () => ({
    PORTCULLIS_ISSUER: ISSUER,
    PORTCULLIS_EDGE_SECRET: SECRET,
    PORTCULLIS_CLIENT_IP_SOURCE: "header:x-portcullis-client-ip",
  });
  await Promise.all([system.startOrigin(), system.startHost(settings)]);
  await startWorker();
});
after(() => system.stop());

const startWorker = (more = {}) =>
  system.startWorker({
    PORTCULLIS_ISSUER: ISSUER,
    PORTCULLIS_HOST: system.hostUrl,
    PORTCULLIS_HOST_EDGE_SECRET: SECRET,
    ...more,
  });

const json = ["content-type", "application/json"];
const post = (path, body, headers = []) =>
  system.ask(path, { method: "POST", headers: [...json, ...headers], body: JSON.stringify(body) });

test("a page registers, logs in, refreshes by cookie, calls the API and logs out at one origin", async () => {
  const user = { email: "ada@example.com", password: PASSWORD };
  assert.equal((await post("/auth/v1/register", user)).status, 201);
  const page = ["origin", "https://app.example", "sec-fetch-site", "same-origin"];
  const login = await post("/auth/v1/login", { ...user, transport: "cookie" }, page);
  assert.equal(login.status, 200, login.text);
  const cookie = login.headers["set-cookie"].find((one) => one.startsWith("__Host-portcullis-refresh="));
  const cookies = ["cookie", `theme=dark; ${cookie.split(";")[0]}`, ...page];
  const csrf = JSON.parse((await system.ask("/auth/v1/csrf", { headers: cookies })).text).csrf_token;
  const refreshed = await post("/auth/v1/refresh", {}, [...cookies, "x-portcullis-csrf", csrf]);
  assert.equal(refreshed.status, 200, refreshed.text);
  const token = JSON.parse(refreshed.text).access_token;
  const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  assert.equal(claims.iss, ISSUER);
  const api = await system.ask("/orders", { headers: auth(token) });
  assert.equal(api.status, 200, api.text);
  assert.equal(received(api).get("x-auth-issuer"), ISSUER);
  const sessions = await system.ask("/auth/v1/me", { headers: auth(token) });
  assert.equal(code(sessions), "wrong_audience", "the account endpoints have an audience of their own");
  const out = await system.ask("/auth/v1/logout", { method: "POST", headers: auth(token) });
  assert.equal(out.status, 204);
  await system.untilStatus(token, 401, 12);
});

test("keys and metadata of the issuer are at its own addresses", async () => {
  const keys = JSON.parse((await system.ask("/auth/.well-known/jwks.json")).text);
  assert.ok(keys.keys.length >= 1);
  for (const path of ["/.well-known/oauth-authorization-server/auth", "/auth/.well-known/openid-configuration"]) {
    const metadata = JSON.parse((await system.ask(path)).text);
    assert.equal(metadata.issuer, ISSUER, path);
    assert.equal(metadata.token_endpoint, `${ISSUER}/oauth2/token`);
  }
  const page = await system.ask("/auth/v1/password/reset");
  assert.match(page.headers["content-security-policy"], /default-src 'none'/);
});

test("the host gets the secret, the client's address, its own cookies and the token, and the origin neither secret nor these cookies", async () => {
  await startWorker({ PORTCULLIS_HOST: system.originUrl });
  const cookies = "app=1; __Host-portcullis-refresh=ours; theme=dark";
  const spoofed = [
    ...["x-portcullis-edge-secret", "x-portcullis-client-ip", "X-Portcullis_Edge-Secret", "x-auth-subject"],
    ...["x-forwarded-for", "x-real-ip"],
  ].flatMap((name) => [name, "intruder"]);
  const headers = ["cf-connecting-ip", "203.0.113.7", "cookie", cookies, ...auth("a.b.c"), ...spoofed];
  const host = received(await system.ask("/auth/v1/login?a=b", { headers }));
  assert.equal(host.get("x-portcullis-edge-secret"), SECRET);
  assert.equal(host.get("x-portcullis-client-ip"), "203.0.113.7");
  assert.equal(host.get("cookie"), "__Host-portcullis-refresh=ours");
  assert.equal(host.get("authorization"), "Bearer a.b.c");
  const origin = received(await system.ask("/public/x", { headers }));
  assert.equal(origin.get("cookie"), "app=1; theme=dark");
  for (const name of ["x-portcullis-edge-secret", "authorization"]) assert.ok(!origin.has(name), name);
  for (const seen of [host, origin]) assert.ok(![...seen.values()].includes("intruder"), JSON.stringify([...seen]));
  const path = JSON.parse((await system.ask("/%61uth/v1/login?a=b")).text).path;
  assert.equal(path, "/auth/v1/login?a=b");
});

test("no other spelling of a path reaches the host past the policy", async () => {
  await startWorker({ PORTCULLIS_HOST: system.originUrl });
  for (const [path, expected] of [
    ["/authx", "missing_token"],
    ["/AUTH/v1/login", "missing_token"],
    ["/auth%2Fv1/login", "bad_path"],
    ["/auth;x/v1", "bad_path"],
    ["/.well-known/oauth-authorization-server", "missing_token"],
    ["/.well-known/oauth-authorization-server/auth/", "missing_token"],
  ]) {
    assert.equal(code(await system.ask(path)), expected, path);
  }
});

test("the CORS rules of the policy do not change the answers of the host", async () => {
  const policy = JSON.parse(system.policy);
  policy.cors = { origins: "*" };
  await startWorker({ PORTCULLIS_POLICY: JSON.stringify(policy) });
  const origin = ["origin", "https://other.example"];
  const api = await system.ask("/orders", { headers: origin });
  assert.equal(api.headers["access-control-allow-origin"], "*");
  const host = await system.ask("/auth/v1/csrf", { headers: origin });
  assert.equal(host.headers["access-control-allow-origin"], undefined);
});

for (const [what, bindings] of [
  ["an issuer without a path", { PORTCULLIS_ISSUER: "https://app.example" }],
  ["no secret for the host", { PORTCULLIS_HOST_EDGE_SECRET: undefined }],
  ["a short secret for the host", { PORTCULLIS_HOST_EDGE_SECRET: "x".repeat(31) }],
  ["a host without TLS", { PORTCULLIS_HOST: "http://host.example" }],
  ["a host that is no text", { PORTCULLIS_HOST: { url: "https://host.example" } }],
]) {
  test(`with ${what} every request is 503`, async () => {
    await startWorker(bindings);
    for (const path of ["/auth/v1/login", "/public/x"]) assert.equal(code(await system.ask(path)), "not_configured");
  });
}
