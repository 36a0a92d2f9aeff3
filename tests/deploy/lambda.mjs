// The Lambda Runtime API as a function sees it: it asks for the next event and posts its answer
// (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html).

import { once } from "node:events";
import http from "node:http";

import { Program } from "../worker/programs.mjs";

export class Lambda {
  #waiting = [];
  #events = [];
  #posted = new Map();

  /** Starts `program` as a function with `variables`. */
  static async start(program, variables) {
    const lambda = new Lambda();
    lambda.server = http.createServer((request, response) => lambda.#serve(request, response)).listen(0, "127.0.0.1");
    await once(lambda.server, "listening");
    lambda.program = new Program(program, [], {
      ...variables,
      AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${lambda.server.address().port}`,
      AWS_LAMBDA_FUNCTION_NAME: program,
      AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "1024",
    });
    return lambda;
  }

  /** What the function posts for `event`: `[status of the path, body]`. */
  invoke(event) {
    const id = `8476a536-e9f4-11e8-9739-${String(this.#posted.size).padStart(12, "0")}`;
    const posted = new Promise((settle, fail) => {
      this.#posted.set(id, settle);
      this.program.ended.then(([exit]) => fail(new Error(`it ended with ${exit}\n${this.program.log}`)));
    });
    this.#events.push([id, JSON.stringify(event)]);
    this.#hand();
    return posted;
  }

  async stop() {
    await this.program.stop();
    this.server.closeAllConnections();
    this.server.close();
  }

  #hand() {
    while (this.#events.length > 0 && this.#waiting.length > 0) {
      const [[id, event], response] = [this.#events.shift(), this.#waiting.shift()];
      const headers = {
        "lambda-runtime-aws-request-id": id,
        "lambda-runtime-deadline-ms": String(Date.now() + 60_000),
        "lambda-runtime-invoked-function-arn": "arn:aws:lambda:us-east-1:123456789012:function:rotation",
      };
      response.writeHead(200, headers).end(event);
    }
  }

  async #serve(request, response) {
    const [, id, kind] = request.url.match(/^\/2018-06-01\/runtime\/invocation\/([^/]+)(?:\/(\w+))?$/) ?? [];
    if (id === "next") {
      this.#waiting.push(response);
      return this.#hand();
    }
    let body = "";
    for await (const part of request.setEncoding("utf8")) body += part;
    this.#posted.get(id)?.([kind, body === "" ? null : JSON.parse(body)]);
    response.writeHead(202).end('{"status":"OK"}');
  }
}
