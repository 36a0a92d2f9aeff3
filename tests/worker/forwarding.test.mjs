// Forwarding: methods, bodies, redirects, headers and paths, in both directions.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { after, before, test } from "node:test";

import { System, auth, code, received } from "./system.mjs";

let system;
let token;
before(async () => {
  system = await System.start();
  token = await system.logIn();
});
after(() => system.stop());

const identity = ["x-auth-issuer", "x-auth-subject", "x-auth-scope", "x-auth-session"];

for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]) {
  test(`${method} is forwarded unchanged`, async () => {
    const answer = await system.ask("/some/where?a=b&c", { method, headers: auth(token) });
    assert.equal(answer.status, 200, answer.text);
    if (method === "HEAD") return;
    const report = JSON.parse(answer.text);
    assert.deepEqual([report.method, report.path], [method, "/some/where?a=b&c"]);
  });
}

test("a body of 8 MB is complete at the origin and in the response", async () => {
  const body = randomBytes(8_000_000);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/octet-stream" };
  const answer = await fetch(new URL("/echo", system.workerUrl), { method: "POST", headers, body });
  assert.equal(answer.status, 200);
  assert.ok(body.equals(Buffer.from(await answer.arrayBuffer())));
});

test("request and response bodies are streamed, not buffered", async () => {
  const { hostname, port } = system.workerUrl;
  const headers = { authorization: `Bearer ${token}`, "transfer-encoding": "chunked" };
  const request = http.request({ hostname, port, path: "/echo", method: "POST", headers });
  const first = randomBytes(70_000);
  request.write(first);
  const [answer] = await once(request, "response");
  let length = 0;
  for await (const chunk of answer) {
    length += chunk.length;
    // INVARIANT: the second part is sent only after the first has returned, so a buffering proxy fails here.
    if (length === first.length && !request.writableEnded) request.end("the end");
  }
  assert.equal(length, first.length + "the end".length);
});

test("a redirect of the origin is forwarded, not followed", async () => {
  const answer = await system.ask("/redirect", { headers: auth(token) });
  assert.equal(answer.status, 302);
  assert.equal(answer.headers.location, "http://127.0.0.1:9/elsewhere");
});

test("a response of the origin with an invalid status is 502 with the headers of the edge", async () => {
  const server = http.createServer((request, response) => {
    response.writeHead(Number(request.url.slice("/public/".length)), { "access-control-allow-origin": "*" });
    response.end("of the origin");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const other = await System.start();
  try {
    const policy = JSON.parse(other.policy);
    policy.cors = { origins: ["https://app.example"] };
    await other.startWorker({
      PORTCULLIS_ORIGIN: `http://127.0.0.1:${server.address().port}`,
      PORTCULLIS_POLICY: JSON.stringify(policy),
    });
    for (const [status, expected] of [[200, 200], [299, 299], [599, 599], [600, 502], [700, 502], [999, 502]]) {
      const headers = { origin: "https://app.example" };
      const answer = await other.worker.dispatchFetch(`https://edge.example/public/${status}`, { headers });
      const text = await answer.text();
      assert.equal(answer.status, expected, text);
      assert.equal(answer.headers.get("access-control-allow-origin"), "https://app.example");
      assert.equal(answer.headers.get("strict-transport-security"), "max-age=31536000");
      assert.equal(text === "of the origin", expected === status, text);
    }
  } finally {
    await other.stop();
    server.close();
  }
});

test("the origin receives the identity headers", async () => {
  const headers = received(await system.ask("/who", { headers: auth(token) }));
  const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  assert.equal(headers.get("x-auth-issuer"), claims.iss);
  assert.equal(headers.get("x-auth-subject"), claims.sub);
  assert.equal(headers.get("x-auth-session"), claims.sid);
  assert.match(headers.get("x-request-id"), /\S/);
});

for (const spell of [
  (name) => name,
  (name) => name.toUpperCase(),
  (name) => name.replaceAll("-", "_"),
  (name) => name.replace("x-auth-", "X-Auth_"),
  (name) => name.replace("x-", "x_").toUpperCase(),
  (name) => name.replaceAll("-", "!"),
  (name) => name.replaceAll("-", "."),
  (name) => name.replaceAll("-", "~").toUpperCase(),
]) {
  test(`a client cannot spoof the identity header as ${spell("x-auth-subject")}`, async () => {
    const spoofed = identity.flatMap((name) => [spell(name), "intruder"]);
    for (const [path, headers] of [
      ["/who", [...auth(token), ...spoofed]],
      ["/public/who", spoofed],
    ]) {
      const answer = await system.ask(path, { headers });
      assert.equal(answer.status, 200, answer.text);
      assert.doesNotMatch(answer.text, /intruder/, path);
    }
  });
}

test("the whole prefix of identity headers is reserved", async () => {
  const headers = [...auth(token), "x-auth-roles", "intruder", "X.Auth.Token", "intruder"];
  const answer = await system.ask("/who", { headers });
  assert.equal(answer.status, 200, answer.text);
  assert.doesNotMatch(answer.text, /intruder/);
});

const trusted = [
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-forwarded-prefix",
  "x-forwarded-server",
  "x-forwarded-port",
  "x-forwarded-scheme",
  "x-forwarded-user",
  "forwarded",
  "x-original-url",
  "x-original-host",
  "x-rewrite-url",
  "x-http-method-override",
  "x-http-method",
  "x-method-override",
  "x-host",
  "x-real-ip",
  "true-client-ip",
  "x-middleware-subrequest",
  "proxy",
];
for (const separator of ["-", "_", ".", "!"]) {
  test(`a client cannot spoof forwarding or override headers with the separator ${separator}`, async () => {
    const spoofed = trusted.flatMap((name) => [name.replaceAll("-", separator), "intruder"]);
    for (const [path, headers] of [
      ["/who", [...auth(token), ...spoofed]],
      ["/public/who", spoofed],
    ]) {
      const answer = await system.ask(path, { headers });
      assert.equal(answer.status, 200, answer.text);
      assert.doesNotMatch(answer.text, /intruder/, path);
    }
  });
}

test("the origin receives the forwarding headers of the edge", async () => {
  const headers = ["cf-connecting-ip", "2001:db8::7", "x-forwarded-for", "192.0.2.1", "cf_connecting_ip", "192.0.2.2"];
  const seen = received(await system.ask("/public/who", { headers }));
  assert.equal(seen.get("x-forwarded-for"), "2001:db8::7");
  assert.equal(seen.get("x-forwarded-host"), system.workerUrl.host);
  assert.equal(seen.get("x-forwarded-proto"), "http");
  assert.ok(!seen.has("forwarded"));
  assert.ok(!seen.has("cf_connecting_ip"));
});

test("the origin gets no bearer token, neither on guarded nor on open routes", async () => {
  for (const path of ["/who", "/public/who"]) {
    const answer = await system.ask(path, { headers: auth(token) });
    assert.equal(answer.status, 200, answer.text);
    assert.ok(!received(answer).has("authorization"), path);
    assert.ok(!answer.text.includes(token), path);
  }
});

const ours = "__Host-portcullis-refresh=secret";
for (const [sent, kept] of [
  [`a=1; ${ours}; b="caf\u00c3\u00a9"; c`, 'a=1; b="caf\u00c3\u00a9"; c'],
  [`${ours}; __Host-other=1`, "__Host-other=1"],
  [`a=1; b="x  y"; ${ours}`, 'a=1; b="x  y"'],
  [ours, undefined],
  ["a=1;b=\u00c3\u00a9; ;c", "a=1;b=\u00c3\u00a9; ;c"],
]) {
  test(`of the cookies ${JSON.stringify(sent)} only the foreign ones reach the origin`, async () => {
    for (const path of ["/who", "/public/who"]) {
      const answer = await system.ask(path, { headers: [...auth(token), "cookie", sent] });
      assert.equal(answer.status, 200, answer.text);
      // The client sends each character as one byte, and the origin reports UTF-8.
      const bytes = kept && Buffer.from(kept, "latin1").toString("utf8");
      assert.equal(received(answer).get("cookie"), bytes, path);
    }
  });
}

test("an open route forwards no identity, even with a token", async () => {
  const headers = received(await system.ask("/public/who", { headers: auth(token) }));
  for (const name of identity) assert.ok(!headers.has(name), name);
});

test("other headers are forwarded, and a repeated one keeps all its values", async () => {
  const headers = [...auth(token), "x-mine", "one", "x-mine", "two", "accept-language", "nl"];
  const seen = received(await system.ask("/who", { headers }));
  assert.equal(seen.get("x-mine"), "one, two");
  assert.equal(seen.get("accept-language"), "nl");
});

for (const path of [
  "/public/%2f",
  "/public/..%2fadmin",
  "/public/%5cadmin",
  "//public",
  "/public//x",
  "/public/%00",
  "/public/%zz",
  "/public/%2",
  "/public/%0d",
  "/public/%0A",
  "/public/%c0%af",
  "/public/%e0%80%af",
  "/public/%252e%252e/admin",
  "/public/..%20/admin",
  "/public%252fx",
]) {
  test(`the path ${path} is rejected`, async () => {
    const answer = await system.ask(path, { headers: auth(token) });
    assert.equal(answer.status, 400, answer.text);
    assert.equal(code(answer), "bad_path");
  });
}

test("a percent-encoded letter is matched and forwarded decoded", async () => {
  assert.equal((await system.ask("/%61dmin/", { headers: auth(token) })).status, 403);
  const answer = await system.ask("/%70ublic/p%61ge");
  assert.equal(JSON.parse(answer.text).path, "/public/page");
});

for (const path of ["/public/../private", "/public/%2e%2e/private", "/public/.%2E/private"]) {
  test(`path traversal ${path} does not match the public route`, async () => {
    // The runtime may resolve the dots before the Worker sees them; then the resolved path is matched.
    const answer = await system.ask(path);
    assert.ok(["bad_path", "missing_token"].includes(code(answer)), `${answer.status} ${answer.text}`);
  });
}

for (const path of [
  "/ADMIN/x",
  "/Admin",
  "/admin./x",
  "/admin%20/x",
  "/admin%C2%A0/x",
  "/%2561dmin/x",
  "/adm%C4%B1n/",
]) {
  test(`a token without its scope does not pass by the twin ${path} of a guarded path`, async () => {
    const answer = await system.ask(path, { headers: auth(token) });
    assert.equal(answer.status, 403, answer.text);
    assert.match(answer.headers["www-authenticate"], /scope="admin"/);
  });
}

test("twins of an exact path, methods and encoded slashes follow their routes", async (context) => {
  const policy = {
    ...JSON.parse(system.policy),
    format_suffixes: [".json"],
    routes: [
      { path: "/pay", access: "token", scopes: ["pay"], methods: ["GET", "POST"] },
      { path: "/npm/*", access: "open", encoded_slash: true },
      { path: "/npm/private/*", access: "token", scopes: ["npm"] },
      { path: "/exact/*", access: "open", exact: true },
      { path: "/exact/guarded", access: "token" },
      { path: "/*", access: "token" },
    ],
  };
  const other = await System.start({ bindings: { PORTCULLIS_POLICY: JSON.stringify(policy) } });
  context.after(() => other.stop());
  const mine = await other.logIn();
  for (const path of ["/pay", "/pay/", "/PAY", "/pay.", "/pay%20", "/pay.json"]) {
    for (const method of ["GET", "HEAD", "POST"]) {
      const answer = await other.ask(path, { method, headers: auth(mine) });
      assert.equal(answer.status, 403, `${method} ${path}`);
    }
    const refused = await other.ask(path, { method: "DELETE", headers: auth(mine) });
    assert.equal(refused.status, 405, path);
    assert.equal(code(refused), "method_not_allowed");
    assert.equal(refused.headers.allow, "GET, POST, HEAD");
  }
  assert.equal((await other.ask("/payment", { headers: auth(mine) })).status, 200);
  const scoped = await other.ask("/npm/@scope%2fname");
  assert.equal(JSON.parse(scoped.text).path, "/npm/@scope%2Fname");
  assert.equal((await other.ask("/npm/private%2Fname")).status, 401);
  for (const path of ["/npm/a%2F..%2Fb", "/npm/a%2F", "/pay%2F", "/npm/a%252F%252Fb"]) {
    assert.equal(code(await other.ask(path)), "bad_path", path);
  }
  assert.equal((await other.ask("/exact/GUARDED")).status, 200);
  assert.equal((await other.ask("/exact/guarded")).status, 401);
});

test("the policy names further headers, and keeps Authorization only if it says so", async (context) => {
  const policy = {
    ...JSON.parse(system.policy),
    strip_token: false,
    headers: {
      identity_prefix: "x-user-",
      pass: ["X-User-Agent-Hint"],
      drop: ["X-Tenant"],
      forwarded: true,
      open_authorization: true,
    },
  };
  const other = await System.start({ bindings: { PORTCULLIS_POLICY: JSON.stringify(policy) } });
  context.after(() => other.stop());
  const mine = await other.logIn();
  const extra = ["x-user-agent-hint", "a", "x_user_subject", "b", "x.tenant", "c", "cf-connecting-ip", "192.0.2.7"];
  const guarded = received(await other.ask("/who", { headers: [...auth(mine), ...extra] }));
  const claims = JSON.parse(Buffer.from(mine.split(".")[1], "base64url"));
  assert.equal(guarded.get("x-user-subject"), claims.sub);
  assert.ok(!guarded.has("x-auth-subject"));
  assert.equal(guarded.get("authorization"), `Bearer ${mine}`);
  assert.equal(guarded.get("x-user-agent-hint"), "a");
  for (const name of ["x_user_subject", "x.tenant"]) assert.ok(!guarded.has(name), name);
  assert.equal(guarded.get("forwarded"), `for="192.0.2.7";host="${other.workerUrl.host}";proto="http"`);
  const open = received(await other.ask("/public/who", { headers: ["authorization", "Basic YTpi"] }));
  assert.equal(open.get("authorization"), "Basic YTpi");
});
