// Headers of a Node request. `req.headers` joins or drops duplicates, so the raw list is read.

/** The values of the header, in order. */
export function values(request, name) {
  const found = [];
  const { rawHeaders } = request;
  for (let place = 0; place + 1 < rawHeaders.length; place += 2) {
    if (rawHeaders[place].toLowerCase() === name) found.push(rawHeaders[place + 1]);
  }
  return found;
}

/** Deletes each header that starts with one of the prefixes, in any spelling, from every view of the request. */
export function deleteHeaders(request, prefixes) {
  const isDeleted = (name) => prefixes.some((prefix) => comparable(name).startsWith(prefix));
  // Node makes these objects from the raw list at the first use, so they are read before it changes.
  for (const view of [request.headers, request.headersDistinct]) {
    for (const name of Object.keys(view ?? {})) {
      if (isDeleted(name)) delete view[name];
    }
  }
  const { rawHeaders } = request;
  for (let place = rawHeaders.length - 2; place >= 0; place -= 2) {
    if (isDeleted(rawHeaders[place])) rawHeaders.splice(place, 2);
  }
}

/** The form in which the edge compares names: a CGI variable is the same for `x-a` and `x_a` (RFC 3875 §4.1.18). */
function comparable(name) {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "-");
}
