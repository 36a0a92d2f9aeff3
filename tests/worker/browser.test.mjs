// Headers for browsers: CORS by the policy, and HSTS.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, before, test } from "node:test";

import { System, auth, bearer, code } from "./system.mjs";

const APP = "https://app.example";
const OTHER = "https://other.example";

let system;
let token;
let origin;
/** The requests that reached the origin. */
const received = [];
before(async () => {
  // An origin with CORS headers of its own.
  origin = http.createServer((request, answer) => {
    received.push(request.method);
    answer.setHeader("access-control-allow-origin", "*");
    answer.setHeader("access-control-allow-credentials", "true");
    answer.setHeader("access-control-allow-private-network", "true");
    answer.setHeader("vary", "Accept");
    if (request.url.endsWith("/hsts")) answer.setHeader("strict-transport-security", "max-age=1");
    answer.setHeader("content-length", "5");
    answer.end("hello");
  });
  await once(origin.listen(0, "127.0.0.1"), "listening");
  system = await System.start();
  token = await system.logIn();
});
after(async () => {
  await system.stop();
  origin.close();
});

const ROUTES = [
  { path: "/public/*", access: "open" },
  { path: "/m", access: "token", methods: ["GET", "POST"] },
  { path: "/scoped", access: "token", scopes: ["admin"] },
  { path: "/left", access: "open", cors: false },
  { path: "/any", access: "open", cors: { origins: "*" } },
  { path: "/app/*", access: "token" },
];

function startWorker(cors, bindings = {}, platform = {}) {
  const policy = { ...JSON.parse(system.policy), routes: ROUTES, cors };
  const changed = { PORTCULLIS_POLICY: JSON.stringify(policy), PORTCULLIS_ORIGIN: originUrl() };
  return system.startWorker({ ...changed, ...bindings }, platform);
}

const originUrl = () => `http://127.0.0.1:${origin.address().port}`;
const from = (page, ...more) => ["origin", page, ...more];
const preflight = (where, method, page = APP) => {
  const headers = from(page, "access-control-request-method", method);
  return system.ask(where, { method: "OPTIONS", headers });
};
const cors = (answer) => Object.keys(answer.headers).filter((name) => name.startsWith("access-control-"));

test("a preflight is answered by the edge without a token, and never forwarded", async () => {
  await startWorker({ origins: [APP], credentials: true });
  received.length = 0;
  const answer = await preflight("/app/x", "DELETE");
  assert.equal(answer.status, 204);
  assert.equal(answer.text, "");
  assert.equal(answer.headers["access-control-allow-origin"], APP);
  assert.equal(answer.headers["access-control-allow-credentials"], "true");
  assert.match(answer.headers["access-control-allow-methods"], /DELETE/);
  assert.equal(answer.headers["access-control-allow-headers"], "authorization, content-type");
  assert.equal(answer.headers["access-control-max-age"], "600");
  assert.match(answer.headers.vary, /Origin, Access-Control-Request-Method/);
  for (const page of [OTHER, "null", `${APP}.evil.example`]) {
    const foreign = await preflight("/app/x", "DELETE", page);
    assert.equal(foreign.status, 204);
    assert.deepEqual(cors(foreign), []);
  }
  const unlisted = await preflight("/m", "PUT");
  assert.equal(unlisted.status, 405);
  assert.equal(code(unlisted), "method_not_allowed");
  assert.equal(unlisted.headers["access-control-allow-origin"], APP);
  const unknown = await preflight("/nowhere", "GET");
  assert.equal(unknown.status, 404);
  assert.equal(unknown.headers["access-control-allow-origin"], APP);
  assert.deepEqual(received, []);
});

test("a page may read why it was refused", async () => {
  await startWorker({ origins: [APP] });
  for (const [where, headers, status] of [
    ["/app/x", [], 401],
    ["/scoped", auth(token), 403],
    ["/nowhere", [], 404],
    ["/a;b", [], 400],
  ]) {
    const answer = await system.ask(where, { headers: from(APP, ...headers) });
    assert.equal(answer.status, status, answer.text);
    assert.equal(answer.headers["access-control-allow-origin"], APP, where);
    const exposed = answer.headers["access-control-expose-headers"].split(", ");
    for (const name of ["www-authenticate", "retry-after", "x-request-id"]) assert.ok(exposed.includes(name));
    assert.match(answer.headers.vary, /Origin/);
  }
  const answer = await system.ask("/m", { method: "PUT", headers: from(APP) });
  assert.equal(answer.status, 405);
  assert.equal(answer.headers["access-control-allow-origin"], APP);
});

test("a page may read that the origin or the store is unavailable, or that its network is limited", async () => {
  const limited = { ratelimits: { RATE_LIMIT: { namespace_id: "1001", simple: { limit: 1, period: 60 } } } };
  await startWorker({ origins: [APP] }, { PORTCULLIS_ORIGIN: "http://127.0.0.1:9" });
  const unreachable = await system.ask("/public/x", { headers: from(APP) });
  assert.equal(unreachable.status, 502);
  assert.equal(unreachable.headers["access-control-allow-origin"], APP);
  await startWorker({ origins: [APP] }, { PORTCULLIS_DYNAMODB_ENDPOINT: "http://127.0.0.1:9" });
  const stale = await system.ask("/app/x", { headers: from(APP, ...auth(token)) });
  assert.equal(stale.status, 503);
  assert.equal(stale.headers["access-control-allow-origin"], APP);
  await startWorker({ origins: [APP] }, {}, limited);
  const headers = from(APP, "cf-connecting-ip", "203.0.113.7");
  const answers = [];
  for (let turn = 0; turn < 3; turn += 1) answers.push(await system.ask("/public/x", { headers }));
  const refused = answers.find((answer) => answer.status === 429);
  assert.equal(refused.headers["access-control-allow-origin"], APP);
});

test("the edge replaces the origin's CORS headers where it applies rules", async () => {
  await startWorker({ origins: [APP] });
  const own = await system.ask("/app/x", { headers: from(APP, ...auth(token)) });
  assert.equal(own.status, 200, own.text);
  assert.equal(own.text, "hello");
  assert.equal(own.headers["content-length"], "5");
  assert.equal(own.headers["access-control-allow-origin"], APP);
  assert.deepEqual(cors(own).sort(), ["access-control-allow-origin", "access-control-expose-headers"]);
  assert.equal(own.headers.vary, "Accept, Origin");
  for (const headers of [from(OTHER), from("null"), []]) {
    const foreign = await system.ask("/app/x", { headers: [...headers, ...auth(token)] });
    assert.equal(foreign.status, 200);
    assert.deepEqual(cors(foreign), []);
    assert.equal(foreign.headers.vary, "Accept, Origin");
  }
  const any = await system.ask("/any", { headers: from(OTHER) });
  assert.equal(any.headers["access-control-allow-origin"], "*");
  assert.equal(any.headers["access-control-allow-credentials"], undefined);
  const left = await system.ask("/left", { headers: from(OTHER) });
  assert.equal(left.headers["access-control-allow-credentials"], "true");
});

test("without cors in the policy the edge leaves CORS to the origin", async () => {
  await startWorker(undefined, { PORTCULLIS_POLICY: system.policy });
  const answer = await system.ask("/public/x", { headers: from(OTHER) });
  assert.equal(answer.headers["access-control-allow-origin"], "*");
  assert.equal(answer.headers.vary, "Accept");
  received.length = 0;
  assert.equal((await preflight("/public/x", "GET", OTHER)).status, 200);
  assert.deepEqual(received, ["OPTIONS"]);
  assert.equal((await preflight("/other", "GET", OTHER)).status, 401);
});

test("every page may read the keys of the edge", async () => {
  const { privateKey } = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const jwk = { ...(await crypto.subtle.exportKey("jwk", privateKey)), kid: "one", alg: "ES256" };
  const { key_ops: _, ext: __, ...key } = jwk;
  const proof = { PORTCULLIS_ORIGIN_PROOF: "assertion", PORTCULLIS_ASSERTION_KEYS: JSON.stringify({ keys: [key] }) };
  await startWorker({ origins: [APP] }, proof);
  const answer = await system.ask("/.well-known/portcullis-assertion-keys", { headers: from(OTHER) });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.headers["access-control-allow-origin"], "*");
});

test("every https response has Strict-Transport-Security, and no http response has it", async () => {
  const hsts = async (where, scheme, headers) => {
    const answer = await system.worker.dispatchFetch(`${scheme}://edge.example${where}`, { headers });
    await answer.arrayBuffer();
    return [answer.status, answer.headers.get("strict-transport-security")];
  };
  for (const rules of [undefined, { origins: [APP] }]) {
    await startWorker(rules, rules ? {} : { PORTCULLIS_POLICY: system.policy });
    for (const [where, headers, status] of [
      ["/public/x", {}, 200],
      ["/app/x", bearer(token), 200],
      ["/app/x", {}, 401],
      ["/a;b", {}, 400],
      ["/.well-known/portcullis-assertion-keys", {}, 404],
    ]) {
      assert.deepEqual(await hsts(where, "https", headers), [status, "max-age=31536000"], where);
      assert.deepEqual(await hsts(where, "http", headers), [status, null], where);
    }
    assert.deepEqual(await hsts("/public/hsts", "https", {}), [200, "max-age=1"]);
  }
  await startWorker(undefined, { PORTCULLIS_POLICY: "{}" });
  assert.deepEqual(await hsts("/x", "https", {}), [503, "max-age=31536000"]);
});
