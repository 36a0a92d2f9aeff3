// The store with a count in front of it: what the Worker asks, how long that takes, and that it may fail.

import { once } from "node:events";
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

export class CountedStore {
  /** What was asked, in order: a row's or a partition's key up to its first `#`, or the operation of a batch. */
  reads = [];
  /** How long answers of a name are kept waiting, in milliseconds. */
  pause = {};
  /** Names that are answered as by a store out of order. */
  broken = new Set();

  /** Whether what was answered once is answered again without asking the engine: a store that takes no time. */
  replays = false;
  #answers = new Map();

  static async start(engineUrl) {
    const store = new CountedStore();
    store.server = http.createServer((request, answer) => store.#pass(engineUrl, request, answer));
    await once(store.server.listen(0, "127.0.0.1"), "listening");
    store.url = `http://127.0.0.1:${store.server.address().port}`;
    return store;
  }

  async #pass(engineUrl, request, answer) {
    const body = Buffer.concat(await request.toArray());
    const name = nameOf(request.headers["x-amz-target"], JSON.parse(body));
    this.reads.push(name);
    await sleep(this.pause[name] ?? 0);
    if (this.broken.has(name)) {
      answer.writeHead(500, { "content-type": "application/x-amz-json-1.0" });
      return answer.end('{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError"}');
    }
    const asked = request.headers["x-amz-target"] + body;
    const known = this.replays ? this.#answers.get(asked) : undefined;
    if (known) return answer.writeHead(known.status, known.headers).end(known.body);
    const { method, url, headers } = request;
    const onward = http.request(engineUrl + url, { method, headers }, async (reply) => {
      const { statusCode: status, headers } = reply;
      const body = Buffer.concat(await reply.toArray());
      this.#answers.set(asked, { status, headers, body });
      answer.writeHead(status, headers).end(body);
    });
    onward.on("error", () => answer.destroy());
    onward.end(body);
  }

  /** How often `name` was asked for. */
  count(name) {
    return this.reads.filter((read) => read === name).length;
  }

  forget() {
    this.reads.length = 0;
  }

  stop() {
    this.server.close();
  }
}

function nameOf(target, { Key: key, ExpressionAttributeValues: values }) {
  const operation = target.split(".")[1];
  if (operation === "GetItem") return key.PK.S.split("#")[0];
  if (operation === "Query") {
    const texts = Object.values(values).map((value) => value.S);
    return texts.find((text) => /^[A-Z]+#/.test(text ?? "")).split("#")[0];
  }
  return operation;
}
