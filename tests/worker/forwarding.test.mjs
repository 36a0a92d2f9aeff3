// What reaches the origin, and what comes back: methods, bodies, redirects, headers, paths.

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
  test(`${method} is forwarded as it is`, async () => {
    const answer = await system.ask("/some/where?a=b&c", { method, headers: auth(token) });
    assert.equal(answer.status, 200, answer.text);
    if (method === "HEAD") return;
    const report = JSON.parse(answer.text);
    assert.deepEqual([report.method, report.path], [method, "/some/where?a=b&c"]);
  });
}

test("a body of 8 MB arrives whole, and comes back whole", async () => {
  const body = randomBytes(8_000_000);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/octet-stream" };
  const answer = await fetch(new URL("/echo", system.workerUrl), { method: "POST", headers, body });
  assert.equal(answer.status, 200);
  assert.ok(body.equals(Buffer.from(await answer.arrayBuffer())));
});

test("a body is passed on while it is still being sent, and so is the answer", async () => {
  const { hostname, port } = system.workerUrl;
  const headers = { authorization: `Bearer ${token}`, "transfer-encoding": "chunked" };
  const request = http.request({ hostname, port, path: "/echo", method: "POST", headers });
  const first = randomBytes(70_000);
  request.write(first);
  const [answer] = await once(request, "response");
  let length = 0;
  for await (const chunk of answer) {
    length += chunk.length;
    // INVARIANT: the second part is sent only when the first is back, so nobody can be holding the body.
    if (length === first.length && !request.writableEnded) request.end("the end");
  }
  assert.equal(length, first.length + "the end".length);
});

test("a redirect of the origin is handed on and not followed", async () => {
  const answer = await system.ask("/redirect", { headers: auth(token) });
  assert.equal(answer.status, 302);
  assert.equal(answer.headers.location, "http://127.0.0.1:9/elsewhere");
});

test("the origin is told who calls", async () => {
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
]) {
  test(`nobody can name themselves by ${spell("x-auth-subject")}`, async () => {
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

test("an open route gets no identity, though a token came", async () => {
  const headers = received(await system.ask("/public/who", { headers: auth(token) }));
  for (const name of identity) assert.ok(!headers.has(name), name);
});

test("other headers pass, and a repeated one keeps all its values", async () => {
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
]) {
  test(`${path} is refused as a path`, async () => {
    const answer = await system.ask(path, { headers: auth(token) });
    assert.equal(answer.status, 400, answer.text);
    assert.equal(code(answer), "bad_path");
  });
}

test("an escaped letter is judged and forwarded as the letter", async () => {
  assert.equal((await system.ask("/%61dmin/", { headers: auth(token) })).status, 403);
  const answer = await system.ask("/%70ublic/p%61ge");
  assert.equal(JSON.parse(answer.text).path, "/public/page");
});

for (const path of ["/public/../private", "/public/%2e%2e/private", "/public/.%2E/private"]) {
  test(`${path} does not pass as public`, async () => {
    // The runtime may resolve the dots before the Worker sees them: then it is judged as what it became.
    const answer = await system.ask(path);
    assert.ok(["bad_path", "missing_token"].includes(code(answer)), `${answer.status} ${answer.text}`);
  });
}
