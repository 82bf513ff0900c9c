"""Asks for the distribution and the loads of meshes, signed by hand: no SDK knows them.

Usage: rights.py ENDPOINT CA_FILE MESH… Prints an object by path: HTTP status, name of the error.
"""

import json
import os
import ssl
import sys
import urllib.error
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.credentials

endpoint, authority, *meshes = sys.argv[1:]
key = botocore.credentials.Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
context = ssl.create_default_context(cafile=authority)


def get(path):
    request = botocore.awsrequest.AWSRequest("GET", endpoint + path)
    botocore.auth.SigV4Auth(key, "appmesh", os.environ["AWS_REGION"]).add_auth(request)
    plain = urllib.request.Request(endpoint + path, headers=dict(request.headers))
    try:
        with urllib.request.urlopen(plain, context=context) as answer:
            return [answer.status, ""]
    except urllib.error.HTTPError as error:
        return [error.code, error.headers["x-amzn-errortype"]]


paths = [f"/fleetmesh/v1/meshes/{mesh}/{what}" for mesh in meshes for what in ("distribution", "loads")]
print(json.dumps({path: get(path) for path in paths}))
