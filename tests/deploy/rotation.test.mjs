// The template of the rotation: whether CloudFormation would take it, whether the program takes what it sets, and
// whether the role allows what a rotation does and nothing else.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { Moto, REGION } from "../moto/moto.mjs";
import { BINARIES, ROOT, scratch } from "../worker/programs.mjs";
import { System } from "../worker/system.mjs";
import { Lambda } from "./lambda.mjs";

const TEMPLATE = path.join(ROOT, "deploy/rotation.yaml");
const STEPS = ["createSecret", "setSecret", "testSecret", "finishSecret"];
const ROOT_KEYS = '{"id":"1","key":"0123456789abcdef0123456789abcdef"}';
const LINT = { ...process.env, PYTHONPATH: process.env.PORTCULLIS_LINT ?? path.join(BINARIES, "../python-lint") };

const python = (...args) => promisify(execFile)("python3", args, { env: LINT, maxBuffer: 1 << 24 });

let system;
let moto;
let recorder;
let hostSecret;
let template;
before(async () => {
  system = new System();
  system.folder = scratch();
  [moto] = await Promise.all([Moto.start(system.folder), system.startEngine()]);
  recorder = await Recorder.start();
  hostSecret = (await moto.secrets("CreateSecret", { Name: "portcullis/host", SecretString: ROOT_KEYS })).ARN;
  const decode = "import json,sys;from cfnlint.decode import decode;print(json.dumps(decode(sys.argv[1])[0]))";
  template = JSON.parse((await python("-c", decode, TEMPLATE)).stdout);
});
after(async () => {
  recorder.server.close();
  await Promise.all([system.stop(), moto.stop()]);
});

/** Stands before Secrets Manager and DynamoDB and keeps what is asked of them. */
class Recorder {
  calls = [];

  static async start() {
    const recorder = new Recorder();
    recorder.server = http.createServer((request, response) => recorder.#pass(request, response)).listen(0, "127.0.0.1");
    await once(recorder.server, "listening");
    recorder.url = `http://127.0.0.1:${recorder.server.address().port}`;
    return recorder;
  }

  async #pass(request, response) {
    let body = "";
    for await (const part of request.setEncoding("utf8")) body += part;
    const [service, operation] = request.headers["x-amz-target"].split(".");
    this.calls.push({ service, operation, body: JSON.parse(body) });
    const upstream = service === "secretsmanager" ? moto.url : system.engineUrl;
    const { host, connection, ...headers } = request.headers;
    const answer = await fetch(upstream, { method: "POST", headers, body });
    response.writeHead(answer.status, { "content-type": "application/x-amz-json-1.0" }).end(await answer.text());
  }
}

/** What a call needs a right to, as `{ action, resource, key }`. */
function rights({ service, operation, body }) {
  if (service === "secretsmanager") return [{ action: `secretsmanager:${operation}`, resource: body.SecretId }];
  const right = (name, { TableName, Key, Item }) => ({
    action: `dynamodb:${name}`,
    resource: `arn:aws:dynamodb:${REGION}:123456789012:table/${TableName}`,
    key: (Key ?? Item).PK.S,
  });
  if (operation !== "TransactWriteItems") return [right(operation, body)];
  const names = { ConditionCheck: "ConditionCheckItem", Delete: "DeleteItem", Put: "PutItem", Update: "UpdateItem" };
  return body.TransactItems.flatMap((item) => Object.entries(item).map(([kind, of]) => right(names[kind], of)));
}

const list = (value) => [value].flat();
const matches = (pattern, text) => new RegExp(`^${pattern.replaceAll("*", ".*")}$`).test(text);

/** Whether `statement` grants `right`. Knows the conditions that the template uses, and no others. */
function grants(statement, { action, resource, key }) {
  const { "Null": present, ...conditions } = statement.Condition ?? {};
  const holds = ([operator, values]) => {
    assert.ok(["ForAllValues:StringEquals", "ForAllValues:StringLike"].includes(operator), operator);
    assert.deepEqual(Object.keys(values), ["dynamodb:LeadingKeys"]);
    assert.deepEqual(present, { "dynamodb:LeadingKeys": "false" });
    return list(values["dynamodb:LeadingKeys"]).some((pattern) => matches(pattern, key));
  };
  const named = list(statement.Action).includes(action) && list(statement.Resource).includes(resource);
  return statement.Effect === "Allow" && named && Object.entries(conditions).every(holds);
}

test("CloudFormation's own rules hold", async () => {
  await python("-c", "from cfnlint.runner import main; main()", "--include-checks", "I", "--", TEMPLATE);
});

test("it rotates every 30 days, and every default is the program's own", () => {
  const { Parameters, Resources } = template;
  assert.deepEqual(Resources.RotationSchedule.Properties.RotationRules, { AutomaticallyAfterDays: { Ref: "RotationDays" } });
  assert.equal(Parameters.RotationDays.Default, 30);
  const settings = readFileSync(path.join(ROOT, "docs/reference/configuration.md"), "utf8");
  const rows = [...settings.matchAll(/^\| `([A-Z_]+)` \| .* \| (.*) \| .* \| .* \|$/gm)];
  const defaults = new Map(rows.map(([, name, fallback]) => [name, fallback]));
  for (const [name, value] of Object.entries(Resources.RotationFunction.Properties.Environment.Variables)) {
    assert.ok(defaults.has(name), `${name} is no variable of the host`);
    const parameter = Parameters[value.Ref]?.Default;
    const fallback = defaults.get(name).match(/^`?([A-Za-z0-9]+)/)[1];
    if (parameter !== undefined) assert.equal(String(parameter), fallback, name);
  }
});

test("the program starts with what the stack sets, for every algorithm that may be chosen", async () => {
  const { AllowedValues } = template.Parameters.SigningAlgorithm;
  for (const [algorithm, starts] of [...AllowedValues.map((name) => [name, true]), ["HS256", false]]) {
    const { variables } = await deploy({ SigningAlgorithm: algorithm });
    const function_ = await Lambda.start("portcullis-rotation", { ...variables, ...caller() });
    const event = { Step: "createSecret", SecretId: "another", ClientRequestToken: randomUUID() };
    if (starts) {
      const [kind, said] = await function_.invoke(event);
      assert.deepEqual([kind, said.errorType], ["error", "other_secret"], algorithm);
    } else {
      assert.deepEqual((await function_.program.ended)[0], 2, function_.program.log);
    }
    await function_.stop();
  }
});

/** What Lambda sets besides the stack's variables, and where AWS is in this test. */
const caller = () => ({
  AWS_REGION: REGION,
  AWS_ACCESS_KEY_ID: "AKIDTEST",
  AWS_SECRET_ACCESS_KEY: "only-a-test-secret",
  PORTCULLIS_DYNAMODB_ENDPOINT: recorder.url,
  PORTCULLIS_SECRETS_ENDPOINT: recorder.url,
});

/** What CloudFormation makes of `value` with these parameters, and these answers to `Ref` and `Fn::GetAtt`. */
function resolve(value, known) {
  if (Array.isArray(value)) return value.map((one) => resolve(one, known)).filter((one) => one !== undefined);
  if (value === null || typeof value !== "object") return value;
  const find = (name) => {
    assert.ok(name in known, `nobody told the test what ${name} is`);
    return known[name];
  };
  const condition = ({ "Fn::Equals": equals, "Fn::Not": not }) => {
    if (not) return !condition(not[0]);
    const [one, other] = resolve(equals, known);
    return one === other;
  };
  const [[kind, argument], ...more] = Object.entries(value);
  if (more.length === 0 && kind === "Ref") return find(argument);
  if (more.length === 0 && kind === "Fn::GetAtt") return find([argument].flat().join("."));
  if (more.length === 0 && kind === "Fn::Sub") return argument.replaceAll(/\$\{([^}]+)\}/g, (_, name) => find(name));
  if (more.length === 0 && kind === "Fn::If") {
    const [name, yes, no] = argument;
    return resolve(condition(template.Conditions[name]) ? yes : no, known);
  }
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, resolve(one, known)]));
}

/** The secret that the stack would make, its function's variables, and what its role may do. */
async function deploy(parameters = {}) {
  // As `GenerateSecretString` does: a value that is no key.
  const secret = await moto.secrets("CreateSecret", { Name: `signing-${randomUUID()}`, SecretString: "n0 k3y" });
  const defaults = Object.entries(template.Parameters).map(([name, { Default }]) => [name, Default]);
  const known = {
    ...Object.fromEntries(defaults.filter(([, value]) => value !== undefined)),
    "AWS::AccountId": "123456789012",
    "AWS::NoValue": undefined,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": "portcullis-rotation",
    CodeBucket: "artefacts",
    CodeKey: "rotation.zip",
    Issuer: "https://login.example",
    Audience: "https://api.example",
    HostSecretArn: hostSecret,
    SigningSecret: secret.ARN,
    "RotationLog.Arn": "arn:aws:logs:us-east-1:123456789012:log-group:/portcullis/rotation:*",
    ...parameters,
  };
  const { RotationFunction, RotationRole } = template.Resources;
  const { Variables } = resolve(RotationFunction.Properties.Environment, known);
  const policies = resolve(RotationRole.Properties.Policies, known);
  return {
    secret: secret.ARN,
    // The environment is text, whatever the parameter is.
    variables: Object.fromEntries(Object.entries(Variables).map(([name, value]) => [name, String(value)])),
    statements: policies.flatMap(({ PolicyDocument }) => PolicyDocument.Statement),
  };
}

test("the role allows what two rotations do, and nothing that they do not", { timeout: 90_000 }, async () => {
  // Bounds so short that both rotations may follow each other.
  const short = { AccessLifetime: 1, EdgeKeyAge: 1, JwksMaxAge: 1, SecretCache: 1, ThirdPartyCache: 0 };
  const { secret, variables, statements } = await deploy(short);
  recorder.calls.length = 0;
  const function_ = await Lambda.start("portcullis-rotation", { ...variables, ...caller() });
  const rotate = async () => {
    const token = randomUUID();
    for (const Step of STEPS) {
      const [kind, said] = await function_.invoke({ Step, SecretId: secret, ClientRequestToken: token });
      assert.equal(kind, "response", `${Step}: ${JSON.stringify(said)}\n${function_.program.log}`);
    }
    return token;
  };
  const first = await rotate();
  const second = await rotate();
  await function_.stop();
  const { VersionIdsToStages: versions } = await moto.secrets("DescribeSecret", { SecretId: secret });
  assert.ok(versions[second].includes("AWSCURRENT") && versions[first].includes("AWSPREVIOUS"), JSON.stringify(versions));

  const used = new Set();
  for (const right of recorder.calls.flatMap(rights)) {
    const by = statements.find((statement) => grants(statement, right));
    assert.ok(by, `nothing allows ${JSON.stringify(right)}`);
    used.add(`${by.Sid} ${right.action}`);
  }
  const granted = statements.filter(({ Sid }) => Sid !== "Log").flatMap(({ Sid, Action }) => list(Action).map((action) => `${Sid} ${action}`));
  assert.deepEqual([...used].sort(), granted.sort());
});
