// The proof to the origin: the shared secret or a signed assertion, on every forwarded request and from the
// edge only.

import assert from "node:assert/strict";
import { createHmac, createPublicKey, generateKeyPairSync, timingSafeEqual, verify } from "node:crypto";
import { after, before, test } from "node:test";

import { PASSWORD, System, auth, code, received } from "./system.mjs";

const SECRET = "a secret of the edge, for tests only".replaceAll(" ", "~");
const KEYS = "/.well-known/portcullis-assertion-keys";
const PROOFS = ["x-portcullis-edge-secret", "x-portcullis-assertion"];

const ed25519 = privateJwk("ed25519", {}, "first", "EdDSA");
const p256 = privateJwk("ec", { namedCurve: "P-256" }, "second", "ES256");
const set = (...keys) => JSON.stringify({ keys });

let system;
let token;
before(async () => {
  system = await System.start({ bindings: { PORTCULLIS_EDGE_SECRET: SECRET } });
  token = await system.logIn();
});
after(() => system.stop());

/** The requests of both kinds of routes. */
const requests = () => [
  ["/who?a=b", { headers: auth(token) }],
  ["/public/who", {}],
  ["/public/who", { headers: auth(token), method: "POST", body: "x" }],
];

const proved = { PORTCULLIS_EDGE_SECRET: SECRET, PORTCULLIS_ORIGIN_PROOF: "assertion" };

test("the origin receives the secret of the edge on guarded and open routes", async () => {
  for (const kind of [undefined, "secret"]) {
    await system.startWorker({ PORTCULLIS_EDGE_SECRET: SECRET, PORTCULLIS_ORIGIN_PROOF: kind });
    for (const [path, init] of requests()) {
      const seen = received(await system.ask(path, init));
      assert.equal(seen.get("x-portcullis-edge-secret"), SECRET);
      assert.ok(!seen.has("x-portcullis-assertion"));
    }
  }
});

test("without a secret, or with the proof none, the origin gets no proof", async () => {
  for (const bindings of [{}, { PORTCULLIS_EDGE_SECRET: SECRET, PORTCULLIS_ORIGIN_PROOF: "none" }]) {
    await system.startWorker(bindings);
    for (const [path, init] of requests()) {
      const seen = received(await system.ask(path, init));
      for (const name of PROOFS) assert.ok(!seen.has(name), name);
    }
  }
});

for (const [kind, bindings] of [
  ["none", {}],
  ["secret", { PORTCULLIS_EDGE_SECRET: SECRET }],
  ["assertion", proved],
]) {
  test(`a client cannot spoof the proof of the edge in any spelling, with the proof ${kind}`, async () => {
    await system.startWorker(bindings);
    const names = [...PROOFS, "x-portcullis-client-ip", "x-portcullis-other"];
    for (const separator of ["-", "_", ".", "!", "~"]) {
      const spelled = names.map((name) => name.replaceAll("-", separator));
      const spoofed = [...spelled, ...spelled.map((name) => name.toUpperCase())].flatMap((name) => [name, "intruder"]);
      for (const [path, init] of requests()) {
        const headers = [...(init.headers ?? []), ...spoofed];
        const answer = await system.ask(path, { ...init, headers });
        assert.equal(answer.status, 200, answer.text);
        assert.doesNotMatch(answer.text, /intruder/, `${separator} ${path}`);
      }
    }
  });
}

/** Header and claims of the assertion that the origin received; fails if the signature does not match. */
function verified(answer, { keys, secret }) {
  assert.equal(answer.status, 200, answer.text);
  const seen = received(answer);
  assert.ok(!seen.has("x-portcullis-edge-secret"), "the key of the HMAC is not sent");
  const parts = seen.get("x-portcullis-assertion").split(".");
  assert.equal(parts.length, 3);
  const [header, claims] = parts.slice(0, 2).map((part) => JSON.parse(Buffer.from(part, "base64url")));
  const input = Buffer.from(`${parts[0]}.${parts[1]}`);
  const signature = Buffer.from(parts[2], "base64url");
  if (secret) {
    assert.deepEqual(header, { alg: "HS256", typ: "portcullis-assertion+jwt" });
    assert.ok(timingSafeEqual(createHmac("sha256", secret).update(input).digest(), signature));
  } else {
    const jwk = keys.find((key) => key.kid === header.kid);
    assert.deepEqual(header, { alg: jwk.alg, typ: "portcullis-assertion+jwt", kid: jwk.kid });
    const key = { key: createPublicKey({ key: jwk, format: "jwk" }), dsaEncoding: "ieee-p1363" };
    assert.ok(verify(jwk.alg === "ES256" ? "sha256" : null, input, key, signature));
  }
  return { header, claims, seen, report: JSON.parse(answer.text) };
}

test("the assertion states the origin, the method, the target, the host and the verified caller", async () => {
  await system.startWorker(proved);
  const own = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  const begun = Math.floor(Date.now() / 1000);
  for (const [path, init] of requests()) {
    const { claims, seen } = verified(await system.ask(path, init), { secret: SECRET });
    const { iat, exp, jti, sub, token_iss, sid, ...bound } = claims;
    assert.ok(iat >= begun && exp === iat + 60);
    assert.equal(jti, seen.get("x-request-id"));
    assert.deepEqual(bound, {
      aud: system.originUrl,
      htm: init.method ?? "GET",
      htp: path,
      host: seen.get("x-forwarded-host"),
      ...(own.scope && path.startsWith("/who") ? { scope: own.scope } : {}),
    });
    const caller = path.startsWith("/who") ? [own.sub, own.iss, own.sid] : [];
    assert.deepEqual([sub, token_iss, sid].filter(Boolean), caller);
  }
});

for (const query of [
  "",
  "?",
  "?a=b&c",
  "?a[]=1&&=;b?c",
  "?%zz%2f%2F+%20%00",
  "?'!*()~|^`{}",
  "?a=\\b",
  "?%22%C3%A9\u00c3\u00a9",
  "?a=b#c",
]) {
  test(`the assertion is bound to the target as the origin receives it, with the query ${JSON.stringify(query)}`, async () => {
    await system.startWorker(proved);
    for (const path of ["/public/who", "/public/%70%C3%A9%7e"]) {
      const { claims, report } = verified(await system.ask(path + query), { secret: SECRET });
      assert.equal(claims.htp, report.path);
    }
  });
}

for (const keys of [
  [ed25519, p256],
  [p256, ed25519],
]) {
  test(`the first private key signs with ${keys[0].alg}, and the edge publishes the public halves`, async () => {
    await system.startWorker({ PORTCULLIS_ORIGIN_PROOF: "assertion", PORTCULLIS_ASSERTION_KEYS: set(...keys) });
    const answer = await system.ask(KEYS, { headers: ["x-forwarded-for", "192.0.2.1"] });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers["content-type"], "application/jwk-set+json");
    assert.equal(answer.headers["cache-control"], "public, max-age=300");
    const published = JSON.parse(answer.text).keys;
    const ids = published.map((key) => key.kid);
    assert.deepEqual(ids, keys.map((key) => key.kid));
    assert.ok(published.every((key) => !("d" in key)));
    for (const [path, init] of [...requests(), ...requests()]) {
      const { header } = verified(await system.ask(path, init), { keys: published });
      assert.equal(header.kid, keys[0].kid);
    }
    const head = await system.ask(KEYS, { method: "HEAD" });
    assert.deepEqual([head.status, head.text], [200, ""]);
  });
}

test("no route ever answers at the path of the keys", async () => {
  const policy = JSON.parse(system.policy);
  policy.routes = [{ path: "/*", access: "open" }];
  const open = { PORTCULLIS_POLICY: JSON.stringify(policy) };
  const keyed = { PORTCULLIS_ORIGIN_PROOF: "assertion", PORTCULLIS_ASSERTION_KEYS: set(p256) };
  for (const [bindings, method] of [
    [open, "GET"],
    [{ ...open, ...proved }, "GET"],
    [{ ...open, ...keyed }, "POST"],
  ]) {
    await system.startWorker(bindings);
    for (const spelled of [
      `${KEYS}?a`,
      KEYS.replace("-", "%2D"),
      KEYS.toUpperCase(),
      `${KEYS}/`,
      `${KEYS}%20`,
      KEYS.replace("keys", "%256Beys"),
    ]) {
      const answer = await system.ask(spelled, { method });
      assert.equal(answer.status, 404, answer.text);
      assert.equal(code(answer), "unknown_route");
    }
  }
});

const otherPoint = { ...p256, x: privateJwk("ec", { namedCurve: "P-256" }, "x", "ES256").x };
const noKid = Object.fromEntries(Object.entries(p256).filter(([name]) => name !== "kid"));
for (const [what, bindings] of [
  ["an unknown kind", { PORTCULLIS_EDGE_SECRET: SECRET, PORTCULLIS_ORIGIN_PROOF: "hmac" }],
  ["a short secret", { PORTCULLIS_EDGE_SECRET: "x".repeat(31) }],
  ["a secret with a space", { PORTCULLIS_EDGE_SECRET: "x ".repeat(20) }],
  ["a secret that is no text", { PORTCULLIS_EDGE_SECRET: { secret: SECRET } }],
  ...[
    "PORTCULLIS_BLACKLIST_TABLE",
    "PORTCULLIS_DYNAMODB_ENDPOINT",
    "PORTCULLIS_ISSUER",
    "PORTCULLIS_ORIGIN",
    "PORTCULLIS_POLICY",
    "PORTCULLIS_RATE_PERIOD",
    "AWS_SESSION_TOKEN",
  ].map((name) => [`a JSON value as ${name}`, { [name]: { secret: SECRET } }]),
  ["the proof secret without a secret", { PORTCULLIS_ORIGIN_PROOF: "secret" }],
  ["the proof assertion without a secret or keys", { PORTCULLIS_ORIGIN_PROOF: "assertion" }],
  ["keys without the proof assertion", { PORTCULLIS_ASSERTION_KEYS: set(p256) }],
  ["three keys", { PORTCULLIS_ORIGIN_PROOF: "assertion", PORTCULLIS_ASSERTION_KEYS: set(p256, ed25519, p256) }],
  ["a key without kid", { PORTCULLIS_ORIGIN_PROOF: "assertion", PORTCULLIS_ASSERTION_KEYS: set(noKid) }],
  ["a private key of another P-256 key", { PORTCULLIS_ORIGIN_PROOF: "assertion", PORTCULLIS_ASSERTION_KEYS: set(otherPoint) }],
]) {
  test(`with ${what} every request is 503, and no log contains a secret`, async () => {
    await system.startWorker(bindings);
    for (const path of ["/who", "/public/who"]) {
      const answer = await system.ask(path, { headers: auth(token) });
      assert.equal(answer.status, 503, answer.text);
      assert.equal(code(answer), "not_configured");
    }
    for (const secret of [SECRET, p256.d, ed25519.d, "xxxxxxxx"]) assert.ok(!system.workerLog.includes(secret));
  });
}

test("the native host trusts the client address that the edge with its secret passes on", async (context) => {
  const behind = await System.startHostAlone(() => ({
    PORTCULLIS_CLIENT_IP_SOURCE: "header:x-portcullis-client-ip",
    PORTCULLIS_EDGE_SECRET: SECRET,
    PORTCULLIS_LIMITS: "register_address=2/3600",
  }));
  context.after(() => behind.stop());
  const policy = JSON.parse(behind.policy);
  policy.routes = [{ path: "/v1/*", access: "open" }];
  const bindings = {
    PORTCULLIS_ORIGIN: behind.hostUrl,
    PORTCULLIS_POLICY: JSON.stringify(policy),
    PORTCULLIS_EDGE_SECRET: SECRET,
  };
  await behind.startWorker(bindings);
  let user = 0;
  const register = async (address) => {
    const body = JSON.stringify({ email: `user${user++}@example.com`, password: PASSWORD });
    const headers = ["content-type", "application/json", "cf-connecting-ip", address];
    return (await behind.ask("/v1/register", { method: "POST", headers, body })).status;
  };
  const client = "192.0.2.1";
  assert.deepEqual([await register(client), await register(client), await register(client)], [201, 201, 429]);
  assert.equal(await register("198.51.100.1"), 201, "another client has its own limit");
  // A client without the edge cannot choose its address: all such requests count for the connection.
  const direct = async (address) => {
    const account = { email: `direct${user++}@example.com`, password: PASSWORD };
    return (await behind.post("/v1/register", account, { "x-portcullis-client-ip": address })).status;
  };
  const statuses = [await direct("203.0.113.1"), await direct("203.0.113.2"), await direct("203.0.113.3")];
  assert.deepEqual(statuses, [201, 201, 429]);
});

test("no test of this file caused a wasm trap", () => {
  assert.doesNotMatch(system.workerLog, /panicked|RuntimeError|trapped|hung|different request/);
});

function privateJwk(type, options, kid, alg) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: "jwk" }), kid, alg };
}

test("cross-site tracing: no route forwards TRACE, which an origin would answer with the secret", async () => {
  await system.startWorker({ PORTCULLIS_EDGE_SECRET: SECRET });
  for (const method of ["TRACE", "TRACK", "trace"]) {
    for (const path of ["/public/who", "/who"]) {
      const answer = await system.ask(path, { method, headers: auth(token) });
      assert.ok([400, 405, 501].includes(answer.status), `${method} ${path}: ${answer.status}`);
      assert.doesNotMatch(answer.text, new RegExp(SECRET));
      if (method === "TRACE") {
        assert.equal(code(answer), "method_not_allowed");
        assert.match(answer.headers.allow, /GET/);
      }
    }
  }
});
