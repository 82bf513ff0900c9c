"""Makes seven objects of every kind and lists them with boto3's paginators, three a page.

Usage: paginators.py ENDPOINT. Prints, for every paginator, what was made, what was found and on how many pages.
"""

import json
import sys

import boto3

COUNT = 7
PAGE_SIZE = 3

client = boto3.client("appmesh", endpoint_url=sys.argv[1])
names = [f"name-{index}" for index in range(COUNT)]
mesh = names[0]
# A virtual service's name is a host name; in a path it must be percent-encoded and decoded.
services = [f"{name}.apps.local:80" for name in names]
tags = [{"key": name, "value": "value"} for name in names]

for name in names:
    client.create_mesh(meshName=name)
arn = client.describe_mesh(meshName=mesh)["mesh"]["metadata"]["arn"]
client.tag_resource(resourceArn=arn, tags=tags)
node = {
    "listeners": [{"portMapping": {"port": 80, "protocol": "http"}}],
    "serviceDiscovery": {"dns": {"hostname": "host"}},
}
route = {
    "httpRoute": {
        "match": {"prefix": "/"},
        "action": {"weightedTargets": [{"virtualNode": mesh, "weight": 1}]},
    }
}
for name in names:
    client.create_virtual_node(meshName=mesh, virtualNodeName=name, spec=node)
    client.create_virtual_router(meshName=mesh, virtualRouterName=name, spec={})
for name in names:
    client.create_route(meshName=mesh, virtualRouterName=mesh, routeName=name, spec=route)
for name in services:
    client.create_virtual_service(meshName=mesh, virtualServiceName=name, spec={})
gateway = {"listeners": [{"portMapping": {"port": 80, "protocol": "http"}}]}
target = {"virtualService": {"virtualServiceName": services[0]}}
gateway_route = {"httpRoute": {"match": {"prefix": "/"}, "action": {"target": target}}}
for name in names:
    client.create_virtual_gateway(meshName=mesh, virtualGatewayName=name, spec=gateway)
for name in names:
    client.create_gateway_route(meshName=mesh, virtualGatewayName=mesh, gatewayRouteName=name, spec=gateway_route)


def walk(operation, member, name, made, **arguments):
    """Lists with the paginator of `operation`; `name` is the member of an entry that is compared with `made`."""
    pages = client.get_paginator(operation).paginate(PaginationConfig={"PageSize": PAGE_SIZE}, **arguments)
    found = [[entry[name] for entry in page[member]] for page in pages]
    return {"made": made, "found": sum(found, []), "pages": len(found)}


print(
    json.dumps(
        {
            "list_meshes": walk("list_meshes", "meshes", "meshName", names),
            "list_virtual_nodes": walk(
                "list_virtual_nodes", "virtualNodes", "virtualNodeName", names, meshName=mesh
            ),
            "list_virtual_routers": walk(
                "list_virtual_routers", "virtualRouters", "virtualRouterName", names, meshName=mesh
            ),
            "list_routes": walk(
                "list_routes", "routes", "routeName", names, meshName=mesh, virtualRouterName=mesh
            ),
            "list_virtual_services": walk(
                "list_virtual_services", "virtualServices", "virtualServiceName", services, meshName=mesh
            ),
            "list_virtual_gateways": walk(
                "list_virtual_gateways", "virtualGateways", "virtualGatewayName", names, meshName=mesh
            ),
            "list_gateway_routes": walk(
                "list_gateway_routes",
                "gatewayRoutes",
                "gatewayRouteName",
                names,
                meshName=mesh,
                virtualGatewayName=mesh,
            ),
            "list_tags_for_resource": walk("list_tags_for_resource", "tags", "key", names, resourceArn=arn),
        }
    )
)
