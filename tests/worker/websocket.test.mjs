// WebSockets and streams at the Worker: who may open them, and that they end with their token.

import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { after, before, beforeEach, test } from "node:test";

import { WebSocket, WebSocketServer } from "ws";

import { eventually } from "./programs.mjs";
import { System, auth, code } from "./system.mjs";

const APP = "https://app.example";
const KEY = randomBytes(32);
/** Longer than any token of these tests. */
const PATIENCE = { timeout: 60_000 };

let system;
let origin;
/** The handshakes and requests that reached the origin. */
const received = [];
/** What the origin saw of its sockets: their close codes, or `cancelled` for a stream. */
const ended = [];
before(async () => {
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => offered.values().next().value });
  sockets.on("connection", (socket) => {
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
    socket.on("close", (code) => ended.push(code));
  });
  origin = http.createServer((request, answer) => {
    received.push(request);
    const { pathname, searchParams } = new URL(request.url, "http://origin");
    if (pathname.endsWith("/events")) {
      answer.writeHead(200, { "content-type": "text/event-stream" });
      const timer = setInterval(() => answer.write("data: tick\n\n"), 100);
      answer.on("close", () => (clearInterval(timer), ended.push("cancelled")));
      return;
    }
    const body = "x".repeat(Number(searchParams.get("bytes") ?? 5));
    answer.writeHead(200, { "content-length": body.length });
    answer.end(body);
  });
  origin.on("upgrade", (request, socket, head) => {
    received.push(request);
    if (request.url.endsWith("/refuses")) return socket.end("HTTP/1.1 418 No\r\ncontent-length: 0\r\n\r\n");
    sockets.handleUpgrade(request, socket, head, (opened) => sockets.emit("connection", opened));
  });
  await once(origin.listen(0, "127.0.0.1"), "listening");
  system = await System.start();
  const policy = JSON.parse(system.policy);
  policy.issuers.push({
    issuer: "https://short",
    audience: "api",
    algorithms: ["HS256"],
    keys: { keys: [{ kty: "oct", kid: "k", k: KEY.toString("base64url") }] },
    profile: "at+jwt",
  });
  policy.cors = { origins: [APP] };
  policy.revocations = { poll: 1, soft: 1, hard: 5 };
  policy.routes = [
    { path: "/ws/*", access: "token", upgrade: true },
    { path: "/open/*", access: "open", upgrade: true },
    { path: "/maybe/*", access: "open", identity: "if_present", upgrade: true },
    { path: "/any/*", access: "token", upgrade: true, cors: { origins: "*" } },
    { path: "/sure/*", access: "token", revocation: "lookup" },
    { path: "/*", access: "token" },
  ];
  const url = `http://127.0.0.1:${origin.address().port}`;
  await system.startWorker({ PORTCULLIS_POLICY: JSON.stringify(policy), PORTCULLIS_ORIGIN: url });
});
beforeEach(() => {
  received.length = 0;
  ended.length = 0;
});
after(async () => {
  await system.stop();
  origin.closeAllConnections();
  origin.close();
});

/** A token of the issuer with a fixed key, for this many seconds. */
function tokenFor(seconds) {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: "https://short", aud: "api", sub: "alice", client_id: "web", jti: randomBytes(9).toString("hex") };
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const input = `${part({ alg: "HS256", typ: "at+jwt", kid: "k" })}.${part({ ...claims, iat: now, exp: now + seconds })}`;
  return `${input}.${createHmac("sha256", KEY).update(input).digest("base64url")}`;
}

const bearerOf = (token) => ({ authorization: `Bearer ${token}` });
const subprotocol = (token) => `portcullis.bearer.${token}`;

/** Opens a WebSocket through the Worker; a refusal is its status and code. */
async function open(where, { protocols = [], headers = {}, page } = {}) {
  const url = new URL(where, system.workerUrl);
  url.protocol = "ws:";
  const socket = new WebSocket(url, protocols, { headers, origin: page });
  return new Promise((resolve, reject) => {
    socket.on("open", () => resolve({ socket, closed: once(socket, "close").then(([code]) => code) }));
    socket.on("error", reject);
    socket.on("unexpected-response", async (_, answer) => {
      const text = Buffer.concat(await answer.toArray()).toString();
      resolve({ status: answer.statusCode, code: text && JSON.parse(text).code });
    });
  });
}

async function echo({ socket }, data) {
  socket.send(data);
  const [reply, isBinary] = await once(socket, "message");
  return isBinary ? reply : reply.toString();
}

test("messages pass in both directions, and a close with its code too", PATIENCE, async () => {
  const opened = await open("/ws/chat", { headers: bearerOf(tokenFor(300)) });
  assert.equal(await echo(opened, "hello"), "hello");
  const bytes = randomBytes(200_000);
  assert.ok(bytes.equals(await echo(opened, bytes)));
  opened.socket.close(4000, "done");
  assert.equal(await opened.closed, 4000);
  await eventually(() => ended.length === 1, "the origin sees the close");
  assert.deepEqual(ended, [4000]);
});

test("a WebSocket is closed when its token expires", PATIENCE, async () => {
  const token = tokenFor(4);
  const opened = await open("/ws/chat", { headers: bearerOf(token) });
  assert.equal(await echo(opened, "before"), "before");
  assert.equal(await opened.closed, 4401);
  assert.equal((await system.ask("/x", { headers: auth(token) })).status, 401);
  await eventually(() => ended.length === 1, "the origin sees the close");
  assert.deepEqual(ended, [4401]);
});

test("a WebSocket is closed after a logout, and another one stays open", PATIENCE, async () => {
  const [token, other] = [await system.logIn(), await system.logIn()];
  const opened = await open("/ws/chat", { headers: bearerOf(token) });
  const stays = await open("/ws/chat", { headers: bearerOf(other) });
  await system.logOut(token);
  assert.equal(await opened.closed, 4401);
  assert.equal(await echo(stays, "still here"), "still here");
  stays.socket.close();
  await stays.closed;
});

test("an upgrade is refused on a route without it, and never reaches the origin", PATIENCE, async () => {
  const headers = bearerOf(tokenFor(300));
  const refused = { status: 403, code: "upgrade_not_allowed" };
  for (const where of ["/chat", "/WS/chat", "/sure/chat"]) assert.deepEqual(await open(where, { headers }), refused, where);
  for (const [where, upgrade] of [
    ["/x", ["connection", "upgrade", "upgrade", "h2c"]],
    ["/ws/x", ["connection", "upgrade", "upgrade", "h2c"]],
    ["/ws/x", ["sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="]],
  ]) {
    const answer = await system.ask(where, { headers: [...auth(tokenFor(300)), ...upgrade] });
    assert.equal(answer.status, 403, answer.text);
    assert.equal(code(answer), "upgrade_not_allowed");
    assert.equal(answer.headers["www-authenticate"], undefined);
  }
  assert.equal(received.length, 0);
});

test("a WebSocket needs a valid token, and a refusal of the origin passes", PATIENCE, async () => {
  assert.deepEqual(await open("/ws/chat"), { status: 401, code: "missing_token" });
  assert.deepEqual(await open("/ws/chat", { headers: bearerOf(`${tokenFor(300)}x`) }).then(({ status }) => status), 401);
  assert.deepEqual(await open("/ws/chat", { headers: bearerOf(tokenFor(-5)) }), { status: 401, code: "expired" });
  assert.equal(received.length, 0);
  assert.equal((await open("/ws/refuses", { headers: bearerOf(tokenFor(300)) })).status, 418);
});

test("a browser brings its token as a subprotocol, which the origin never sees", PATIENCE, async () => {
  const token = tokenFor(300);
  for (const protocols of [
    [subprotocol(token), "chat"],
    ["chat", subprotocol(token), "other"],
  ]) {
    received.length = 0;
    const opened = await open("/ws/chat", { protocols, page: APP });
    assert.equal(opened.socket.protocol, "chat");
    const [handshake] = received;
    assert.equal(handshake.headers["sec-websocket-protocol"], protocols.filter((name) => !name.includes(token)).join(", "));
    assert.ok(!JSON.stringify(handshake.rawHeaders).includes(token));
    assert.equal(handshake.headers["x-auth-subject"], "alice");
    assert.equal(await echo(opened, "hello"), "hello");
    opened.socket.close();
    await opened.closed;
  }
  const malformed = { status: 400, code: "malformed_authorization" };
  assert.deepEqual(await open("/ws/chat", { protocols: [subprotocol(token)] }), malformed);
  const both = { protocols: [subprotocol(token), "chat"], headers: bearerOf(token) };
  assert.deepEqual(await open("/ws/chat", both), malformed);
  assert.equal((await open("/ws/chat", { protocols: [subprotocol("a.b.c"), "chat"] })).status, 401);
  assert.ok(!system.workerLog.includes(token));
});

test("the token's subprotocol is not accepted and not forwarded elsewhere", PATIENCE, async () => {
  const offered = ["sec-websocket-protocol", `${subprotocol(tokenFor(300))}, chat`];
  assert.equal((await system.ask("/x", { headers: offered })).status, 401);
  assert.equal((await system.ask("/open/x", { headers: offered })).status, 200);
  assert.equal(received.length, 1);
  assert.equal(received[0].headers["sec-websocket-protocol"], "chat");
  const opened = await open("/open/chat", { protocols: [subprotocol("a.b.c"), "chat"] });
  assert.equal(received[1].headers["sec-websocket-protocol"], "chat");
  opened.socket.close();
  await opened.closed;
});

test("cross-site WebSocket hijacking: a page of another origin opens no WebSocket", PATIENCE, async () => {
  const protocols = [subprotocol(tokenFor(300)), "chat"];
  const foreign = { status: 403, code: "foreign_origin" };
  for (const page of ["https://evil.example", "null", `${APP}.evil.example`, "http://app.example"]) {
    for (const where of ["/ws/chat", "/open/chat", "/any/chat"]) assert.deepEqual(await open(where, { protocols, page }), foreign);
  }
  assert.equal(received.length, 0);
  for (const [where, page] of [
    ["/ws/chat", APP],
    ["/ws/chat", system.workerUrl.origin],
    ["/open/chat", APP],
    ["/any/chat", system.workerUrl.origin],
  ]) {
    const opened = await open(where, { protocols, page });
    assert.equal(opened.socket?.protocol, "chat", where);
    opened.socket.close();
    await opened.closed;
  }
});

/** Reads a stream to its end; `whole` says whether it ended in order. */
async function read(where, token, onFirst = async () => {}) {
  const request = http.request(new URL(where, system.workerUrl), { headers: bearerOf(token), agent: false });
  request.end();
  const [answer] = await once(request, "response");
  let length = 0;
  let whole = true;
  try {
    for await (const chunk of answer) {
      if (length === 0) await onFirst();
      length += chunk.length;
    }
  } catch {
    whole = false;
  }
  return { status: answer.statusCode, headers: answer.headers, length, whole };
}

test("an event stream ends when its token expires, and the origin's request too", PATIENCE, async () => {
  for (const where of ["/events", "/sure/events"]) {
    ended.length = 0;
    const token = tokenFor(4);
    const stream = await read(where, token);
    assert.equal(stream.status, 200);
    assert.ok(stream.length > 0);
    assert.equal((await system.ask("/x", { headers: auth(token) })).status, 401);
    await eventually(() => ended.includes("cancelled"), "the origin's request ends");
  }
});

test("an event stream ends after a logout", PATIENCE, async () => {
  const token = await system.logIn();
  const stream = await read("/events", token, () => system.logOut(token));
  assert.ok(stream.length > 0);
  await eventually(() => ended.includes("cancelled"), "the origin's request ends");
});

test("an event stream of an open route does not end with a token", PATIENCE, async () => {
  const token = tokenFor(2);
  const request = http.request(new URL("/open/events", system.workerUrl), { headers: bearerOf(token), agent: false });
  request.end();
  const [answer] = await once(request, "response");
  await eventually(async () => (await system.ask("/x", { headers: auth(token) })).status === 401, "the token expires");
  const [chunk] = await once(answer, "data");
  assert.ok(chunk.length > 0);
  assert.deepEqual(ended, []);
  request.destroy();
});

test("an event stream of an open route ends with the token that is its identity, and with no other", PATIENCE, async () => {
  const bad = http.request(new URL("/maybe/events", system.workerUrl), { headers: bearerOf(`${tokenFor(300)}x`), agent: false });
  bad.end();
  const [stays] = await once(bad, "response");
  let chunks = 0;
  stays.on("data", () => (chunks += 1)).on("close", () => (chunks = NaN));
  const token = tokenFor(3);
  const stream = await read("/maybe/events", token);
  assert.equal(stream.status, 200);
  assert.ok(stream.length > 0);
  assert.equal((await system.ask("/x", { headers: auth(token) })).status, 401);
  await eventually(() => ended.includes("cancelled"), "the origin's request ends");
  const before = chunks;
  await eventually(() => chunks > before + 1, "the stream without an identity goes on");
  assert.deepEqual(received.map(({ headers }) => headers["x-auth-subject"]), [undefined, "alice"]);
  bad.destroy();
});

test("a WebSocket of an open route with an optional identity closes with its token, and opens without one", PATIENCE, async () => {
  const opened = await open("/maybe/chat", { protocols: [subprotocol(tokenFor(3)), "chat"] });
  assert.equal(received[0].headers["x-auth-subject"], "alice");
  assert.equal(await opened.closed, 4401);
  for (const protocols of [["chat"], [subprotocol("a.b.c"), "chat"]]) {
    const anonymous = await open("/maybe/chat", { protocols });
    assert.equal(received.at(-1).headers["x-auth-subject"], undefined);
    assert.equal(received.at(-1).headers["sec-websocket-protocol"], "chat");
    anonymous.socket.close();
    await anonymous.closed;
  }
});

test("a response keeps its length and its bytes, short or long", PATIENCE, async () => {
  for (const bytes of [0, 5, 1 << 20, (1 << 20) + 1, 5_000_000]) {
    const { length, whole, headers } = await read(`/x?bytes=${bytes}`, tokenFor(300));
    assert.deepEqual([length, whole, headers["content-length"]], [bytes, true, String(bytes)]);
  }
});
