"""Collects the AWS SigV4 test suite into sigv4.json.

    python3 collect_sigv4.py FOLDER

FOLDER is `aws-signing-test-suite/v4` of the package `aws-sigv4` 1.6.4 (Apache-2.0), which has it
from github.com/awslabs/aws-c-auth. Each case becomes its request as it is before signing, and the
`Authorization` that the suite expects. The two cases without a `context.json` are of an older
format and not collected.
"""

import calendar
import json
import pathlib
import sys
import time

ADDED = {"authorization", "x-amz-date", "x-amz-security-token"}


def parse(text):
    head, _, body = text.partition("\n\n")
    first, *lines = head.rstrip("\n").split("\n")
    method, _, rest = first.partition(" ")
    target = rest.removesuffix(" HTTP/1.1")
    headers = []
    for line in lines:
        if line.startswith(" "):
            headers[-1][1] += "\n" + line
        else:
            name, _, value = line.partition(":")
            headers.append([name, value])
    return method, target, headers, body


def case(folder):
    context = json.loads((folder / "context.json").read_text())
    method, target, headers, body = parse((folder / "header-signed-request.txt").read_text())
    signed = {name.lower(): value for name, value in headers}
    return {
        "name": folder.name,
        "access_key_id": context["credentials"]["access_key_id"],
        "secret_access_key": context["credentials"]["secret_access_key"],
        "session_token": context["credentials"].get("token"),
        "region": context["region"],
        "service": context["service"],
        "now": calendar.timegm(time.strptime(context["timestamp"], "%Y-%m-%dT%H:%M:%SZ")),
        "method": method,
        "target": target,
        "headers": [pair for pair in headers if pair[0].lower() not in ADDED],
        "body": body,
        "authorization": signed["authorization"],
    }


folders = sorted(path.parent for path in pathlib.Path(sys.argv[1]).glob("*/context.json"))
lines = ",\n".join(json.dumps(case(folder)) for folder in folders)
pathlib.Path(__file__).with_name("sigv4.json").write_text(f"[\n{lines}\n]\n")
