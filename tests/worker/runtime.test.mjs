// The two ways to run the Worker manually: `wrangler dev` alone, and `cargo xtask dev` with the whole system.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { ROOT, eventually, freePort, scratch } from "./programs.mjs";

const QUIET = {
  CI: "1",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  WRANGLER_HIDE_BANNER: "true",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  WRANGLER_SEND_METRICS: "false",
};

/** A program in its own process group, ended with all its child processes. */
class Group {
  constructor(command, args, env) {
    this.log = "";
    this.child = spawn(command, args, {
      cwd: ROOT,
      detached: true,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.ended = once(this.child, "exit");
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => (this.log += text));
    }
    this.kill = () => {
      try {
        process.kill(-this.child.pid, "SIGKILL");
      } catch {
        // It has ended.
      }
    };
    process.on("exit", this.kill);
  }
}

test("wrangler dev alone builds the Worker, which reports missing credentials", async () => {
  const port = await freePort();
  const folder = scratch();
  const script = path.join(ROOT, "node_modules/wrangler/bin/wrangler.js");
  const flags = ["dev", "--port", String(port), "--inspector-port", "0", "--persist-to", folder];
  // Replaces the variables that a developer may have in the root.
  const variables = path.join(folder, "none.env");
  writeFileSync(variables, "");
  const wrangler = new Group(process.execPath, [script, ...flags, "--env-file", variables], {
    ...QUIET,
    WRANGLER_LOG_PATH: folder,
    WRANGLER_REGISTRY_PATH: folder,
  });
  try {
    const look = () => {
      assert.equal(wrangler.child.exitCode, null, wrangler.log);
      return fetch(`http://127.0.0.1:${port}/hello`).catch(() => undefined);
    };
    const answer = await eventually(look, "wrangler answers", () => wrangler.log, 120);
    assert.equal(answer.status, 503);
    assert.equal((await answer.json()).code, "not_configured");
    assert.match(wrangler.log, /cargo xtask build/);
  } finally {
    wrangler.kill();
    await wrangler.ended;
  }
});

/** `cargo xtask dev` on free ports, in its own folder. */
async function startDev(folder, ...more) {
  const names = ["worker", "host", "dynamodb", "origin", "mailbox", "secrets", "chaos"];
  const ports = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await freePort()])));
  const flags = names.map((name) => `--${name}-port=${ports[name]}`);
  const dev = new Group("cargo", ["xtask", "dev", `--folder=${folder}`, ...flags, ...more]);
  const look = () => dev.log.includes("Portcullis is up") || dev.child.exitCode !== null;
  await eventually(look, "the system is up", () => dev.log, 240);
  assert.equal(dev.child.exitCode, null, dev.log);
  return { dev, ports };
}

/** The lines to paste: those indented by four spaces. */
function session(log) {
  const lines = log.split("\n").filter((line) => line.startsWith("    "));
  return lines.map((line) => line.trim()).join("\n");
}

/** Every process with the folder in its command line or its environment. */
function left(folder) {
  const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  return processes.filter((pid) => {
    try {
      return ["cmdline", "environ"].some((file) => readFileSync(`/proc/${pid}/${file}`).includes(folder));
    } catch {
      return false;
    }
  });
}

test("the session printed by xtask dev works; accounts persist, and no process remains", { timeout: 400_000 }, async () => {
  const folder = scratch();
  let run = await startDev(folder);
  try {
    const { stdout } = await promisify(execFile)("bash", ["-euo", "pipefail", "-c", session(run.dev.log)]);
    const statuses = stdout.split("\n").filter((line) => /^\d{3}$/.test(line));
    assert.deepEqual(statuses, ["401", "200", "403", "200", "204", "401"], stdout);
    assert.ok(left(folder).length >= 4, "the look for processes finds none, though all run");
    await stop(run.dev, "SIGINT", folder);

    run = await startDev(folder);
    const user = session(run.dev.log).match(/ADA='(.*)'/)[1];
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: user };
    const logIn = () => fetch(`http://127.0.0.1:${run.ports.host}/v1/login`, init);
    assert.equal((await logIn()).status, 200, "the account is gone after a restart");
    await stop(run.dev, "SIGTERM", folder);

    run = await startDev(folder, "--fresh");
    assert.equal((await logIn()).status, 401, "the account is there after a fresh start");
    await stop(run.dev, "SIGHUP", folder);
  } finally {
    run.dev.kill();
  }
});

test("xtask dev --chaos serves requests and lists the injected faults", { timeout: 400_000 }, async () => {
  const folder = scratch();
  const { dev, ports } = await startDev(folder, "--chaos=7");
  try {
    const chaos = async () => (await fetch(`http://127.0.0.1:${ports.chaos}/chaos`)).json();
    const user = JSON.stringify({ email: "ada@example.com", password: "gates fall at nightfall" });
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: user };
    const atLast = async (what, url, init) => {
      let answer;
      const look = async () => {
        answer = await fetch(url, init);
        if (answer.status === 503) assert.match(answer.headers.get("retry-after"), /^[0-9]+$/);
        return answer.status !== 503;
      };
      await eventually(look, what, () => dev.log, 60);
      return answer;
    };
    const host = `http://127.0.0.1:${ports.host}`;
    const register = await atLast("a registration", `${host}/v1/register`, init);
    assert.equal(register.status, 201, await register.text());
    // Enough for at least one fault.
    let login;
    for (let round = 0; round < 5; round++) {
      login = await atLast("a login", `${host}/v1/login`, init);
      assert.equal(login.status, 200);
    }
    const { access_token: token } = await login.json();
    const bearer = { headers: { authorization: `Bearer ${token}` } };
    const hello = await atLast("a request", `http://127.0.0.1:${ports.worker}/hello`, bearer);
    assert.equal(hello.status, 200, await hello.text());
    const counts = await chaos();
    assert.ok(Object.keys(counts).length >= 12, JSON.stringify(counts));
    const settings = readFileSync(path.join(folder, "host.env"), "utf8");
    for (const service of ["DYNAMODB", "SECRETS"]) {
      assert.match(settings, new RegExp(`PORTCULLIS_${service}_ENDPOINT=http://127.0.0.1:${ports.chaos}\n`));
    }
    const sum = Object.values(counts).reduce((all, count) => all + count, 0);
    assert.ok(sum > 0, JSON.stringify(counts));
    await stop(dev, "SIGINT", folder);
  } finally {
    dev.kill();
  }
});

async function stop(dev, signal, folder) {
  process.kill(dev.child.pid, signal);
  await dev.ended;
  const look = () => left(folder).length === 0;
  await eventually(look, "all processes are gone", () => left(folder).join(" "), 5);
}

test("xtask dev reports a used port with its flag and starts nothing", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address();
  const folder = scratch();
  const dev = new Group("cargo", ["xtask", "dev", `--folder=${folder}`, `--host-port=${port}`]);
  const [status] = await dev.ended;
  taken.close();
  assert.equal(status, 1);
  assert.match(dev.log, new RegExp(`port ${port} is taken.*--host-port.*PORTCULLIS_HOST_PORT`));
  assert.deepEqual(readdirSync(folder), []);
});
