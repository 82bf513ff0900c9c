"""Provokes errors of the App Mesh API and tells, for each, what botocore makes of it.

Usage: errors.py ENDPOINT all|rate|fill|damage. Prints an object by case: code, exception class, HTTP status, the status that
the API model gives the shape, whether the operation declares the shape, and the message.
"""

import contextlib
import json
import sqlite3
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, part = sys.argv[1:3]
client = boto3.client("appmesh", endpoint_url=endpoint, config=Config(retries={"total_max_attempts": 1}))


def provoke(operation, **arguments):
    """Calls `operation`, which must fail, and describes the failure."""
    failure = attempt(operation, **arguments)
    if failure is None:
        raise SystemExit(f"{operation} succeeded with {arguments}")
    return failure


def attempt(operation, **arguments):
    """Calls `operation`; None when it succeeds, else what botocore makes of the failure."""
    try:
        getattr(client, operation)(**arguments)
    except ClientError as error:
        model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
        code = error.response["Error"]["Code"]
        shape = client.meta.service_model.shape_for(code)
        return {
            "code": code,
            "class": type(error).__name__,
            "status": error.response["ResponseMetadata"]["HTTPStatusCode"],
            "model_status": shape.metadata["error"]["httpStatusCode"],
            "declared": code in [shape.name for shape in model.error_shapes],
            "message": error.response["Error"]["Message"],
        }
    return None


def route(node, weight):
    """The spec of a route with one target."""
    target = {"virtualNode": node, "weight": weight}
    return {"http2Route": {"match": {"prefix": "/"}, "action": {"weightedTargets": [target]}}}


def gateway_route(service):
    return {"httpRoute": {"match": {"prefix": "/"}, "action": {"target": {"virtualService": {"virtualServiceName": service}}}}}


def every_class():
    """Provokes what a healthy control plane with the quotas of two meshes and one route a router refuses."""
    mesh = {"meshName": "apps"}
    router = {**mesh, "virtualRouterName": "router"}
    listener = {"portMapping": {"port": 80, "protocol": "http2"}}
    node = {"listeners": [listener], "serviceDiscovery": {"dns": {"hostname": "host"}}}
    arn = client.create_mesh(**mesh)["mesh"]["metadata"]["arn"]
    client.create_mesh(meshName="other", clientToken="token")
    client.create_virtual_node(**mesh, virtualNodeName="node", spec=node)
    client.create_virtual_router(**router, spec={"listeners": [listener]})
    bad_weight = provoke("create_route", **router, routeName="route", spec=route("node", 101))
    no_target = provoke("create_route", **router, routeName="route", spec=route("absent", 1))
    client.create_route(**router, routeName="route", spec=route("node", 1))
    client.tag_resource(resourceArn=arn, tags=[{"key": f"k{index}", "value": ""} for index in range(50)])
    gateway = {**mesh, "virtualGatewayName": "gateway"}
    client.create_virtual_service(**mesh, virtualServiceName="service", spec={})
    client.create_virtual_gateway(**gateway, spec={"listeners": [{"portMapping": {"port": 80, "protocol": "http"}}]})
    client.create_gateway_route(**gateway, gatewayRouteName="route", spec=gateway_route("service"))
    return {
        "weight": bad_weight,
        "target": no_target,
        "limit": provoke("list_meshes", limit=101),
        "gateway_target": provoke("create_gateway_route", **gateway, gatewayRouteName="other", spec=gateway_route("absent")),
        "gateway_quota": provoke("create_gateway_route", **gateway, gatewayRouteName="second", spec=gateway_route("service")),
        "gateway_in_use": provoke("delete_virtual_gateway", **gateway),
        "service_in_use": provoke("delete_virtual_service", **mesh, virtualServiceName="service"),
        "exists": provoke("create_mesh", **mesh),
        "token": provoke("create_mesh", meshName="other", spec={"egressFilter": {"type": "ALLOW_ALL"}}, clientToken="token"),
        "owner": provoke("describe_mesh", **mesh, meshOwner="999999999999"),
        "mesh_quota": provoke("create_mesh", meshName="third"),
        "route_quota": provoke("create_route", **router, routeName="second", spec=route("node", 1)),
        "absent": provoke("describe_virtual_node", **mesh, virtualNodeName="absent"),
        "in_use": provoke("delete_virtual_node", **mesh, virtualNodeName="node"),
        "children": provoke("delete_mesh", **mesh),
        "tags": provoke("tag_resource", resourceArn=arn, tags=[{"key": "one-more", "value": ""}]),
    }


def rate():
    """Sends requests until one is too many."""
    for _ in range(1000):
        failure = attempt("list_meshes")
        if failure:
            return {"rate": failure}
    raise SystemExit("a thousand requests were never too many")


def fill():
    """Creates meshes until one is not stored."""
    stored = []
    for index in range(5000):
        name = f"mesh-{index:04}"
        failure = attempt("create_mesh", meshName=name)
        if failure:
            return {"stored": stored, "fill": failure}
        stored.append(name)
    raise SystemExit("the disk was never full")


def damage():
    """Takes a table away under a running control plane, whose database is the third argument."""
    client.create_mesh(meshName="before")
    with contextlib.closing(sqlite3.connect(sys.argv[3])) as database:
        database.execute("ALTER TABLE resource RENAME TO elsewhere")
    first = provoke("create_mesh", meshName="after")
    again = provoke("create_mesh", meshName="after")
    with contextlib.closing(sqlite3.connect(sys.argv[3])) as database:
        database.execute("ALTER TABLE elsewhere RENAME TO resource")
    client.create_mesh(meshName="after")
    meshes = [mesh["meshName"] for mesh in client.list_meshes()["meshes"]]
    return {"first": first, "again": again, "meshes": meshes}


parts = {"all": every_class, "rate": rate, "fill": fill, "damage": damage}
print(json.dumps(parts[part]()))
