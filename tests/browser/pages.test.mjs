// What people meet in a browser: the pages that mail links to, and tokens in a cookie.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { after, before, test } from "node:test";

import { eventually } from "../worker/programs.mjs";
import { PASSWORD, System } from "../worker/system.mjs";
import { openBrowser } from "./browser.mjs";

// A hundred failures in a row come about in seconds, not in hours.
const QUOTAS = "login_email=32/1,login_address=off";

const CHANGED = "the tide is out until noon";

let browser, system, mailbox;

before(async () => {
  system = await System.startHostAlone((url, folder) => {
    mailbox = path.join(folder, "mailbox");
    return { PORTCULLIS_ISSUER: url, PORTCULLIS_MAILBOX: mailbox, PORTCULLIS_REQUIRE_VERIFIED: "on", PORTCULLIS_LIMITS: QUOTAS };
  });
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await system?.stop();
});

/** The newest link in a mail to `email` whose path ends so. */
async function mailedLink(email, ending, besides = []) {
  const look = () =>
    readMailbox()
      .filter((mail) => mail.includes(`To: <${email}>`) || mail.includes(`To: ${email}`))
      .flatMap((mail) => [...mail.matchAll(/https?:\/\/\S+?#[\w.-]+/g)].map(([link]) => link))
      .find((link) => new URL(link).pathname.endsWith(ending) && !besides.includes(link));
  return eventually(look, `a link to ${ending}`, () => `${readMailbox().join("\n")}\n${system.host.log}`);
}

/** Every mail, its soft line breaks undone (RFC 2045, section 6.7). */
function readMailbox() {
  try {
    const files = readdirSync(mailbox).filter((name) => name.endsWith(".eml"));
    return files.map((name) => decode(readFileSync(path.join(mailbox, name), "utf8")));
  } catch {
    return [];
  }
}

const decode = (text) =>
  text
    .replace(/=\r?\n/g, "")
    .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));

const logIn = (email, password) => system.post("/v1/login", { email, password });

/** Registers from within a page, so that its browser has the cookie of the registration. */
async function register(page, email, password = PASSWORD) {
  await page.goto(`${system.hostUrl}/health`);
  const status = await page.evaluate(
    async (user) => {
      const headers = { "content-type": "application/json" };
      return (await fetch("/v1/register", { method: "POST", headers, body: JSON.stringify(user) })).status;
    },
    { email, password },
  );
  assert.equal(status, 201);
}

test("a person verifies an address and sets a new password by the links in their mail", async () => {
  const email = "ann@example.com";
  const page = await browser.newPage();
  await register(page, email);
  assert.equal((await logIn(email, PASSWORD)).status, 401, "not verified yet");
  const faults = [];
  page.on("console", (line) => line.type() === "error" && faults.push(line.text()));
  page.on("pageerror", (error) => faults.push(error.message));

  await page.goto(await mailedLink(email, "/email/verify"));
  assert.equal(new URL(page.url()).hash, "", "the token is gone from the address bar");
  assert.equal((await logIn(email, PASSWORD)).status, 401, "opening the link does nothing yet");
  await page.getByRole("button").click();
  await page.getByText("Done.").waitFor();
  assert.equal((await logIn(email, PASSWORD)).status, 200);

  assert.equal((await system.post("/v1/password/forgot", { email })).status, 202);
  const link = await mailedLink(email, "/password/reset");
  await page.goto(link);
  await page.getByLabel("New password").fill("short");
  await page.getByRole("button").click();
  await page.getByText("That did not work").waitFor();
  faults.splice(0); // The refusal itself is told as an error of the network.
  await page.getByLabel("New password").fill(CHANGED);
  await page.getByRole("button").click();
  await page.getByText("Done.").waitFor();
  assert.equal((await logIn(email, PASSWORD)).status, 401);
  assert.equal((await logIn(email, CHANGED)).status, 200);

  const again = await browser.newPage();
  await again.goto(link);
  await again.getByLabel("New password").fill("once more unto the breach");
  await again.getByRole("button").click();
  await again.getByText("That did not work").waitFor();
  assert.equal((await logIn(email, CHANGED)).status, 200, "a link works once");
  assert.deepEqual(faults, [], "the pages break no rule of their own policy");
});

test("a second link in the same tab replaces the first one, and its token leaves the address bar too", async () => {
  const email = "second@example.com";
  const page = await browser.newPage();
  await register(page, email);
  const first = await mailedLink(email, "/email/verify");
  await page.waitForTimeout(1_100);
  assert.equal((await system.post("/v1/email/resend", { email })).status, 202);
  const second = await mailedLink(email, "/email/verify", [first]);
  await page.goto(first);
  // Only the fragment changes, as when a person pastes the link into the address bar.
  await page.evaluate((hash) => (location.hash = hash), new URL(second).hash);
  await page.waitForFunction(() => location.hash === "");
  await page.getByRole("button").click();
  await page.getByText("Done.").waitFor();
  assert.equal((await logIn(email, PASSWORD)).status, 200);
  await page.close();
});

test("account takeover: a link of an address that another registered first asks for a new password", async () => {
  const email = "victim@example.com";
  const attackers = "the attacker chose this one";
  assert.equal((await system.post("/v1/register", { email, password: attackers })).status, 201);
  const first = await mailedLink(email, "/email/verify");
  const page = await browser.newPage();
  // Mails that are requested in the same second are one.
  await page.waitForTimeout(1_100);
  await register(page, email);

  await page.goto(await mailedLink(email, "/email/verify", [first]));
  const field = page.getByLabel("New password");
  assert.equal(await field.isVisible(), false, "only the host knows that one is needed");
  await page.getByRole("button").click();
  await page.getByText("Choose a new password").waitFor();
  assert.equal((await logIn(email, attackers)).status, 401, "not verified yet");
  assert.equal((await logIn(email, PASSWORD)).status, 401, "the second registration set no password");
  await field.fill("short");
  await page.getByRole("button").click();
  await page.getByText("That did not work").waitFor();
  await field.fill(CHANGED);
  await page.getByRole("button").click();
  await page.getByText("Done.").waitFor();
  assert.equal((await logIn(email, CHANGED)).status, 200);
  assert.equal((await logIn(email, attackers)).status, 401);
  assert.equal((await logIn(email, PASSWORD)).status, 401);
  await page.close();
});

test("the browser that sent the registration verifies its address without a new password", async () => {
  const email = "owner@example.com";
  const context = await browser.newContext();
  const page = await context.newPage();
  await register(page, email);
  const cookie = (await context.cookies()).find(({ name }) => name === "__Host-portcullis-registration");
  const { httpOnly, secure, sameSite } = cookie;
  assert.deepEqual({ httpOnly, secure, sameSite }, { httpOnly: true, secure: true, sameSite: "Strict" });
  const link = await mailedLink(email, "/email/verify");

  const other = await browser.newPage();
  await other.goto(link);
  await other.getByRole("button").click();
  await other.getByText("Choose a new password").waitFor();
  await other.close();

  // A link in a mail opens from another site.
  await page.goto("about:blank");
  await page.setContent(`<a href="${link}">verify</a>`);
  await page.getByRole("link").click();
  await page.getByRole("button").click();
  await page.getByText("Done.").waitFor();
  assert.equal((await logIn(email, PASSWORD)).status, 200);
  await context.close();
});

/** Asks for new tokens from within a page, `times` at once; the statuses. */
const refresh = (page, code, times) =>
  page.evaluate(
    async ([code, times]) => {
      const ask = () => fetch("/v1/refresh", { method: "POST", headers: { "x-portcullis-csrf": code } });
      const answers = await Promise.all(Array.from({ length: times }, ask));
      return answers.map((answer) => answer.status);
    },
    [code, times],
  );

test("two tabs refresh at once and both stay, and no other page uses their cookie", async () => {
  const email = "tabs@example.com";
  const context = await browser.newContext();
  const [one, two] = [await context.newPage(), await context.newPage()];
  await register(one, email);
  await one.goto(await mailedLink(email, "/email/verify"));
  await one.getByRole("button").click();
  await one.getByText("Done.").waitFor();
  await Promise.all([one, two].map((page) => page.goto(`${system.hostUrl}/health`)));

  const answer = await one.evaluate(
    async (user) => {
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify({ ...user, transport: "cookie" });
      return (await fetch("/v1/login", { method: "POST", headers, body })).json();
    },
    { email, password: PASSWORD },
  );
  assert.equal(answer.refresh_token, undefined, "no script holds it");
  assert.equal(await one.evaluate(() => document.cookie), "", "and none reads it");
  const held = async () =>
    (await context.cookies()).find((cookie) => cookie.name === "__Host-portcullis-refresh");
  const { httpOnly, secure, sameSite } = await held();
  assert.deepEqual({ httpOnly, secure, sameSite }, { httpOnly: true, secure: true, sameSite: "Strict" });

  const statuses = await Promise.all([one, two].map((page) => refresh(page, answer.csrf_token, 6)));
  assert.deepEqual(statuses.flat(), Array(12).fill(200));

  // Another port is another origin of the same site: the browser sends the cookie along.
  const elsewhere = http.createServer((_, reply) => reply.setHeader("content-type", "text/html").end("<p>hello"));
  await new Promise((listening) => elsewhere.listen(0, "127.0.0.1", listening));
  const before = await held();
  const stranger = await context.newPage();
  await stranger.goto(`http://127.0.0.1:${elsewhere.address().port}/`);
  const refused = stranger.waitForResponse((response) => response.url().endsWith("/v1/refresh"));
  await stranger.evaluate(
    (url) => fetch(url, { method: "POST", mode: "no-cors", credentials: "include" }),
    `${system.hostUrl}/v1/refresh`,
  );
  assert.equal((await refused).status(), 403);
  elsewhere.close();
  assert.equal((await held()).value, before.value, "a stranger's try takes no cookie away");
  assert.deepEqual(await refresh(two, answer.csrf_token, 1), [200]);
});

test("who is locked out by another's guesses lets their browser in by a mailed link", async () => {
  const email = "locked@example.com";
  const first = await browser.newPage();
  await register(first, email);
  await first.goto(await mailedLink(email, "/email/verify"));
  await first.getByRole("button").click();
  await first.getByText("Done.").waitFor();
  await first.close();
  // The browser of the verification is known; this one is not.
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${system.hostUrl}/health`);

  let refused = { status: 401 };
  for (let tries = 0; refused.status !== 403; tries += 1) {
    assert.ok([401, 429].includes(refused.status) && tries < 5000, `${refused.status} after ${tries} tries`);
    refused = await logIn(email, "a guess that is wrong");
  }
  const logInHere = () =>
    page.evaluate(
      async (user) => {
        const headers = { "content-type": "application/json" };
        return (await fetch("/v1/login", { method: "POST", headers, body: JSON.stringify(user) })).status;
      },
      { email, password: PASSWORD },
    );
  assert.equal(await logInHere(), 403, "their own password does not help");
  await page.goto(await mailedLink(email, "/login/unlock"));
  assert.equal(await logInHere(), 403, "opening the link does nothing yet");
  await page.getByRole("button").click();
  await page.getByText("Done.").waitFor();
  assert.equal(await logInHere(), 200);
  assert.equal((await logIn(email, PASSWORD)).status, 403, "nobody else is let in");
  await context.close();
});
