// A proxy before the store: it counts the Worker's reads, delays them, and makes them fail.

import { once } from "node:events";
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

export class CountedStore {
  /** The reads, in order: the key of a row or partition up to its first `#`, or the operation of a batch. */
  reads = [];
  /** The delay of responses by name, in milliseconds. */
  pause = {};
  /** Names with a failure as response. */
  broken = new Set();

  /** Whether responses are cached and repeated without the engine: a store without latency. */
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

  /** The number of reads of `name`. */
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
