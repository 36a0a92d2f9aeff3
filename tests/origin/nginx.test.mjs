// examples/nginx/origin.conf in nginx, in front of an app that shows what it gets.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect, createServer as createSocketServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { ask } from "./app.mjs";
import { findNginx, startNginx } from "./nginx.mjs";

const EXAMPLE = new URL("../../examples/nginx/origin.conf", import.meta.url);
const SECRET = "a3f1c2d4e5b60718293a4b5c6d7e8f90a3f1c2d4e5b60718293a4b5c6d7e8f90";
const NEXT_SECRET = "0f9e8d7c6b5a49382716b5e4d3c2f1a30f9e8d7c6b5a49382716b5e4d3c2f1a3";
const NAME = "x-portcullis-edge-secret";

let app;
let folder;
let nginx;
let port;
let log = "";
const seen = [];

before(async () => {
  app = createServer((req, res) => {
    seen.push(req.url);
    if (req.url === "/forbidden") return res.writeHead(403).end("the app's own");
    res.end(JSON.stringify({ url: req.url, method: req.method, headers: req.headers }));
  });
  app.on("upgrade", (req, socket) => socket.end(`HTTP/1.1 101 Switching Protocols\r\nupgrade: test\r\nconnection: upgrade\r\n\r\n${req.headers["x-auth-subject"]}`));
  await listen(app);
  folder = mkdtempSync(path.join(tmpdir(), "portcullis-nginx-"));
  writeFileSync(path.join(folder, "secrets.conf"), `"~^${SECRET}$" 1;\n"~^${NEXT_SECRET}$" 1;\n`);
  // Another program may take the free port in between.
  for (let round = 0; round < 5 && !(await start()); round++);
  assert.ok(nginx.exitCode === null, log);
});

after(async () => {
  app?.close();
  if (nginx?.exitCode === null) {
    nginx.kill("SIGTERM");
    await once(nginx, "exit");
  }
  rmSync(folder, { recursive: true, force: true });
});

async function listen(server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
}

/** The example with ports and files of this test, and without TLS. */
function configuration() {
  let text = readFileSync(EXAMPLE, "utf8");
  const replace = (from, to) => {
    assert.equal(text.split(from).length, 2, `the example has "${from}" once`);
    text = text.replace(from, to);
  };
  replace("/etc/nginx/portcullis-secrets.conf", path.join(folder, "secrets.conf"));
  replace("127.0.0.1:3000", `127.0.0.1:${app.address().port}`);
  replace("listen 8443 ssl default_server;", `listen 127.0.0.1:${port} default_server;`);
  replace("ssl_certificate /etc/nginx/origin.crt;", "");
  replace("ssl_certificate_key /etc/nginx/origin.key;", "");
  return `daemon off;\nmaster_process off;\n${surrounded(text)}`;
}

/** The example in a whole configuration that writes only into the folder of this test. */
function surrounded(text) {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const paths = temporary.map((name) => `${name}_temp_path ${path.join(folder, name)};`).join("\n");
  return `pid ${path.join(folder, "pid")};\nevents {}\nhttp {\naccess_log off;\n${paths}\n${text}\n}\n`;
}

async function start() {
  const probe = createSocketServer();
  await listen(probe);
  ({ port } = probe.address());
  probe.close();
  await once(probe, "close");
  const file = path.join(folder, "nginx.conf");
  writeFileSync(file, configuration());
  nginx = startNginx(folder, file);
  nginx.stderr.setEncoding("utf8").on("data", (text) => {
    log += text;
  });
  while (nginx.exitCode === null) {
    const socket = connect(port, "127.0.0.1");
    const isOpen = await once(socket, "connect").then(() => true, () => false);
    socket.destroy();
    if (isOpen) return true;
    await sleep(20);
  }
  return false;
}

function assertRefused(answer) {
  assert.equal(answer.status, 403);
  assert.equal(answer.headers["content-type"], "application/problem+json");
  assert.equal(answer.headers["cache-control"], "no-store");
  assert.deepEqual(JSON.parse(answer.text), { type: "about:blank", title: "Forbidden", status: 403, code: "no_edge_proof" });
}

test("each of the two secrets of a rotation is accepted, and the app does not get it", async () => {
  for (const secret of [SECRET, NEXT_SECRET]) {
    const answer = await ask(port, [[NAME, secret], ["x-auth-subject", "ada"]]);
    assert.equal(answer.status, 200, log);
    assert.ok(!answer.text.includes(secret));
    const { headers } = JSON.parse(answer.text);
    assert.equal(headers["x-auth-subject"], "ada");
    assert.equal(headers[NAME], undefined);
  }
});

test("every other request is refused before the app, with forged identity headers as well", async () => {
  const before = seen.length;
  for (const headers of [
    [],
    [[NAME, ""]],
    [[NAME, "0"]],
    [[NAME, "1"]],
    [[NAME, "default"]],
    [[NAME, SECRET.slice(1)]],
    [[NAME, SECRET.slice(0, -1)]],
    [[NAME, `${SECRET}0`]],
    [[NAME, `0${SECRET}`]],
    [[NAME, SECRET.toUpperCase()]],
    [[NAME, `^${SECRET}$`]],
    [[NAME, ".*"]],
    [["x_portcullis_edge_secret", SECRET]],
    [["x-portcullis_edge-secret", SECRET]],
    [["x-auth-subject", "root"], ["x-forwarded-for", "127.0.0.1"]],
    [[NAME, "wrong"], [NAME, SECRET]],
  ]) {
    for (const [method, target] of [["GET", "/"], ["POST", "/orders"], ["GET", "/@no_edge_proof"], ["GET", "//x/../y"], ["OPTIONS", "/"]]) {
      assertRefused(await ask(port, [...headers, ["content-length", "0"]], method, target));
    }
  }
  const head = await ask(port, [], "HEAD", "/");
  assert.deepEqual([head.status, head.text], [403, ""]);
  assert.equal(seen.length, before);
});

test("any host name needs the secret", async () => {
  for (const target of ["/", "http://localhost/", "http://app.example/"]) assertRefused(await ask(port, [], "GET", target));
});

test("the app gets the target byte for byte", async () => {
  for (const target of ["/a%2Fb//c/%2e%2e/?x=%20&&y", "/Orders/.", "/?", "/caf%C3%A9"]) {
    assert.equal(JSON.parse((await ask(port, [[NAME, SECRET]], "GET", target)).text).url, target);
  }
});

test("a 403 of the app stays the app's own", async () => {
  const answer = await ask(port, [[NAME, SECRET]], "GET", "/forbidden");
  assert.deepEqual([answer.status, answer.text.includes("the app's own")], [403, true]);
});

test("an upgrade request needs the secret as well", async () => {
  const upgrade = [["upgrade", "websocket"], ["x-auth-subject", "ada"]];
  assertRefused(await ask(port, upgrade));
  const answer = await ask(port, [...upgrade, [NAME, SECRET]]);
  assert.deepEqual([answer.status, answer.text], [101, "ada"]);
});

test("no log line has a secret", async () => {
  await ask(port, [[NAME, `${SECRET}0`]]);
  assert.ok(!log.includes(SECRET) && !log.includes(NEXT_SECRET));
});

test("nginx accepts the example as it is, with TLS", () => {
  const file = (name) => path.join(folder, name);
  const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=origin"];
  execFileSync("openssl", [...request, "-keyout", file("origin.key"), "-out", file("origin.crt")], { stdio: "pipe" });
  const example = readFileSync(EXAMPLE, "utf8")
    .replace("/etc/nginx/portcullis-secrets.conf", file("secrets.conf"))
    .replaceAll("/etc/nginx/origin", file("origin"));
  writeFileSync(file("tls.conf"), surrounded(example));
  execFileSync(findNginx(), ["-t", "-p", folder, "-c", file("tls.conf"), "-e", "stderr"], { stdio: "pipe" });
});
