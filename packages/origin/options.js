// The options of `edgeProof`, checked when the middleware is made: a wrong option must stop the start of an app.

import { parseKeys } from "./keys.js";

const MIN_SECRET_LENGTH = 32;
const MAX_LEEWAY = 60;
const DEFAULT_LEEWAY = 5;
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

const KNOWN = [
  "secrets",
  "keys",
  "keysUrl",
  "mode",
  "origin",
  "hosts",
  "leeway",
  "identityPrefix",
  "onRefused",
  "now",
];

/** Returns the options in one form. Throws a `TypeError` that names the option and never has a secret. */
export function parseOptions(options) {
  require(isObject(options), "the options must be an object");
  const unknown = Object.keys(options).find((name) => !KNOWN.includes(name));
  require(unknown === undefined, `unknown option "${unknown}"`);
  const sources = ["secrets", "keys", "keysUrl"].filter((name) => options[name] !== undefined);
  require(sources.length === 1, "give exactly one of secrets, keys and keysUrl");
  const source = sources[0];
  const { mode = source === "secrets" ? "secret" : "assertion", leeway = DEFAULT_LEEWAY } = options;
  require(mode === "secret" || mode === "assertion", 'mode must be "secret" or "assertion"');
  require(mode === "assertion" || source === "secrets", 'mode "secret" needs secrets');
  if (mode === "assertion") {
    checkOrigin(options.origin);
  } else {
    for (const name of ["origin", "leeway"]) {
      require(options[name] === undefined, `${name} is for mode "assertion" only`);
    }
  }
  require(
    Number.isInteger(leeway) && leeway >= 0 && leeway <= MAX_LEEWAY,
    `leeway must be an integer from 0 to ${MAX_LEEWAY} seconds`,
  );
  for (const name of ["onRefused", "now"]) {
    require(options[name] === undefined || typeof options[name] === "function", `${name} must be a function`);
  }
  return {
    mode,
    secrets: source === "secrets" ? parseSecrets(options.secrets) : undefined,
    keys: source === "keys" ? parseKeys(options.keys) : undefined,
    keysUrl: source === "keysUrl" ? parseKeysUrl(options.keysUrl) : undefined,
    origin: options.origin,
    hosts: parseHosts(options.hosts),
    leeway,
    identityPrefix: parsePrefix(options.identityPrefix ?? "x-auth-"),
    onRefused: options.onRefused ?? firstOfEachReason(),
    now: options.now ?? (() => Math.floor(Date.now() / 1000)),
  };
}

function parseSecrets(secrets) {
  require(
    Array.isArray(secrets) && (secrets.length === 1 || secrets.length === 2),
    "secrets must be an array of one secret, or of two during a rotation",
  );
  for (const secret of secrets) {
    require(
      typeof secret === "string" && secret.length >= MIN_SECRET_LENGTH && /^[\x21-\x7e]*$/.test(secret),
      `each secret must have ${MIN_SECRET_LENGTH} or more visible ASCII characters`,
    );
  }
  return secrets.map((secret) => Buffer.from(secret, "ascii"));
}

function checkOrigin(origin) {
  const url = typeof origin === "string" && URL.canParse(origin) ? new URL(origin) : undefined;
  require(
    url !== undefined && ["http:", "https:"].includes(url.protocol) && url.origin === origin,
    'origin must be scheme://host[:port] without a path, such as "https://origin.example"',
  );
}

function parseKeysUrl(text) {
  const url = typeof text === "string" && URL.canParse(text) ? new URL(text) : undefined;
  require(
    url?.protocol === "https:" || (url?.protocol === "http:" && LOOPBACK.includes(url.hostname)),
    "keysUrl must be an https URL (http only on loopback)",
  );
  require(url.username === "" && url.password === "", "keysUrl must have no user name and no password");
  return url.href;
}

function parseHosts(hosts) {
  if (hosts === undefined) return undefined;
  const isHost = (host) => typeof host === "string" && /^[^\s/@?#]+$/.test(host);
  require(
    Array.isArray(hosts) && hosts.length > 0 && hosts.every(isHost),
    'hosts must be an array of host[:port], such as ["app.example"]',
  );
  return new Set(hosts.map((host) => host.toLowerCase()));
}

function parsePrefix(prefix) {
  require(
    typeof prefix === "string" && /^[a-z0-9][a-z0-9-]*-$/.test(prefix),
    'identityPrefix must be in lower case and end with "-", such as "x-auth-"',
  );
  return prefix;
}

/** Logs the first refusal of each reason only: a flood of requests must not become a flood of log lines. */
function firstOfEachReason() {
  const seen = new Set();
  return (reason) => {
    if (seen.has(reason)) return;
    seen.add(reason);
    console.warn(`portcullis: refused a request: ${reason} (logged once for each reason)`);
  };
}

function require(holds, message) {
  if (!holds) throw new TypeError(`edgeProof: ${message}`);
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
