// The script that ends responses (`crates/worker/js/live.js`) in workerd, without the Rust module: after a trap of the
// module nothing renews its lease.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { after, before, test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";

import { Miniflare, convertV4MiniflareOptions } from "miniflare";
import { WebSocket, WebSocketServer } from "ws";

import { ROOT, eventually } from "./programs.mjs";

/** Holds every response for the seconds in the query; renews the lease once if `renewed` is there. */
const FRONT = `
  import { hold, renew } from "./live.js";
  export default {
    async fetch(request, { ORIGIN }) {
      const url = new URL(request.url);
      const response = await fetch(ORIGIN + url.pathname, request);
      const controller = new AbortController();
      const held = hold(response, controller, 4401);
      if (!held) return response;
      const lease = Number(url.searchParams.get("lease"));
      renew(controller, lease);
      if (url.searchParams.has("renewed")) renew(controller, 600);
      return held;
    },
  };
`;
const TEXT = "a text that compresses well ".repeat(100_000);

let origin;
let worker;
let url;
const ended = [];
before(async () => {
  const sockets = new WebSocketServer({ noServer: true });
  sockets.on("connection", (socket) => socket.on("close", (code) => ended.push(code)).send("hello"));
  origin = http.createServer((request, answer) => {
    if (request.url === "/gzip" || request.url === "/gzip-with-length") {
      const body = gzipSync(TEXT, { level: 0 });
      const length = request.url === "/gzip" ? {} : { "content-length": body.length };
      return answer.writeHead(200, { "content-encoding": "gzip", ...length }).end(body);
    }
    if (request.url === "/empty") return answer.writeHead(204).end();
    const timer = setInterval(() => answer.write("tick"), 50);
    answer.on("close", () => (clearInterval(timer), ended.push("cancelled")));
  });
  origin.on("upgrade", (request, socket, head) =>
    sockets.handleUpgrade(request, socket, head, (opened) => sockets.emit("connection", opened)),
  );
  await once(origin.listen(0, "127.0.0.1"), "listening");
  const live = readFileSync(path.join(ROOT, "crates/worker/js/live.js"), "utf8");
  worker = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: 0,
      cf: false,
      modules: [
        { type: "ESModule", path: "front.js", contents: FRONT },
        { type: "ESModule", path: "live.js", contents: live },
      ],
      compatibilityDate: readFileSync(path.join(ROOT, "wrangler.toml"), "utf8").match(/_date = "(.*)"/)[1],
      handleStructuredLogs: () => {},
      bindings: { ORIGIN: `http://127.0.0.1:${origin.address().port}` },
    }),
  );
  url = await worker.ready;
});
after(async () => {
  await worker.dispose();
  origin.closeAllConnections();
  origin.close();
});

test("a stream without a renewed lease ends, and the origin's request too", { timeout: 30_000 }, async () => {
  ended.length = 0;
  const answer = await fetch(new URL("/stream?lease=1", url));
  const read = async () => {
    for await (const chunk of answer.body) assert.ok(chunk.length > 0);
  };
  await read().catch(() => {});
  await eventually(() => ended.includes("cancelled"), "the origin's request ends");
});

test("a WebSocket without a renewed lease is closed on both sides, and one with it stays open", { timeout: 30_000 }, async () => {
  ended.length = 0;
  const open = (query) => new WebSocket(new URL(`/socket?${query}`, url.href.replace("http", "ws")));
  const [ends, stays] = [open("lease=1"), open("lease=1&renewed")];
  const [[greeting]] = await Promise.all([once(stays, "message"), once(ends, "message")]);
  assert.equal(greeting.toString(), "hello");
  const [code] = await once(ends, "close");
  assert.equal(code, 4401);
  await eventually(() => ended.length > 0, "the origin sees the close");
  assert.deepEqual(ended, [4401]);
  assert.equal(stays.readyState, WebSocket.OPEN);
  stays.close();
  await once(stays, "close");
});

test("a compressed stream keeps its content, with and without a length", { timeout: 30_000 }, async () => {
  for (const where of ["/gzip", "/gzip-with-length"]) {
    const request = http.get(new URL(`${where}?lease=600`, url), { agent: false, headers: { "accept-encoding": "gzip" } });
    const [answer] = await once(request, "response");
    const bytes = Buffer.concat(await answer.toArray());
    const text = answer.headers["content-encoding"] === "gzip" ? gunzipSync(bytes) : bytes;
    assert.equal(text.toString(), TEXT);
  }
});

test("a response without a body passes", { timeout: 30_000 }, async () => {
  assert.equal((await fetch(new URL("/empty?lease=600", url))).status, 204);
});
