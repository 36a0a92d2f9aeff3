// Strict JSON, as in crates/core/src/json.rs. RFC 8259 §4 leaves duplicate members open, and JSON.parse takes the last
// one: two readers of one assertion could find two identities.

const MAX_DEPTH = 64;
const MAX_NUMBER_LENGTH = 40;
const MAX_EXPONENT = 300;

const BLANK = /[ \t\n\r]*/y;
const STRING = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?([0-9]+))?/y;
const WORD = /true|false|null/y;

/**
 * The value of the bytes, each object without a prototype. A number that is not written as a whole one from 0 to
 * 2^53 - 1 is `NaN`: a fraction or an exponent has no meaning in an assertion. Throws for every other text.
 */
export function parseJson(bytes) {
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  let at = 0;

  const fail = () => {
    throw new SyntaxError("no strict JSON");
  };
  const match = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text) ?? fail();
    at = pattern.lastIndex;
    return found;
  };
  const eat = (letter) => {
    const isNext = text[at] === letter;
    if (isNext) at += 1;
    return isNext;
  };
  const string = () => {
    const value = JSON.parse(match(STRING)[0]);
    // A lone surrogate is no text (RFC 8259 §8.2).
    return /\p{Surrogate}/u.test(value) ? fail() : value;
  };
  const number = () => {
    const [written, exponent] = match(NUMBER);
    if (written.length > MAX_NUMBER_LENGTH || Number(exponent ?? 0) > MAX_EXPONENT) fail();
    const value = /^[0-9]+$/.test(written) ? Number(written) : NaN;
    return Number.isSafeInteger(value) ? value : NaN;
  };
  const list = (end, element) => {
    match(BLANK);
    if (eat(end)) return;
    do {
      element();
      match(BLANK);
    } while (eat(","));
    if (!eat(end)) fail();
  };
  const value = (depth) => {
    match(BLANK);
    if (depth === 0 && "{[".includes(text[at] ?? " ")) fail();
    if (eat("{")) {
      const members = Object.create(null);
      list("}", () => {
        match(BLANK);
        const name = string();
        match(BLANK);
        if (Object.hasOwn(members, name) || !eat(":")) fail();
        members[name] = value(depth - 1);
      });
      return members;
    }
    if (eat("[")) {
      const elements = [];
      list("]", () => elements.push(value(depth - 1)));
      return elements;
    }
    if (text[at] === '"') return string();
    return /[a-z]/.test(text[at] ?? "") ? JSON.parse(match(WORD)[0]) : number();
  };

  const parsed = value(MAX_DEPTH);
  match(BLANK);
  return at === text.length ? parsed : fail();
}
