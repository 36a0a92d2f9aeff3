// nginx: the machine's own if there is one, else Debian's package, unpacked below `target`.

import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The path of the program. */
export function findNginx() {
  return onPath() ?? fromPackage();
}

/** Starts it in the foreground as one process with the configuration file. */
export function startNginx(folder, file) {
  return spawn(findNginx(), ["-p", folder, "-c", file, "-e", "stderr"], { stdio: ["ignore", "ignore", "pipe"] });
}

function onPath() {
  try {
    return execFileSync("which", ["nginx"], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}

function fromPackage() {
  const target = path.join(ROOT, "target/nginx");
  const program = path.join(target, "usr/sbin/nginx");
  if (existsSync(program)) return program;
  mkdirSync(path.dirname(target), { recursive: true });
  const folder = mkdtempSync(`${target}-`);
  const quiet = { cwd: folder, stdio: "pipe" };
  try {
    try {
      execFileSync("apt-get", ["download", "nginx"], quiet);
    } catch {
      // A fresh machine has no package lists.
      execFileSync("apt-get", ["update"], quiet);
      execFileSync("apt-get", ["download", "nginx"], quiet);
    }
    const archive = readdirSync(folder).find((name) => name.endsWith(".deb"));
    execFileSync("dpkg-deb", ["-x", archive, "."], quiet);
  } catch (error) {
    rmSync(folder, { recursive: true });
    throw new Error("nginx is missing: install it, or make `apt-get download nginx` work", { cause: error });
  }
  try {
    renameSync(folder, target);
  } catch {
    // Another run was faster.
    rmSync(folder, { recursive: true });
  }
  return program;
}
