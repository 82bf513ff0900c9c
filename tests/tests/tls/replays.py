"""Sends signed writes a second time, as an attacker who saw one does and as an SDK whose answer got lost does.

Usage: replays.py ENDPOINT CA_FILE. Prints an object of what came of each.
"""

import datetime
import json
import ssl
import sys
import time
import urllib.error
import urllib.request

import boto3
import botocore.auth
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError

endpoint, authority = sys.argv[1:3]
context = ssl.create_default_context(cafile=authority)


def client():
    return boto3.client(
        "appmesh",
        endpoint_url=endpoint,
        verify=authority,
        config=Config(retries={"mode": "standard", "total_max_attempts": 3}),
    )


def raw(request):
    """Sends a prepared request as it is; status, name of the error, version that the answer tells, message."""
    headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
    again = urllib.request.Request(request.url, data=request.body, headers=headers, method=request.method)
    try:
        with urllib.request.urlopen(again, context=context) as answer:
            body = json.load(answer)
            return {"status": answer.status, "version": body["metadata"]["version"]}
    except urllib.error.HTTPError as error:
        return {
            "status": error.code,
            "code": error.headers["x-amzn-errortype"],
            "message": json.load(error)["message"],
        }


def filtered(kind):
    return {"meshName": "replayed", "spec": {"egressFilter": {"type": kind}}}


def state():
    mesh = appmesh.describe_mesh(meshName="replayed")["mesh"]
    return [mesh["spec"]["egressFilter"]["type"], mesh["metadata"]["version"]]


seen = []
appmesh = client()
appmesh.meta.events.register("before-send.app-mesh.UpdateMesh", lambda request, **_: seen.append(request) or None)
appmesh.create_mesh(**filtered("DROP_ALL"))
found = {}

# An attacker sends the write of before the last one again.
appmesh.update_mesh(**filtered("ALLOW_ALL"))
appmesh.update_mesh(**filtered("DROP_ALL"))
captured = seen[0]
found["at once"] = raw(captured)
found["state"] = state()
deadline = time.monotonic() + 60
while (later := raw(captured))["status"] == 200 and time.monotonic() < deadline:
    time.sleep(0.2)
found["later"] = later
found["state later"] = state()


def lost(frozen):
    """An SDK whose first try is served and whose answer gets lost: it tries again, within the same second if `frozen`."""
    tries = []

    def drop_the_first(request, **_):
        tries.append(request.headers["Authorization"])
        if len(tries) == 1:
            raw(request)
            raise ConnectionClosedError(endpoint_url=endpoint)

    retrying = client()
    retrying.meta.events.register("before-send.app-mesh.UpdateMesh", drop_the_first)
    now = datetime.datetime.now(datetime.timezone.utc)
    clock = botocore.auth.get_current_datetime
    if frozen:
        botocore.auth.get_current_datetime = lambda remove_tzinfo=True: (
            now.replace(tzinfo=None) if remove_tzinfo else now
        )
    try:
        answer = retrying.update_mesh(**filtered("ALLOW_ALL"))
        return {"tries": len(tries), "signatures": len(set(tries)), "version": answer["mesh"]["metadata"]["version"]}
    finally:
        botocore.auth.get_current_datetime = clock


before = state()[1]
found["lost in a second"] = lost(True)
found["written"] = state()[1] - before
found["lost"] = lost(False)

print(json.dumps(found))
