"""What the walks over botocore's model of App Mesh share: its shapes, and a client that leaves every check to the server."""

import http.client
import json
import sys
import urllib.parse

import botocore.session

service = botocore.session.get_session().get_service_model("appmesh")
# Plain HTTP: botocore would refuse, or not even be able to write, much of what is sent here.
connection = http.client.HTTPConnection(urllib.parse.urlsplit(sys.argv[1]).netloc)
# Unions by documentation, though the model does not mark them.
UNIONS = {"HttpPathMatch", "GatewayRouteHostnameMatch"}
# What the model leaves a bare string and the documentation enumerates.
EVENTS = {
    "HttpRetryPolicyEvent": ["server-error", "gateway-error", "client-error", "stream-error"],
    "TcpRetryPolicyEvent": ["connection-error"],
}


class Refused(Exception):
    """The error's type and message."""


def is_union(shape):
    return getattr(shape, "is_tagged_union", False) or shape.name in UNIONS


def fit(name, value):
    """Makes the members of a structure fit each other, where the service's documentation leaves no choice."""
    if name in ("Listener", "VirtualGatewayListener") and "healthCheck" in value:
        mapping = value["portMapping"]
        mapping["port"] = value["healthCheck"].setdefault("port", mapping["port"])
    if name in ("HealthCheckPolicy", "VirtualGatewayHealthCheckPolicy") and value["protocol"] in ("http", "http2"):
        value["path"] = "/ping"
    if name == "VirtualNodeSpec" and "listeners" in value:
        value.setdefault("serviceDiscovery", {"dns": {"hostname": "target"}})
    if name in ("FileAccessLog", "VirtualGatewayFileAccessLog"):
        # A directory is no file.
        value["path"] = "/a" + value["path"][2:]
    if name == "GrpcRouteMatch" and "methodName" in value:
        value["serviceName"] = "package.Service"
    if name == "MatchRange":
        value.update(start=-5, end=5)
    return value


def send(operation, input):
    """Sends `input` to `operation` as botocore would write it, and returns the answer's JSON."""
    model = service.operation_model(operation)
    query, body, labels = {}, {}, {}
    for name, value in input.items():
        place = model.input_shape.members[name].serialization if name in model.input_shape.members else {}
        held = {"uri": labels, "querystring": query}.get(place.get("location"), body)
        held[place.get("name", name) if held is not labels else name] = value
    uri = model.http["requestUri"]
    for name, value in labels.items():
        uri = uri.replace("{" + name + "}", urllib.parse.quote(value, safe=""))
    if query:
        uri += "?" + urllib.parse.urlencode(query)
    text = json.dumps(body) if model.http["method"] == "PUT" else None
    connection.request(model.http["method"], uri, text, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = json.loads(answer.read())
    if answer.status != 200:
        raise Refused(answer.headers["x-amzn-ErrorType"], content["message"])
    return content


class Kind:
    """How specs of a kind are created."""

    def __init__(self, operation, name, **parent):
        self.operation, self.name, self.parent = operation, name, parent
        self.shape = service.operation_model(operation).input_shape.members["spec"]
        self.count = 0

    def create(self, spec, name=None):
        """Creates an object and returns the spec that came back."""
        self.count += 1
        return send(self.operation, {**self.parent, self.name: name or f"made-{self.count}", "spec": spec})["spec"]


MESH, ROUTER, GATEWAY = "model", "router", "gateway"
meshes = Kind("CreateMesh", "meshName")
nodes = Kind("CreateVirtualNode", "virtualNodeName", meshName=MESH)
routers = Kind("CreateVirtualRouter", "virtualRouterName", meshName=MESH)
routes = Kind("CreateRoute", "routeName", meshName=MESH, virtualRouterName=ROUTER)
services = Kind("CreateVirtualService", "virtualServiceName", meshName=MESH)
gateways = Kind("CreateVirtualGateway", "virtualGatewayName", meshName=MESH)
gateway_routes = Kind("CreateGatewayRoute", "gatewayRouteName", meshName=MESH, virtualGatewayName=GATEWAY)
kinds = [meshes, nodes, routers, routes, services, gateways, gateway_routes]


def create_referents(names):
    """Creates what specs refer to: nodes and routers of `names`, a node and a service `target`, a router and a gateway."""
    meshes.create({}, MESH)
    listener = {"portMapping": {"port": 80, "protocol": "http"}}
    nodes.create({"listeners": [listener], "serviceDiscovery": {"dns": {"hostname": "target"}}}, "target")
    for name in names:
        nodes.create({}, name)
        routers.create({}, name)
    # Without listeners it takes a route of any protocol and port.
    routers.create({}, ROUTER)
    services.create({}, "target")
    gateways.create({"listeners": []}, GATEWAY)
