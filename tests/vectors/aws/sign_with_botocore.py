"""Signs our own requests with botocore, so that its signatures can be held against ours.

    pip install botocore==1.44.5
    cargo test -p portcullis-aws --test aws signing
    python3 sign_with_botocore.py TARGET/tmp/requests.json

The test leaves the requests that the store and the secrets make in TARGET/tmp/requests.json, TARGET
being cargo's target folder. They are written to botocore.json with botocore's signature, once under
a long-lived key and once under a temporary one. Run it again when a request changes.
"""

import datetime
import json
import pathlib
import sys

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

NOW = 1795435200
KEYS = [
    ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None),
    ("ASIDEXAMPLE", "swordfish/+=", "FwoGZXIvYXdzEXAMPLE//session+token=="),
]


def moment(*_):
    return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc)


def sign(request, key):
    headers = {name: request[name] for name in ("content-type", "x-amz-target")}
    service = request["uri"].split("//")[1].split(".")[0]
    signed = AWSRequest("POST", request["uri"], headers=headers, data=request["body"])
    botocore.auth.SigV4Auth(Credentials(*key), service, "eu-central-1").add_auth(signed)
    return {
        "access_key_id": key[0],
        "secret_access_key": key[1],
        "session_token": key[2],
        "service": service,
        "region": "eu-central-1",
        "now": NOW,
        **request,
        "authorization": signed.headers["Authorization"],
    }


botocore.auth.get_current_datetime = moment
requests = json.loads(pathlib.Path(sys.argv[1]).read_text())
lines = ",\n".join(json.dumps(sign(request, key)) for request in requests for key in KEYS)
pathlib.Path(__file__).with_name("botocore.json").write_text(f"[\n{lines}\n]\n")
