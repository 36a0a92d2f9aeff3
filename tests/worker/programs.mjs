// Programs of a test: each on a free port, each ended with the test.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The folder of the compiled programs. */
export const BINARIES = process.env.PORTCULLIS_BINARIES ?? path.join(process.env.CARGO_TARGET_DIR ?? path.join(ROOT, "target"), "debug");
const running = new Set();
const scratches = new Set();

// An aborted test leaves no process and no folder.
process.on("exit", () => {
  running.forEach((program) => program.child.kill("SIGKILL"));
  scratches.forEach((folder) => rmSync(folder, { recursive: true, force: true }));
});

export class Program {
  /** Starts a compiled program of the workspace, and keeps its output for the message of a failing test. */
  constructor(name, args, env) {
    this.name = name;
    this.log = "";
    this.child = spawn(path.join(BINARIES, name), args, {
      env: { PATH: process.env.PATH, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.ended = once(this.child, "close");
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => (this.log += text));
    }
    running.add(this);
  }

  /** Waits until `look` returns a truthy value; fails if the program ends before. */
  async until(look, what) {
    const found = await eventually(async () => this.child.exitCode !== null || look(), what, () => this.log);
    if (found === true && this.child.exitCode !== null) {
      throw new Error(`${this.name} ended with ${this.child.exitCode}\n${this.log}`);
    }
    return found;
  }

  async stop() {
    this.child.kill("SIGTERM");
    const killer = setTimeout(() => this.child.kill("SIGKILL"), 5_000);
    await this.ended;
    clearTimeout(killer);
    running.delete(this);
  }
}

/** The first truthy value of `look`; fails after `seconds`. */
export async function eventually(look, what, detail = () => "", seconds = 30) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${what}\n${detail()}`);
    await sleep(50);
  }
}

/** A port that was free a moment ago. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** A folder that is removed when the test process ends. */
export function scratch() {
  const folder = mkdtempSync(path.join(tmpdir(), "portcullis-"));
  scratches.add(folder);
  return folder;
}
