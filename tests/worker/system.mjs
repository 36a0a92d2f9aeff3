// The whole system for one test file: the real engine, origin and host as programs, and the built Worker in
// workerd, all on free ports of loopback.

import { readFileSync } from "node:fs";
import http from "node:http";
import path from "node:path";

import { Miniflare, convertV4MiniflareOptions } from "miniflare";

import { Program, ROOT, eventually, freePort, scratch } from "./programs.mjs";

const ISSUER = "https://login.example";
const WRANGLER = readFileSync(path.join(ROOT, "wrangler.toml"), "utf8");
const setting = (pattern) => WRANGLER.match(pattern)[1];

/** Credentials of the local database, which verifies none. */
const CREDENTIALS = { AWS_ACCESS_KEY_ID: "AKIDTEST", AWS_SECRET_ACCESS_KEY: "only-a-test-secret" };

/** At least fifteen characters, as the host requires. */
export const PASSWORD = "gates fall at nightfall";

export class System {
  /**
   * Starts the whole system. `bindings` change the Worker's variables; `undefined` removes one. `platform`
   * sets the platform's services: rate limiters, a cache that outlives an isolate.
   */
  static async start({ bindings = {}, platform = {} } = {}) {
    const system = new System();
    system.folder = scratch();
    try {
      await system.startEngine();
      await Promise.all([system.startOrigin(), system.startHost()]);
      await system.startWorker(bindings, platform);
    } catch (fault) {
      // A running program would keep the test process alive.
      await system.stop();
      throw fault;
    }
    return system;
  }

  /** Only the host and its dependencies; `settings` returns its variables, given its address. */
  static async startHostAlone(settings = () => ({})) {
    const system = new System();
    system.folder = scratch();
    await system.startEngine();
    await system.startHost(settings);
    return system;
  }

  /** The engine keeps its data in a file, so that it can be stopped and restarted. */
  async startEngine() {
    this.enginePort ??= await freePort();
    const data = path.join(this.folder, "dynamodb.sqlite");
    const where = `127.0.0.1:${this.enginePort}`;
    this.engine = new Program("portcullis-local", ["dynamodb", "--listen", where, "--data", data]);
    await this.engine.until(() => this.engine.log.includes("listens on"), "the engine listens");
  }

  async startOrigin() {
    this.origin = new Program("portcullis-local", ["origin", "--listen", "127.0.0.1:0"]);
    const address = () => this.origin.log.match(/listens on (http:\S+)/)?.[1];
    this.originUrl = await this.origin.until(address, "the origin listens");
  }

  async startHost(settings = () => ({})) {
    const port = await freePort();
    this.hostUrl = `http://127.0.0.1:${port}`;
    this.hostSettings = {
      ...CREDENTIALS,
      AWS_REGION: "us-east-1",
      PORTCULLIS_LISTEN: `127.0.0.1:${port}`,
      PORTCULLIS_ISSUER: ISSUER,
      PORTCULLIS_AUDIENCE: "https://api.example",
      PORTCULLIS_SIGNING_KEY_FILE: path.join(this.folder, "signing-key.json"),
      PORTCULLIS_HOST_SECRET_FILE: path.join(this.folder, "host-secret.json"),
      PORTCULLIS_DYNAMODB_ENDPOINT: this.engineUrl,
      PORTCULLIS_REQUIRE_VERIFIED: "off",
      ...settings(this.hostUrl, this.folder),
    };
    this.host = new Program("portcullis-host", [], this.hostSettings);
    const healthy = () => fetch(`${this.hostUrl}/health`).then((answer) => answer.ok, () => false);
    await this.host.until(healthy, "the host is healthy");
  }

  /** A Worker in a new isolate: it has read nothing yet. */
  async startWorker(bindings = {}, platform = {}) {
    await this.worker?.dispose();
    const built = (name) => path.join(ROOT, "target/worker", name);
    this.workerLog ??= "";
    const keep = ({ message }) => (this.workerLog += `${message}\n`);
    const options = convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: 0,
      cf: false,
      modules: [
        { type: "ESModule", path: built("index.js") },
        { type: "CompiledWasm", path: built("index.wasm") },
      ],
      modulesRoot: built(""),
      compatibilityDate: setting(/^compatibility_date = "(.*)"/m),
      handleStructuredLogs: keep,
      ...platform,
      bindings: defined({
        ...CREDENTIALS,
        AWS_REGION: "us-east-1",
        PORTCULLIS_DYNAMODB_ENDPOINT: this.engineUrl,
        PORTCULLIS_BLACKLIST_TABLE: "TokenBlacklist",
        PORTCULLIS_ORIGIN: this.originUrl,
        PORTCULLIS_ISSUER: ISSUER,
        PORTCULLIS_POLICY: setting(/PORTCULLIS_POLICY = '''([^]*?)'''/),
        ...bindings,
      }),
    });
    this.worker = new Miniflare(options);
    this.workerUrl = await this.worker.ready;
  }

  /** A direct call to the table of revocations. */
  async dynamo(operation, body) {
    const headers = {
      "content-type": "application/x-amz-json-1.0",
      "x-amz-target": `DynamoDB_20120810.${operation}`,
      // The local engine requires the form of a signature and does not verify it.
      "x-amz-date": "20260101T000000Z",
      authorization:
        "AWS4-HMAC-SHA256 Credential=AKIDTEST/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=00",
    };
    const init = { method: "POST", headers, body: JSON.stringify({ TableName: "TokenBlacklist", ...body }) };
    const answer = await expectStatus(await fetch(this.engineUrl, init), 200);
    return answer.json();
  }

  get engineUrl() {
    return this.databaseUrl ?? `http://127.0.0.1:${this.enginePort}`;
  }

  /** The policy of `wrangler.toml`. */
  get policy() {
    return setting(/PORTCULLIS_POLICY = '''([^]*?)'''/);
  }

  get issuer() {
    return ISSUER;
  }

  async stop() {
    await this.worker?.dispose();
    const programs = [this.host, this.origin, this.engine];
    await Promise.all(programs.map((program) => program?.stop()));
  }

  /** A call to the host with a JSON body. */
  post(where, body, headers = {}) {
    const type = { "content-type": "application/json" };
    const init = { method: "POST", headers: { ...type, ...headers }, body: JSON.stringify(body) };
    return fetch(this.hostUrl + where, init);
  }

  /** A fresh user's access token. */
  async logIn(email = `user${Math.random().toString(36).slice(2)}@example.com`) {
    const user = { email, password: PASSWORD };
    await expectStatus(await this.post("/v1/register", user), 201);
    const answer = await expectStatus(await this.post("/v1/login", user), 200);
    return (await answer.json()).access_token;
  }

  async logOut(token) {
    const init = { method: "POST", headers: bearer(token) };
    await expectStatus(await fetch(`${this.hostUrl}/v1/logout`, init), 204);
  }

  /**
   * A request to the Worker with its path and its headers exactly as given (`fetch` would tidy both).
   * `headers` is a flat list of names and values.
   */
  async ask(rawPath, { method = "GET", headers = [], body } = {}) {
    const { hostname, port } = this.workerUrl;
    const sized = body === undefined ? [] : ["content-length", String(Buffer.byteLength(body))];
    const all = ["host", `${hostname}:${port}`, ...headers, ...sized];
    return new Promise((resolve, reject) => {
      // A new connection: the runtime may close a kept one just when it is reused.
      const target = { hostname, port, path: rawPath, method, headers: all, agent: false };
      const request = http.request(target, (answer) => {
        const chunks = [];
        answer.on("data", (chunk) => chunks.push(chunk));
        answer.on("error", reject);
        answer.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: answer.statusCode, headers: answer.headers, text });
        });
      });
      request.on("error", reject);
      request.end(body);
    });
  }

  /** Waits until a request with this token gets the status, and returns the seconds it took. */
  async untilStatus(token, status, seconds) {
    const begun = Date.now();
    const look = async () => (await this.ask("/status", { headers: auth(token) })).status === status;
    await eventually(look, `status ${status}`, () => this.workerLog, seconds);
    return (Date.now() - begun) / 1000;
  }
}

/**
 * Options for `startWorker` that make `front` the Worker; it may import the built one from "./index.js". `more`
 * are further modules by their names.
 */
export function fronted(front, more = {}) {
  const built = (name) => readFileSync(path.join(ROOT, "target/worker", name));
  const sources = { "front.js": front, ...more, "index.js": built("index.js").toString() };
  const modules = Object.entries(sources).map(([name, contents]) => ({ type: "ESModule", path: name, contents }));
  modules.push({ type: "CompiledWasm", path: "index.wasm", contents: built("index.wasm") });
  return { modules, modulesRoot: undefined };
}

/** The header of a bearer token, for `fetch`. */
export const bearer = (token) => ({ authorization: `Bearer ${token}` });

/** The same as a flat list, for `System.ask`. */
export const auth = (token) => ["authorization", `Bearer ${token}`];

/** The problem code of a refusal. */
export const code = (answer) => JSON.parse(answer.text).code;

/** The headers that the origin received, by name; a repeated name has both values. */
export function received(answer) {
  const headers = new Map();
  for (const [name, value] of JSON.parse(answer.text).headers) {
    headers.set(name, headers.has(name) ? `${headers.get(name)}, ${value}` : value);
  }
  return headers;
}

async function expectStatus(answer, status) {
  if (answer.status === status) return answer;
  throw new Error(`expected ${status}, got ${answer.status}: ${await answer.text()}`);
}

function defined(object) {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
