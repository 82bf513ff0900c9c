"""Joins by hand: signs GetCallerIdentity with botocore, alters something, and tells what the control plane answers.

Usage: joins.py API CA_FILE STS RESOURCE. Prints an object by case: HTTP status and message.
"""

import base64
import hashlib
import json
import os
import ssl
import sys
import urllib.error
import urllib.request

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

api, authority, sts, resource = sys.argv[1:5]
context = ssl.create_default_context(cafile=authority)
BODY = "Action=GetCallerIdentity&Version=2011-06-15"
# Any point will do: whoever has no key for it can do nothing with the certificate. This is P-256's generator.
POINT = (
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
KEY = base64.b64encode(bytes.fromhex(POINT)).decode()


def post(path, body):
    request = urllib.request.Request(
        f"{api}/fleetmesh/v1/{path}", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, context=context) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def signed(challenge, url=sts + "/", body=BODY, service="sts", bind=True, extra=None, bound_to=None, region=None):
    """The members of a request to join that is signed for these."""
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    if bind:
        digest = hashlib.sha256(f"{resource}\n{KEY}".encode()).hexdigest()
        headers["X-Fleetmesh-Challenge"] = f"{bound_to or challenge['challenge']}.{digest}"
    headers.update(extra or {})
    request = AWSRequest("POST", url, headers, body)
    credentials = Credentials(*(os.environ[name] for name in NAMES))
    SigV4Auth(credentials, service, region or challenge["stsRegion"]).add_auth(request)
    return {
        "resource": resource,
        "publicKey": KEY,
        "challenge": challenge["challenge"],
        "authorization": request.headers["Authorization"],
        "amzDate": request.headers["X-Amz-Date"],
        "securityToken": request.headers["X-Amz-Security-Token"],
    }


NAMES = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
outcomes = {}


def attempt(case, change=None, unbound=False, **arguments):
    asked = {} if unbound else {"resource": resource, "publicKey": KEY}
    challenge = post("join/challenge", asked)[1]
    body = signed(challenge, **arguments)
    body = {**body, **(change(body) if callable(change) else change or {})}
    status, answer = post("join", body)
    outcomes[case] = {"status": status, "message": answer.get("message", "")}
    return body


good = attempt("good")
status, answer = post("join", good)
outcomes["replayed"] = {"status": status, "message": answer.get("message", "")}
attempt("challenge of a former version", unbound=True)
attempt("unknown challenge", {"challenge": "unknown"})
attempt("other challenge signed", bound_to="other")
attempt("other host signed", url="http://sts.example/")
attempt("other body signed", body="Action=GetSessionToken&Version=2011-06-15")
attempt("other path signed", url=sts + "/other")
# The generator's negative, and bytes that are no point of the curve.
OTHER = POINT[:66] + "b01cbd1c01e58065711814b583f061e9d431cca994cea1313449bf97c840ae0a"
for case, change in [
    ("other key", {"publicKey": base64.b64encode(bytes.fromhex(OTHER)).decode()}),
    ("other resource", {"resource": "mesh/apps/virtualNode/red2"}),
]:
    attempt(case, change)
    attempt(case + ", unbound", change, unbound=True)
BAD = base64.b64encode(b"\x04" + 64 * b"\x01").decode()
attempt("no key", {"publicKey": BAD}, unbound=True)
attempt("challenge not signed", bind=False)
attempt("header added", extra={"X-Other": "value"})
attempt("host given", {"host": "sts.example"})
attempt("body given", {"body": "Action=GetSessionToken"})
attempt("for another service", service="iam")
attempt("other region signed", region="eu-west-1")
attempt("unparsed rest", lambda body: {"authorization": body["authorization"] + ", X=y"})
attempt("long header name", lambda body: {"authorization": body["authorization"].replace("host;", "host;" + "h" * 10000 + ";")})
print(json.dumps(outcomes))
