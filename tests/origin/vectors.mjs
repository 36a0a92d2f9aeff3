// Makes tests/vectors/assertion/*.json: `node tests/origin/vectors.mjs`.

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import * as signer from "./signer.mjs";

const { NOON, ORIGIN, SECRET, NEXT_SECRET, ED25519, P256 } = signer;
const FOLDER = new URL("../vectors/assertion/", import.meta.url);
const JWKS = { keys: [ED25519, P256].map(signer.publicHalf) };
const OTHER_ALGORITHM = { HS256: "EdDSA", EdDSA: "ES256", ES256: "EdDSA" };

/** The cases of one algorithm. */
export function vectors(alg) {
  const key = { HS256: SECRET, EdDSA: ED25519, ES256: P256 }[alg];
  const configured = alg === "HS256" ? { secret: SECRET } : { jwks: JWKS };
  const facts = { now: NOON, origin: ORIGIN, method: "GET", target: "/orders?page=2" };
  const vector = (name, assertion, accepted, changes = {}) => ({ name, ...configured, ...facts, ...changes, assertion, accepted });
  const claimed = (name, changes, accepted = false) => vector(name, signer.assertion(key, signer.claims(changes)), accepted);
  const headed = (name, changes) => vector(name, signer.assertion(key, signer.claims(), signer.header(key, changes)), false);
  const valid = signer.assertion(key);
  const [head, payload, signature] = valid.split(".");
  const anonymous = { sub: undefined, token_iss: undefined, scope: undefined, sid: undefined, roles: undefined };
  const post = signer.assertion(key, signer.claims({ htm: "POST", htp: "/" }));
  const written = (name, change, accepted = false) =>
    vector(name, signer.assertion(key, change(JSON.stringify(signer.claims()))), accepted);
  const fragment = (name, htp, target, accepted = false) =>
    vector(name, signer.assertion(key, signer.claims({ htp })), accepted, { target });
  const twice = (name, value = signer.header(key)[name]) =>
    JSON.stringify(signer.header(key)).replace("{", `{"${name}":${JSON.stringify(value)},`);
  const plainInput = `${signer.encode(signer.header(key, { b64: false }))}.${JSON.stringify(signer.claims())}`;
  const unencoded = `${signer.encode(signer.header(key, { b64: false }))}.${payload}.${signer.signature(key, plainInput)}`;
  const escaped = signer.assertion(key, signer.claims({ htp: "/a%2Fb/%C3%A9/?x=%20&&y" }));

  const cases = [
    vector("a valid assertion with an identity", valid, true, { roles: ["editor", "chief, editor"] }),
    vector("a role beyond ASCII and an empty one", signer.assertion(key, signer.claims({ roles: ["chef d'\u00e9quipe", "", "100%"] })), true, {
      roles: ["chef d'\u00e9quipe", "100%"],
    }),
    vector("empty roles of a subject", signer.assertion(key, signer.claims({ roles: [] })), true, { roles: [] }),
    vector("no roles of a subject", signer.assertion(key, signer.claims({ roles: undefined })), true, { roles: [] }),
    claimed("roles without a subject", { ...anonymous, roles: ["editor"] }),
    claimed("empty roles without a subject", { ...anonymous, roles: [] }),
    claimed("roles as a text", { roles: "editor" }),
    claimed("roles as null", { roles: null }),
    claimed("roles as an object", { roles: { 0: "editor" } }),
    claimed("a role that is a number", { roles: ["editor", 1] }),
    claimed("a role that is null", { roles: ["editor", null] }),
    claimed("a valid assertion without an identity", anonymous, true),
    claimed("a valid assertion without scope and session", { scope: undefined, sid: undefined }, true),
    vector("another method and the root", post, true, { method: "POST", target: "/" }),
    vector("an escaped target, byte for byte", escaped, true, { target: "/a%2Fb/%C3%A9/?x=%20&&y" }),

    vector("the first second of the leeway before iat", valid, true, { now: NOON - 5 }),
    vector("one second before the leeway of iat", valid, false, { now: NOON - 6 }),
    vector("the last second of the leeway after exp", valid, true, { now: NOON + 64 }),
    vector("the end of the leeway after exp", valid, false, { now: NOON + 65 }),
    claimed("a lifetime of 61 seconds", { exp: NOON + 61 }),
    claimed("iat as text", { iat: String(NOON) }),
    claimed("exp as text", { exp: String(NOON + 60) }),
    claimed("exp with a fraction", { exp: NOON + 30.5 }),
    claimed("a lifetime of one second", { exp: NOON + 1 }, true),
    claimed("exp equal to iat", { exp: NOON }),
    claimed("exp before iat, inside the leeway", { exp: NOON - 1 }),
    claimed("exp before iat by more than the leeway", { iat: NOON + 5, exp: NOON - 4 }),
    written("exp written with a zero fraction", (text) => text.replace(`"exp":${NOON + 60}`, `"exp":${NOON + 60}.0`)),
    written("exp written with an exponent", (text) => text.replace(`"exp":${NOON + 60}`, `"exp":${NOON + 60}e0`)),
    written("a negative iat", (text) => text.replace(`"iat":${NOON}`, `"iat":-${NOON}`)),
    written("an exp of 2^64 - 1", (text) => text.replace(`"exp":${NOON + 60}`, '"exp":18446744073709551615')),
    written("an exp of 2^64", (text) => text.replace(`"exp":${NOON + 60}`, '"exp":18446744073709551616')),

    vector("another method of the request", valid, false, { method: "DELETE" }),
    vector("the method in another case", valid, false, { method: "get" }),
    vector("another path", valid, false, { target: "/admin?page=2" }),
    vector("another query", valid, false, { target: "/orders?page=3" }),
    vector("a target without the query", valid, false, { target: "/orders" }),
    vector("a target with an empty further parameter", valid, false, { target: "/orders?page=2&" }),
    vector("an escaped letter in the target", valid, false, { target: "/%6Frders?page=2" }),
    vector("a doubled slash in the target", valid, false, { target: "//orders?page=2" }),
    vector("the target in another case", valid, false, { target: "/Orders?page=2" }),
    vector("the target in absolute form", valid, false, { target: `${ORIGIN}/orders?page=2` }),

    fragment("a fragment in the claims and in the target", "/orders?page=2#top", "/orders?page=2#top"),
    fragment("an empty fragment in the claims and in the target", "/orders#", "/orders#"),
    fragment("a fragment in the claims only", "/orders?page=2#top", "/orders?page=2"),
    fragment("an escaped number sign", "/orders%23top", "/orders%23top", true),

    claimed("a subject without an issuer", { token_iss: undefined }),
    claimed("an issuer without a subject", { sub: undefined }),
    claimed("an issuer alone", { ...anonymous, token_iss: "https://issuer.example" }),
    claimed("a subject alone", { ...anonymous, sub: "ada" }),
    claimed("scopes without a subject", { ...anonymous, scope: "orders:read" }),
    claimed("empty scopes without a subject", { ...anonymous, scope: "" }),
    claimed("a session without a subject", { ...anonymous, sid: "session-1" }),
    claimed("empty scopes of a subject", { scope: "" }, true),
    claimed("an empty subject", { sub: "" }),
    claimed("an empty issuer", { token_iss: "" }),
    claimed("an empty subject without an issuer", { sub: "", token_iss: undefined }),
    claimed("an empty request id", { jti: "" }),
    claimed("an empty host", { host: "" }),
    claimed("an empty method", { htm: "" }),
    claimed("an empty target", { htp: "" }),
    ...["sub", "token_iss", "scope", "sid", "jti", "host"].map((name) => claimed(`${name} as null`, { [name]: null })),
    ...["sub", "token_iss", "scope", "sid", "jti", "host"].map((name) => claimed(`${name} as an array`, { [name]: ["ada"] })),

    ...["sub", "aud", "htp", "exp", "unknown"].map((name) =>
      written(`a duplicate ${name}`, (text) => text.replace("{", `{"${name}":${JSON.stringify(signer.claims()[name] ?? 1)},`)
        .replace(/}$/, `,"${name}":${JSON.stringify(signer.claims()[name] ?? 1)}}`)),
    ),
    written("another subject before the subject", (text) => text.replace("{", '{"sub":"root",')),
    written("another subject after the subject", (text) => text.replace(/}$/, ',"sub":"root"}')),
    written("a duplicate sub with an escaped letter", (text) => text.replace(/}$/, ',"s\\u0075b":"root"}')),
    written("a duplicate member of an inner object", (text) => text.replace(/}$/, ',"x":{"a":1,"a":2}}')),
    written("equal members of two inner objects", (text) => text.replace(/}$/, ',"x":{"a":1},"y":[{"a":1}]}'), true),
    written("a member __proto__", (text) => text.replace(/}$/, ',"__proto__":{"sub":"root"}}'), true),
    written("members __proto__ twice", (text) => text.replace(/}$/, ',"__proto__":1,"__proto__":2}')),
    written("an unknown claim", (text) => text.replace(/}$/, ',"x":[true,false,null,-1.5e3,"\\ud83d\\ude00"]}'), true),
    written("64 levels", (text) => text.replace(/}$/, `,"x":${"[".repeat(63)}${"]".repeat(63)}}`), true),
    written("65 levels", (text) => text.replace(/}$/, `,"x":${"[".repeat(64)}${"]".repeat(64)}}`)),
    written("a number of 41 characters", (text) => text.replace(/}$/, `,"x":${"1".repeat(41)}}`)),
    written("an exponent of 301", (text) => text.replace(/}$/, ',"x":1e301}')),
    written("a lone surrogate", (text) => text.replace(/}$/, ',"x":"\\ud83d"}')),
    written("a control character in a string", (text) => text.replace(/}$/, ',"x":"\u0001"}')),
    written("a comma at the end", (text) => text.replace(/}$/, ",}")),
    written("a second value", (text) => `${text}{}`),
    written("white space around the claims", (text) => ` \t\r\n${text} `, true),
    written("another blank before the claims", (text) => `\u00a0${text}`),
    written("a byte order mark", (text) => `\ufeff${text}`),

    vector("another origin of the app", valid, false, { origin: "https://other.example" }),
    vector("another port of the origin", valid, false, { origin: `${ORIGIN}:8443` }),
    claimed("aud with a slash at the end", { aud: `${ORIGIN}/` }),
    claimed("aud as an array", { aud: [ORIGIN] }),

    headed("another typ", { typ: "at+jwt" }),
    headed("typ in another case", { typ: "Portcullis-Assertion+JWT" }),
    headed("typ with a media type prefix", { typ: "application/portcullis-assertion+jwt" }),
    headed("no typ", { typ: undefined }),
    headed("no alg", { alg: undefined }),
    headed("the alg of another kind of key", { alg: OTHER_ALGORITHM[alg] }),
    headed("a critical extension", { crit: ["exp"] }),
    headed("no critical extension", { crit: [] }),
    headed("b64 false, RFC 7797", { b64: false }),
    headed("b64 true", { b64: true }),
    headed("b64 false as a critical extension", { b64: false, crit: ["b64"] }),
    vector("b64 false with an unencoded payload", unencoded, false),
    ...["cty", "jku", "jwk", "x5u", "zip"].map((name) => headed(`a header with ${name}`, { [name]: null })),
    headed("alg Ed25519", { alg: "Ed25519" }),
    headed("kid as a number", { kid: 1 }),
    headed("an empty kid", { kid: "" }),
    headed("a kid of 257 bytes", { kid: "k".repeat(257) }),
    vector("a duplicate typ", signer.assertion(key, signer.claims(), twice("typ")), false),
    vector("a duplicate alg", signer.assertion(key, signer.claims(), twice("alg")), false),
    vector("another alg before the alg", signer.assertion(key, signer.claims(), twice("alg", "none")), false),
    vector("a header that is an array", signer.assertion(key, signer.claims(), []), false),
    vector("alg none without a signature", `${signer.encode(signer.header(key, { alg: "none" }))}.${payload}.`, false),
    vector("alg none with the signature", `${signer.encode(signer.header(key, { alg: "none" }))}.${payload}.${signature}`, false),

    vector("no signature", `${head}.${payload}.`, false),
    vector("no signature part", `${head}.${payload}`, false),
    vector("a fourth part", `${valid}.${signature}`, false),
    vector("a signature with padding", `${valid}=`, false),
    vector("a blank at the end", `${valid} `, false),
    vector("a truncated signature", valid.slice(0, -4), false),
    vector("the signature of another payload", `${head}.${signer.encode(signer.claims({ sub: "eve" }))}.${signature}`, false),
    vector("the standard base64 alphabet", `${head}.${payload}.${signature.replace(/-/g, "+").replace(/_/g, "/")}+`, false),
    vector("claims that are an array", signer.assertion(key, []), false),
    vector("claims that are no JSON", signer.assertion(key, "not json"), false),
    vector("an empty assertion", "", false),
  ];
  for (const name of ["aud", "iat", "exp", "jti", "htm", "htp", "host"]) cases.push(claimed(`no ${name}`, { [name]: undefined }));
  if (alg === "HS256") {
    cases.push(vector("another secret", signer.assertion(NEXT_SECRET), false));
  } else {
    const forged = (secret) => signer.assertion(secret, signer.claims(), signer.header(key, { alg: "HS256" }));
    cases.push(vector("algorithm confusion: HS256 with the coordinate x as text", forged(key.x), false));
    cases.push(vector("algorithm confusion: HS256 with the key set as text", forged(JSON.stringify(JWKS)), false));
    cases.push(headed("no kid", { kid: undefined }));
    cases.push(headed("an unknown kid", { kid: "unknown" }));
    cases.push(headed("the kid of the other key", { kid: alg === "EdDSA" ? "ec-1" : "ed-1" }));
  }
  return cases;
}

/** The headers of a request in secret mode, and whether a middleware with `SECRET` accepts them. */
export function secretVectors() {
  const proof = ["x-portcullis-edge-secret", SECRET];
  const [subject, issuer] = [["x-auth-subject", "ada"], ["x-auth-issuer", "https://issuer.example"]];
  const roles = ["x-auth-roles", "editor,chief%2C%20editor"];
  const [scope, session] = [["x-auth-scope", "orders:read"], ["x-auth-session", "session-1"]];
  const host = ["x-forwarded-host", "app.example"];
  const id = ["x-request-id", "AQEBAQEBAQEBAQEBAQEBAQ"];
  const all = [proof, subject, issuer, scope, roles, session, host, id];
  const without = (...left) => all.filter((header) => !left.includes(header));
  const replaced = (header, value) => all.map((own) => (own === header ? [header[0], value] : own));
  const vector = (name, headers, accepted = false, changes = {}) => ({ name, secret: SECRET, headers, accepted, ...changes });
  const held = (value, decoded) =>
    vector(`the roles ${value}`, replaced(roles, value), decoded !== undefined, decoded && { roles: decoded });
  return [
    vector("a whole identity", all, true, { roles: ["editor", "chief, editor"] }),
    vector("no roles", without(roles), true, { roles: [] }),
    held("", []),
    held(",editor,", ["editor"]),
    held("100%25,a%2cb", ["100%", "a,b"]),
    held("chef%20d'%C3%A9quipe", ["chef d'\u00e9quipe"]),
    ...["%", "editor,%2", "%2x", "%C3", "%C0%80", "%ED%A0%80", "%FF"].map((value) => held(value)),
    vector("roles without a subject", [proof, roles]),
    vector("empty roles without a subject", [proof, ["x-auth-roles", ""]], true),
    vector("no identity", [proof, host, id], true),
    vector("the secret alone", [proof], true),
    vector("a subject and an issuer", [proof, subject, issuer], true),
    vector("no secret", without(proof)),
    vector("another secret", replaced(proof, NEXT_SECRET)),
    vector("an empty secret", replaced(proof, "")),
    vector("the secret twice", [...all, proof]),
    vector("a subject without an issuer", without(issuer)),
    vector("an issuer without a subject", without(subject)),
    vector("scopes and a session without a subject", [proof, scope, session]),
    vector("scopes without a subject", [proof, scope]),
    vector("a session without a subject", [proof, session]),
    vector("empty scopes without a subject", [proof, ["x-auth-scope", ""]], true),
    vector("an empty session without a subject", [proof, ["x-auth-session", ""]]),
    vector("an empty subject", replaced(subject, "")),
    vector("an empty issuer", replaced(issuer, "")),
    vector("an empty subject and an empty issuer", [proof, ["x-auth-subject", ""], ["x-auth-issuer", ""]]),
    ...all.map((header) => vector(`${header[0]} twice`, [...all, header])),
    ...all.slice(1).map((header) => vector(`${header[0]} beyond ASCII`, replaced(header, "ad\u00e9"))),
    ...all.slice(1).map((header) => vector(`${header[0]} with a blank`, replaced(header, "a b"), true)),
  ];
}

export const SECRET_FILE = "secret_header.json";
export const FILES = { HS256: "hs256.json", EdDSA: "eddsa.json", ES256: "es256.json" };

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [alg, name] of Object.entries(FILES)) {
    writeFileSync(new URL(name, FOLDER), `${JSON.stringify(vectors(alg), null, 2)}\n`);
  }
  writeFileSync(new URL(SECRET_FILE, FOLDER), `${JSON.stringify(secretVectors(), null, 2)}\n`);
}
