// The middleware of packages/origin: assertions.

import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { edgeVerifier } from "../../packages/origin/index.js";
import { App } from "./app.mjs";
import { ED25519, NEXT_SECRET, NOON, ORIGIN, P256, SECRET, assertion, claims, encode, header, publicHalf, signature } from "./signer.mjs";
import { FILES, SECRET_FILE, secretVectors, vectors } from "./vectors.mjs";

const BY_SECRET = { mode: "assertion", secrets: [SECRET] };
const JWKS = { keys: [ED25519, P256].map(publicHalf) };

const identity = (changes) => ({
  subject: "ada",
  issuer: "https://issuer.example",
  scopes: ["orders:read", "orders:write"],
  roles: ["editor", "chief, editor"],
  session: "session-1",
  requestId: "AQEBAQEBAQEBAQEBAQEBAQ",
  host: "app.example",
  ...changes,
});

function assertRefused(answer) {
  assert.equal(answer.status, 403);
  assert.equal(answer.headers["content-type"], "application/problem+json");
  assert.equal(answer.headers["cache-control"], "no-store");
  assert.deepEqual(JSON.parse(answer.text), { type: "about:blank", title: "Forbidden", status: 403, code: "no_edge_proof" });
}

for (const [alg, name] of Object.entries(FILES)) {
  const stored = JSON.parse(readFileSync(new URL(`../vectors/assertion/${name}`, import.meta.url), "utf8"));

  test(`every vector of ${alg} is decided as it says`, async () => {
    assert.ok(stored.some(({ accepted }) => accepted));
    for (const { name, secret, jwks, now, origin, method, target, assertion, accepted, roles } of stored) {
      const key = secret ? { mode: "assertion", secrets: [secret] } : { keys: jwks };
      const verify = edgeVerifier({ ...key, origin, now: () => now, onRefused() {} });
      const rawHeaders = ["X-Portcullis-Assertion", assertion];
      const result = await verify({ method, url: target, rawHeaders, headers: {} });
      assert.equal(result.accepted, accepted, `${name}: ${result.reason}`);
      assert.notEqual(result.reason, "internal_error", name);
      if (roles) assert.deepEqual(result.identity.roles, roles, name);
    }
  });

  test(`the stored vectors of ${alg} are those that vectors.mjs makes`, () => {
    // A signature of ES256 is random, so the last part is compared only for the others.
    const shown = (vector) => (alg === "ES256" ? { ...vector, assertion: vector.assertion.split(".").slice(0, 2) } : vector);
    const made = JSON.parse(JSON.stringify(vectors(alg)));
    assert.deepEqual(stored.map(shown), made.map(shown));
  });

  test(`${alg}: an assertion with any one bit changed is refused`, async () => {
    const key = { HS256: SECRET, EdDSA: ED25519, ES256: P256 }[alg];
    const given = alg === "HS256" ? BY_SECRET : { keys: JWKS };
    const reasons = new Set();
    const verify = edgeVerifier({ ...given, origin: ORIGIN, now: () => NOON, onRefused: (reason) => reasons.add(reason) });
    const ask = (text) => verify({ method: "GET", url: "/orders?page=2", rawHeaders: ["x-portcullis-assertion", text], headers: {} });
    const valid = assertion(key);
    assert.ok((await ask(valid)).accepted);
    for (let place = 0; place < valid.length; place++) {
      for (let bit = 0; bit < 7; bit++) {
        const changed = String.fromCharCode(valid.charCodeAt(place) ^ (1 << bit));
        const text = valid.slice(0, place) + changed + valid.slice(place + 1);
        assert.ok(!(await ask(text)).accepted, `bit ${bit} at ${place}`);
      }
    }
    assert.ok(reasons.has("bad_signature") && !reasons.has("internal_error"), [...reasons].join());
  });

  test(`${alg}: Express gives the identity of an accepted request to the app`, async (context) => {
    const key = { HS256: SECRET, EdDSA: ED25519, ES256: P256 }[alg];
    const app = await App.start(context, alg === "HS256" ? BY_SECRET : { keys: JWKS });
    const answer = await app.accepts(assertion(key));
    assert.equal(answer.status, 200);
    assert.deepEqual(JSON.parse(answer.text).portcullis, identity());
  });
}

test("every vector of the secret header is decided as it says", async () => {
  const stored = JSON.parse(readFileSync(new URL(`../vectors/assertion/${SECRET_FILE}`, import.meta.url), "utf8"));
  assert.deepEqual(stored, JSON.parse(JSON.stringify(secretVectors())));
  assert.ok(stored.some(({ accepted }) => accepted));
  for (const { name, secret, headers, accepted, roles } of stored) {
    const verify = edgeVerifier({ secrets: [secret], onRefused() {} });
    const result = await verify({ method: "GET", url: "/", rawHeaders: headers.flat(), headers: {} });
    assert.equal(result.accepted, accepted, `${name}: ${result.reason}`);
    assert.notEqual(result.reason, "internal_error", name);
    if (roles) assert.deepEqual(result.identity.roles, roles, name);
  }
});

test("a fragment in the request target is refused, and is no part of the proved target", async (context) => {
  const app = await App.start(context, BY_SECRET);
  for (const [htp, target] of [["/orders", "/orders#x"], ["/orders#x", "/orders#x"], ["/orders#x", "/orders"], ["/", "/#"]]) {
    assertRefused(await app.accepts(assertion(SECRET, claims({ htp })), "GET", target));
  }
  assert.deepEqual([...new Set(app.reasons)], ["wrong_target"]);
});

test("an open route has a request id and a host, and no identity", async (context) => {
  const app = await App.start(context, BY_SECRET);
  const anonymous = claims({ sub: undefined, token_iss: undefined, scope: undefined, sid: undefined, roles: undefined });
  const answer = await app.accepts(assertion(SECRET, anonymous));
  assert.deepEqual(JSON.parse(answer.text).portcullis, identity({ subject: null, issuer: null, scopes: [], roles: [], session: null }));
});

test("a part of an identity is refused", async (context) => {
  const app = await App.start(context, BY_SECRET);
  const none = { sub: undefined, token_iss: undefined, scope: undefined, sid: undefined };
  for (const part of [{ sub: "ada" }, { token_iss: "https://issuer.example" }, { scope: "admin" }, { sid: "s" }]) {
    assertRefused(await app.accepts(assertion(SECRET, claims({ ...none, ...part }))));
  }
  assertRefused(await app.accepts(assertion(SECRET, claims({ sub: ["ada"] }))));
  assert.deepEqual([...new Set(app.reasons)], ["bad_claims"]);
});

test("a request without the header, or with an empty one, is refused without detail", async (context) => {
  const app = await App.start(context, BY_SECRET);
  assertRefused(await app.ask([]));
  assertRefused(await app.ask([["x-portcullis-assertion", ""]]));
  assertRefused(await app.ask([["x_portcullis_assertion", assertion(SECRET)]]));
  // In this mode the secret itself is no proof.
  assertRefused(await app.ask([["x-portcullis-edge-secret", SECRET]]));
  assert.deepEqual(app.reasons, ["no_assertion", "malformed", "no_assertion", "no_assertion"]);
});

test("two headers with an assertion are refused, also two equal ones and in another case", async (context) => {
  const app = await App.start(context, BY_SECRET);
  const valid = assertion(SECRET);
  for (const second of [["x-portcullis-assertion", valid], ["X-Portcullis-Assertion", "x"], ["x-PORTCULLIS-assertion", ""]]) {
    assertRefused(await app.ask([["x-portcullis-assertion", valid], second]));
    assertRefused(await app.ask([second, ["x-portcullis-assertion", valid]]));
  }
  assert.deepEqual([...new Set(app.reasons)], ["several_assertions"]);
  assertRefused(await app.accepts(`${valid}, ${valid}`));
});

test("the leeway of both time bounds is the configured one", async (context) => {
  for (const [leeway, first, last] of [[0, NOON, NOON + 59], [60, NOON - 60, NOON + 119]]) {
    const app = await App.start(context, { ...BY_SECRET, leeway });
    for (const [now, status] of [[first - 1, 403], [first, 200], [last, 200], [last + 1, 403]]) {
      app.now = now;
      assert.equal((await app.accepts(assertion(SECRET))).status, status, `leeway ${leeway}, ${now - NOON}`);
    }
    assert.deepEqual(app.reasons, ["not_yet_valid", "expired"]);
  }
});

test("another spelling of the target is another target", async (context) => {
  const app = await App.start(context, BY_SECRET);
  for (const target of [
    "/orders?page=2&", "/orders?page=2?", "/Orders?page=2", "//orders?page=2", "/./orders?page=2", "/x/../orders?page=2",
    "/%6frders?page=2", "/orders/?page=2", "/orders;a?page=2", "http://origin.example/orders?page=2", "/orders",
  ]) {
    assertRefused(await app.accepts(assertion(SECRET), "GET", target));
  }
  assert.deepEqual([...new Set(app.reasons)], ["wrong_target"]);
  const spelled = assertion(SECRET, claims({ htp: "//Orders/%2e%2E/?a=%20&&" }));
  assert.equal((await app.accepts(spelled, "GET", "//Orders/%2e%2E/?a=%20&&")).status, 200);
});

test("a router below a path checks the whole target", async (context) => {
  const app = await App.start(context, BY_SECRET, [(req, _, next) => {
    req.url = "/rewritten";
    next();
  }]);
  assert.equal((await app.accepts(assertion(SECRET))).status, 200);
  assertRefused(await app.accepts(assertion(SECRET, claims({ htp: "/rewritten" }))));
});

test("a method override before the check is refused, and its header proves nothing", async (context) => {
  const override = (req, _, next) => {
    req.method = req.headers["x-http-method-override"] ?? req.method;
    next();
  };
  const headers = [["x-portcullis-assertion", assertion(SECRET, claims({ htm: "POST" }))], ["x-http-method-override", "DELETE"]];
  const behind = await App.start(context, BY_SECRET, [override]);
  assertRefused(await behind.ask(headers, "POST"));
  const plain = await App.start(context, BY_SECRET);
  assertRefused(await plain.ask([...headers, ["content-length", "0"]], "DELETE"));
  assert.deepEqual([behind.reasons, plain.reasons], [["wrong_method"], ["wrong_method"]]);
});

test("only a listed host is accepted", async (context) => {
  const app = await App.start(context, { ...BY_SECRET, hosts: ["App.example", "app.example:8443"] });
  const withHost = (host) => app.accepts(assertion(SECRET, claims({ host })));
  assert.equal((await withHost("app.example")).status, 200);
  assert.equal((await withHost("app.example:8443")).status, 200);
  for (const host of ["app.example:443", "other.example", "app.example.", "x.app.example"]) assertRefused(await withHost(host));
  assert.deepEqual([...new Set(app.reasons)], ["wrong_host"]);
});

test("during a rotation both secrets are accepted, and after it only the new one", async (context) => {
  const before = await App.start(context, BY_SECRET);
  const during = await App.start(context, { ...BY_SECRET, secrets: [SECRET, NEXT_SECRET] });
  const after = await App.start(context, { ...BY_SECRET, secrets: [NEXT_SECRET] });
  const statuses = async (app) => [(await app.accepts(assertion(SECRET))).status, (await app.accepts(assertion(NEXT_SECRET))).status];
  assert.deepEqual(await statuses(before), [200, 403]);
  assert.deepEqual(await statuses(during), [200, 200]);
  assert.deepEqual(await statuses(after), [403, 200]);
});

test("algorithm confusion: a public key is no HMAC key, in any encoding", async (context) => {
  const app = await App.start(context, { keys: JWKS });
  for (const key of [ED25519, P256]) {
    const made = createPublicKey({ key: publicHalf(key), format: "jwk" });
    for (const bytes of [
      made.export({ type: "spki", format: "pem" }), made.export({ type: "spki", format: "der" }).toString("latin1"),
      key.x, JSON.stringify(publicHalf(key)), JSON.stringify(JWKS), "",
    ]) {
      assertRefused(await app.accepts(assertion(bytes, claims(), header(key, { alg: "HS256" }))));
    }
    for (const alg of ["none", "None", "", null, ["EdDSA"], "RS256", "Ed25519"]) {
      assertRefused(await app.accepts(assertion(key, claims(), header(key, { alg }))));
    }
  }
  assert.deepEqual([...new Set(app.reasons)], ["wrong_algorithm"]);
  const secret = await App.start(context, BY_SECRET);
  const embedded = header(ED25519, { jwk: publicHalf(ED25519), jku: "https://evil.example/keys" });
  assertRefused(await secret.accepts(assertion(ED25519, claims(), embedded)));
  assertRefused(await secret.accepts(`${encode(header(SECRET, { alg: "none" }))}.${encode(claims())}.`));
});

test("the key in a header is not used", async (context) => {
  const app = await App.start(context, { keys: { keys: [publicHalf(P256)] } });
  const embedded = header(ED25519, { jwk: publicHalf(ED25519), jku: "https://evil.example/keys" });
  assertRefused(await app.accepts(assertion(ED25519, claims(), embedded)));
  assertRefused(await app.accepts(assertion(ED25519)));
  assert.deepEqual(app.reasons, ["forbidden_header", "unknown_key"]);
});

test("an ES256 signature in DER is refused", async (context) => {
  const app = await App.start(context, { keys: JWKS });
  const input = `${encode(header(P256))}.${encode(claims())}`;
  const raw = Buffer.from(signature(P256, input), "base64url");
  const integer = (bytes) => Buffer.concat([Buffer.from([2, 33, 0]), bytes]);
  const der = Buffer.concat([Buffer.from([0x30, 70]), integer(raw.subarray(0, 32)), integer(raw.subarray(32))]);
  assertRefused(await app.accepts(`${input}.${der.toString("base64url")}`));
  assertRefused(await app.accepts(`${input}.${Buffer.alloc(64).toString("base64url")}`));
  assert.deepEqual(app.reasons, ["bad_signature", "bad_signature"]);
});

test("unproven identity headers and proofs are deleted from every view of the request, in any spelling", async (context) => {
  const touch = (req, _, next) => {
    // An earlier reader makes Node fill its caches.
    assert.ok(req.headers && req.headersDistinct);
    next();
  };
  for (const before of [[], [touch]]) {
    const app = await App.start(context, { ...BY_SECRET, identityPrefix: "acme-user-" }, before);
    const forged = ["x-auth-subject", "X-Auth-Scope", "x_auth_subject", "x-auth_roles", "Acme-User-subject", "acme.user.x"];
    const kept = ["x-author", "x-portcullis-client-ip", "acme-users", "accept"];
    const headers = [...forged, ...kept, "x_portcullis_edge_secret", "X-Portcullis_Assertion"].map((name) => [name, "root"]);
    const answer = await app.ask([...headers, ["x-portcullis-assertion", assertion(SECRET)]]);
    const seen = JSON.parse(answer.text);
    assert.equal(seen.portcullis.subject, "ada");
    const names = [
      Object.keys(seen.headers), Object.keys(seen.headersDistinct), seen.rawHeaders.filter((_, place) => place % 2 === 0),
    ];
    for (const view of names) assert.deepEqual(view.sort(), ["host", "connection", ...kept].sort());
  }
});

test("the middleware may be mounted twice", async (context) => {
  const proof = (await import("../../packages/origin/index.js")).edgeProof({
    ...BY_SECRET, origin: ORIGIN, now: () => NOON,
  });
  const app = await App.start(context, BY_SECRET, []);
  app.server.removeAllListeners("request");
  app.server.on("request", (req, res) => proof(req, res, () => proof(req, res, () => res.end(req.portcullis.subject))));
  assert.equal((await app.accepts(assertion(SECRET))).text, "ada");
});

test("an upgrade request needs a proof as well", async (context) => {
  const app = await App.start(context, BY_SECRET);
  const upgrade = [["upgrade", "websocket"]];
  assertRefused(await app.ask(upgrade));
  assertRefused(await app.ask([...upgrade, ["x-portcullis-assertion", assertion(SECRET, claims({ htp: "/other" }))]]));
  const answer = await app.ask([...upgrade, ["x-portcullis-assertion", assertion(SECRET)]]);
  assert.deepEqual([answer.status, answer.text], [101, "ada"]);
});

test("neither a reason nor an answer has the secret or the assertion", async (context) => {
  const app = await App.start(context, BY_SECRET);
  const sent = assertion(NEXT_SECRET);
  const answer = await app.accepts(sent);
  assert.deepEqual(app.reasons, ["bad_signature"]);
  for (const text of [SECRET, NEXT_SECRET, sent]) assert.ok(!answer.text.includes(text));
});

test("a fault of the clock or of the log refuses the request", async (context) => {
  const faulty = () => {
    throw new Error("fault");
  };
  const clock = await App.start(context, { ...BY_SECRET, now: faulty });
  assertRefused(await clock.accepts(assertion(SECRET)));
  const log = await App.start(context, { ...BY_SECRET, onRefused: faulty });
  assertRefused(await log.ask([]));
  const broken = await App.start(context, { ...BY_SECRET, now: () => NaN });
  assertRefused(await broken.accepts(assertion(SECRET)));
});

test("header and claims must be JSON objects", async (context) => {
  const app = await App.start(context, BY_SECRET);
  for (const value of [null, [], "text", 1, true]) {
    assertRefused(await app.accepts(assertion(SECRET, JSON.stringify(value))));
    assertRefused(await app.accepts(assertion(SECRET, claims(), JSON.stringify(value))));
  }
  assertRefused(await app.accepts(assertion(SECRET, "{")));
  assert.deepEqual([...new Set(app.reasons)], ["malformed"]);
});

test("an assertion of 32768 characters is accepted, and a longer one is refused", async () => {
  const verify = edgeVerifier({ ...BY_SECRET, origin: ORIGIN, now: () => NOON, onRefused() {} });
  const ask = (length) => {
    const url = `/${"a".repeat(length)}`;
    const sent = assertion(SECRET, claims({ htp: url }));
    return verify({ method: "GET", url, rawHeaders: ["x-portcullis-assertion", sent], headers: {} }).then((result) => [sent.length, result]);
  };
  let [length, result] = await ask(24_000);
  let path = 24_000;
  for (; length <= 32_768; path++) {
    assert.ok(result.accepted, `${length}`);
    [length, result] = await ask(path + 1);
  }
  assert.deepEqual(result, { accepted: false, reason: "malformed" });
});
