// An Express app behind the middleware on a free port, and requests as raw bytes.

import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";

import express from "express";

import { edgeProof, refuseUpgrade } from "../../packages/origin/index.js";
import { NOON, ORIGIN } from "./signer.mjs";

export class App {
  reasons = [];
  now = NOON;

  /** Starts it; `before` is middleware in front of the check. Ended by the test's context. */
  static async start(context, options, before = []) {
    const app = new App();
    const usual = { now: () => app.now, onRefused: (reason) => app.reasons.push(reason) };
    if (!options.secrets || options.mode === "assertion") usual.origin = ORIGIN;
    const proof = edgeProof({ ...usual, ...options });
    const routes = express();
    for (const middleware of before) routes.use(middleware);
    routes.use(proof);
    routes.use((req, res) => {
      const { headers, headersDistinct, rawHeaders, portcullis } = req;
      res.json({ portcullis, headers, headersDistinct, rawHeaders });
    });
    app.server = createServer(routes).listen(0, "127.0.0.1");
    app.server.on("upgrade", async (req, socket) => {
      const { accepted, identity } = await proof.verifyRequest(req);
      if (!accepted) return refuseUpgrade(socket);
      socket.end(`HTTP/1.1 101 Switching Protocols\r\nupgrade: test\r\nconnection: upgrade\r\n\r\n${identity.subject}`);
    });
    await once(app.server, "listening");
    context.after(() => app.server.close());
    app.port = app.server.address().port;
    return app;
  }

  /** Sends the headers as they are, duplicates included. */
  ask(headers, method = "GET", target = "/orders?page=2") {
    return ask(this.port, headers, method, target);
  }

  accepts(assertion, ...rest) {
    return this.ask([["x-portcullis-assertion", assertion]], ...rest);
  }
}

/** One request on a socket of its own: `{status, headers, text}`. */
export async function ask(port, headers, method = "GET", target = "/orders?page=2") {
  const socket = connect(port, "127.0.0.1");
  const all = [["host", "origin.example"], ["connection", "close"], ...headers];
  if (headers.some(([name]) => name === "upgrade")) all[1][1] = "upgrade, close";
  socket.write(`${method} ${target} HTTP/1.1\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`);
  let received = "";
  for await (const chunk of socket.setEncoding("utf8")) received += chunk;
  const [head, ...body] = received.split("\r\n\r\n");
  const [line, ...lines] = head.split("\r\n");
  const parsed = Object.fromEntries(lines.map((text) => [text.slice(0, text.indexOf(":")).toLowerCase(), text.slice(text.indexOf(":") + 2)]));
  const text = body.join("\r\n\r\n");
  return { status: Number(line.split(" ")[1]), headers: parsed, text };
}
