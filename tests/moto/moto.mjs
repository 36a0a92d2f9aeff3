// moto's server: third-party doubles of AWS services, in one process on a free port.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";

import { BINARIES, eventually, freePort } from "../worker/programs.mjs";

/** The region of every resource. */
export const REGION = "us-east-1";

/** moto reads the service and the region from this; it verifies no signature. */
const authorization = (service) =>
  `AWS4-HMAC-SHA256 Credential=AKIDTEST/20260101/${REGION}/${service}/aws4_request, SignedHeaders=host, Signature=00`;

export class Moto {
  static async start(folder) {
    const moto = new Moto();
    const port = await freePort();
    moto.url = `http://127.0.0.1:${port}`;
    const packages = process.env.PORTCULLIS_MOTO ?? path.join(BINARIES, "../python-moto");
    moto.child = spawn("python3", ["-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)], {
      env: { PATH: process.env.PATH, PYTHONPATH: packages, HOME: folder },
      stdio: ["ignore", "ignore", "pipe"],
    });
    moto.log = "";
    moto.child.stderr.setEncoding("utf8").on("data", (text) => (moto.log += text));
    process.on("exit", () => moto.child.kill("SIGKILL"));
    const up = () => {
      assert.equal(moto.child.exitCode, null, moto.log);
      return fetch(moto.url).then(() => true, () => false);
    };
    await eventually(up, "moto answers", () => moto.log);
    return moto;
  }

  async stop() {
    this.child.kill();
    await once(this.child, "close");
  }

  /** A call of a service with a REST API. */
  async send(service, where, { headers = {}, ...init } = {}) {
    const signed = { ...headers, authorization: authorization(service) };
    const answer = await fetch(this.url + where, { ...init, headers: signed });
    const text = await answer.text();
    assert.ok(answer.ok, `${service} ${where}: ${answer.status} ${text}\n${this.log}`);
    return text;
  }

  /** A call of Secrets Manager. */
  async secrets(operation, body) {
    const headers = { "content-type": "application/x-amz-json-1.1", "x-amz-target": `secretsmanager.${operation}` };
    return JSON.parse(await this.send("secretsmanager", "/", { method: "POST", headers, body: JSON.stringify(body) }));
  }

  /** A call of a service with form requests and XML responses. */
  query(service, version, fields) {
    const body = new URLSearchParams({ Version: version, ...fields });
    return this.send(service, "/", { method: "POST", body });
  }
}
