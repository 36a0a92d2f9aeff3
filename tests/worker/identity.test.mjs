// What a token grants and tells: roles and alternatives of scopes on a route, claims as headers, and open routes with
// an optional identity.

import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { after, before, test } from "node:test";

import { CountedStore } from "./store.mjs";
import { System, auth, code, received } from "./system.mjs";

const KEY = randomBytes(32);
const SECRET = "a~secret~of~the~edge~for~identities";
const IDENTITY = ["x-auth-issuer", "x-auth-subject", "x-auth-scope", "x-auth-session"];
const CLAIMS = { "x-auth-plan": "plan", "x-auth-roles": "roles", "x-auth-email": "email" };

let system;
let store;
before(async () => {
  system = await System.start();
  store = await CountedStore.start(system.engineUrl);
  await startWorker();
});
after(async () => {
  await system.stop();
  store.stop();
});

async function startWorker(members = {}, headers = {}) {
  const policy = JSON.parse(system.policy);
  policy.issuers.push({
    issuer: "https://foreign",
    audience: "api",
    algorithms: ["HS256"],
    keys: { keys: [{ kty: "oct", kid: "k", k: KEY.toString("base64url") }] },
    profile: "at+jwt",
  });
  policy.routes = [
    { path: "/open/*", access: "open" },
    { path: "/maybe/*", access: "open", identity: "if_present" },
    { path: "/maybe/admin", access: "token" },
    { path: "/mixed/*", access: "open", identity: "if_present" },
    { path: "/mixed/plain", access: "open" },
    { path: "/staff", access: "token", scopes: ["a"], scopes_any: ["b", "c"], roles: ["editor", "chief editor"] },
    { path: "/*", access: "token" },
  ];
  policy.headers = { claims: CLAIMS, ...headers };
  Object.assign(policy, members);
  await system.startWorker({
    PORTCULLIS_POLICY: JSON.stringify(policy),
    PORTCULLIS_DYNAMODB_ENDPOINT: store.url,
    PORTCULLIS_EDGE_SECRET: SECRET,
    PORTCULLIS_ORIGIN_PROOF: "assertion",
  });
  store.forget();
}

function tokenWith(claims = {}, { key = KEY, kid = "k", typ = "at+jwt" } = {}) {
  const now = Math.floor(Date.now() / 1000);
  const usual = { iss: "https://foreign", aud: "api", sub: "alice", client_id: "web", jti: randomBytes(9).toString("hex") };
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const all = { ...usual, iat: now, exp: now + 300, ...claims };
  const input = `${part({ alg: "HS256", typ, kid })}.${part(all)}`;
  return `${input}.${createHmac("sha256", key).update(input).digest("base64url")}`;
}

const claimsOfAssertion = (seen) => JSON.parse(Buffer.from(seen.get("x-portcullis-assertion").split(".")[1], "base64url"));

test("a route with roles and alternatives of scopes names the scopes in its challenge, and never the roles", async () => {
  const ask = (claims) => system.ask("/staff", { headers: auth(tokenWith(claims)) });
  for (const claims of [
    { scope: "a b", roles: ["editor"] },
    { scope: "c a", roles: ["x", "chief editor"] },
  ]) {
    const answer = await ask(claims);
    assert.equal(answer.status, 200, answer.text);
  }
  const challenge = (error) => `Bearer error="insufficient_scope", error_description="the token lacks a required ${error}"`;
  for (const [claims, expected, header] of [
    [{ roles: ["editor"] }, "insufficient_scope", `${challenge("scope")}, scope="a b c"`],
    [{ scope: "b c", roles: ["editor"] }, "insufficient_scope", `${challenge("scope")}, scope="a b c"`],
    [{ scope: "a", roles: ["editor"] }, "insufficient_scope", `${challenge("scope")}, scope="a b c"`],
    [{ scope: "a b" }, "insufficient_role", challenge("role")],
    [{ scope: "a b", roles: ["Editor"] }, "insufficient_role", challenge("role")],
    [{ scope: "a b editor", roles: "editor x" }, "insufficient_role", challenge("role")],
  ]) {
    const answer = await ask(claims);
    assert.deepEqual([answer.status, code(answer)], [403, expected], answer.text);
    assert.equal(answer.headers["www-authenticate"], header);
    assert.doesNotMatch(JSON.stringify(answer), /chief/);
  }
});

test("claims arrive as encoded headers, and the roles in the assertion", async () => {
  const roles = ["editor", "a,b", "chef d'équipe", "100%"];
  const token = tokenWith({ plan: "pro\r\nx-auth-subject: eve", roles, email: "a@example.com", email_verified: true });
  const seen = received(await system.ask("/who", { headers: auth(token) }));
  assert.equal(seen.get("x-auth-plan"), "pro%0D%0Ax-auth-subject:%20eve");
  assert.equal(seen.get("x-auth-subject"), "alice");
  assert.deepEqual(seen.get("x-auth-roles").split(",").map(decodeURIComponent), roles);
  assert.equal(seen.get("x-auth-email"), "a@example.com");
  assert.deepEqual(claimsOfAssertion(seen).roles, roles);
  const plain = received(await system.ask("/who", { headers: auth(tokenWith({ plan: { a: 1 }, email: "a@example.com" })) }));
  for (const name of Object.keys(CLAIMS)) assert.ok(!plain.has(name), name);
  assert.ok(!("roles" in claimsOfAssertion(plain)));
});

test("a token with claims beyond 4 KB is refused and never forwarded in part", async () => {
  const room = 4096 - "x-auth-plan".length;
  const whole = await system.ask("/who", { headers: auth(tokenWith({ plan: "x".repeat(room) })) });
  assert.equal(received(whole).get("x-auth-plan").length, room);
  const refused = await system.ask("/who", { headers: auth(tokenWith({ plan: "x".repeat(room + 1) })) });
  assert.deepEqual([refused.status, code(refused)], [401, "unforwardable_claim"]);
});

for (const spell of [(name) => name, (name) => name.toUpperCase(), (name) => name.replaceAll("-", "_"), (name) => name.replaceAll("-", ".")]) {
  test(`a client cannot spoof a header of a claim as ${spell("x-auth-roles")}`, async () => {
    const spoofed = Object.keys(CLAIMS).flatMap((name) => [spell(name), "intruder"]);
    for (const [path, own] of [
      ["/who", auth(tokenWith())],
      ["/open/who", []],
      ["/maybe/who", []],
      ["/maybe/who", auth(tokenWith())],
      ["/maybe/who", auth("bad")],
    ]) {
      const answer = await system.ask(path, { headers: [...own, ...spoofed] });
      assert.equal(answer.status, 200, answer.text);
      assert.doesNotMatch(answer.text, /intruder/, path);
    }
  });
}

/** Headers of requests that have no accepted token. */
const unaccepted = () => ({
  "no token": [],
  "an empty header": ["authorization", ""],
  "another scheme": ["authorization", "Basic YTpi"],
  "a scheme alone": ["authorization", "Bearer"],
  "two headers": [...auth(tokenWith()), ...auth(tokenWith())],
  "two tokens in one header": ["authorization", `Bearer ${tokenWith()} ${tokenWith()}`],
  "no JWT": auth("bad"),
  "an expired token": auth(tokenWith({ exp: Math.floor(Date.now() / 1000) - 1, iat: Math.floor(Date.now() / 1000) - 200 })),
  "a forged token": auth(tokenWith({}, { key: randomBytes(32) })),
  "an unknown key": auth(tokenWith({}, { kid: "other" })),
  "an ID token": auth(tokenWith({}, { typ: "JWT" })),
  "another audience": auth(tokenWith({ aud: "other" })),
  "another issuer": auth(tokenWith({ iss: "https://eve" })),
  "a bound token": auth(tokenWith({ cnf: {} })),
  "claims beyond 4 KB": auth(tokenWith({ plan: "x".repeat(4096) })),
  "a long token": auth("x".repeat(8193)),
});

function assertNoIdentity(answer, what) {
  assert.equal(answer.status, 200, `${what}: ${answer.text}`);
  const seen = received(answer);
  for (const name of [...IDENTITY, ...Object.keys(CLAIMS), "authorization"]) assert.ok(!seen.has(name), `${what}: ${name}`);
  for (const claim of ["sub", "token_iss", "scope", "sid", "roles"]) assert.ok(!(claim in claimsOfAssertion(seen)), what);
}

test("an open route with an optional identity forwards that of an accepted token", async () => {
  const token = tokenWith({ scope: "a b", sid: "s1", roles: ["editor"], plan: "pro" });
  const answer = await system.ask("/maybe/who", { headers: auth(token) });
  assert.equal(answer.status, 200, answer.text);
  const seen = received(answer);
  assert.deepEqual([...IDENTITY, "x-auth-plan", "x-auth-roles"].map((name) => seen.get(name)), [
    "https://foreign", "alice", "a b", "s1", "pro", "editor",
  ]);
  assert.ok(!seen.has("authorization"));
  const { sub, token_iss: issuer, roles } = claimsOfAssertion(seen);
  assert.deepEqual([sub, issuer, roles], ["alice", "https://foreign", ["editor"]]);
  assertNoIdentity(await system.ask("/open/who", { headers: auth(token) }), "an open route without it");
});

test("a request without an accepted token passes an open route with an optional identity anonymously", async () => {
  // The isolate has its snapshot, which is not read again within this test.
  await startWorker({ revocations: { poll: 290, soft: 295, hard: 300 }, keys: { poll: 290, soft: 295, hard: 300 } });
  assert.equal((await system.ask("/who", { headers: auth(tokenWith()) })).status, 200);
  store.forget();
  for (const [what, headers] of Object.entries(unaccepted())) {
    assertNoIdentity(await system.ask("/maybe/who", { headers }), what);
  }
  assert.deepEqual(store.reads, []);
});

test("a bad token causes no read of the store on a cold isolate either, and an accepted one is the identity at once", async () => {
  await startWorker();
  for (const [what, headers] of Object.entries(unaccepted())) {
    // Only a read of the keys can tell whether a key exists.
    if (what !== "an unknown key") assertNoIdentity(await system.ask("/maybe/who", { headers }), what);
  }
  assert.deepEqual(store.reads, []);
  const seen = received(await system.ask("/maybe/who", { headers: auth(await system.logIn()) }));
  assert.ok(seen.has("x-auth-subject"));
  assert.ok(store.reads.length > 0);
});

test("while the store fails, an open route with an optional identity passes without one and is never 503", async () => {
  await startWorker();
  for (const name of ["KEYS", "FEED", "PACKS", "PACK"]) store.broken.add(name);
  try {
    const headers = auth(tokenWith());
    assert.deepEqual(code(await system.ask("/who", { headers })), "stale_snapshot");
    assertNoIdentity(await system.ask("/maybe/who", { headers }), "a stale snapshot");
    assertNoIdentity(await system.ask("/maybe/who"), "no token");
  } finally {
    store.broken.clear();
  }
});

test("a revoked token is no identity, and a twin with a stricter route decides", async () => {
  await startWorker({ revocations: { poll: 1, soft: 1, hard: 5 } });
  const token = await system.logIn();
  const who = async (path, own) => received(await system.ask(path, { headers: auth(own) })).has("x-auth-subject");
  assert.equal(await who("/maybe/who", token), true);
  await system.logOut(token);
  await system.untilStatus(token, 401, 15);
  assertNoIdentity(await system.ask("/maybe/who", { headers: auth(token) }), "a revoked token");
  assert.deepEqual(code(await system.ask("/maybe/ADMIN")), "missing_token");
  assert.deepEqual(code(await system.ask("/maybe/ADMIN", { headers: auth(token) })), "revoked");
  assert.equal(await who("/mixed/who", tokenWith()), true);
  assertNoIdentity(await system.ask("/mixed/PLAIN", { headers: auth(tokenWith()) }), "a twin without an identity");
});

test("strip_token and open_authorization apply to used and unused tokens", async () => {
  const sent = async (headers) => received(await system.ask("/maybe/who", { headers })).get("authorization");
  const [valid, bad] = [tokenWith(), "bad"];
  await startWorker({ strip_token: false });
  assert.deepEqual([await sent(auth(valid)), await sent(auth(bad))], [`Bearer ${valid}`, undefined]);
  await startWorker({}, { open_authorization: true });
  assert.deepEqual([await sent(auth(valid)), await sent(auth(bad))], [undefined, `Bearer ${bad}`]);
});

test("no test of this file caused a wasm trap", () => {
  assert.doesNotMatch(system.workerLog, /panicked|RuntimeError|trapped|hung|different request/);
});
