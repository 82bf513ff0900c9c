"""Sends requests that were altered after they were signed, and tells what botocore makes of each answer.

Usage: signatures.py ENDPOINT CA_FILE. Prints an object by case: error code (empty for none), HTTP status, message.
"""

import datetime
import json
import ssl
import sys
import urllib.error
import urllib.request

import boto3
import botocore.auth
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, authority = sys.argv[1:3]
MESH = {"meshName": "altered", "spec": {"egressFilter": {"type": "ALLOW_ALL"}}}


def outcome(alter=None, minutes=0, region=None, host=None):
    """Creates a mesh by a request that `alter` gets after it was signed, `minutes` from now, for `region` and `host`."""
    client = boto3.client(
        "appmesh",
        endpoint_url=endpoint,
        verify=authority,
        region_name=region,
        config=Config(retries={"total_max_attempts": 1}),
    )
    if host:
        client.meta.events.register("before-sign", lambda request, **_: request.headers.add_header("Host", host))
    if alter:
        client.meta.events.register("before-send", lambda request, **_: alter(request))
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    true_clock = botocore.auth.get_current_datetime
    botocore.auth.get_current_datetime = lambda remove_tzinfo=True: now.replace(tzinfo=None) if remove_tzinfo else now
    try:
        answer = client.create_mesh(**MESH, clientToken="altered")
        return {"code": "", "status": answer["ResponseMetadata"]["HTTPStatusCode"], "message": ""}
    except ClientError as error:
        return {
            "code": error.response["Error"]["Code"],
            "status": error.response["ResponseMetadata"]["HTTPStatusCode"],
            "message": error.response["Error"]["Message"],
        }
    finally:
        botocore.auth.get_current_datetime = true_clock


def body(request):
    request.body = request.body.replace(b"ALLOW_ALL", b"DROP_ALL_")


def path(request):
    request.url = request.url.replace("/meshes", "/meshes/other")


def header(request):
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=1)
    request.headers["X-Amz-Date"] = later.strftime("%Y%m%dT%H%M%SZ")


def plain(path):
    """What a GET without any signature is answered."""
    context = ssl.create_default_context(cafile=authority)
    try:
        with urllib.request.urlopen(endpoint + path, context=context) as answer:
            return {"code": "", "status": answer.status, "message": ""}
    except urllib.error.HTTPError as error:
        return {
            "code": error.headers["x-amzn-errortype"],
            "status": error.code,
            "message": json.load(error)["message"],
        }


print(
    json.dumps(
        {
            "nothing": outcome(),
            "body": outcome(body),
            "path": outcome(path),
            "header": outcome(header),
            "past": outcome(minutes=-6),
            "future": outcome(minutes=6),
            "little": outcome(minutes=-4),
            "region": outcome(region="eu-west-1"),
            "host": outcome(host="appmesh.us-west-2.amazonaws.com"),
            "name": outcome(host="localhost:9080"),
            "distribution": plain("/fleetmesh/v1/meshes/altered/distribution"),
            "loads": plain("/fleetmesh/v1/meshes/altered/loads"),
            "health": plain("/readyz"),
        }
    )
)
