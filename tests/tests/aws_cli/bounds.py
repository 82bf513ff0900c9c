"""Puts each bound of botocore's model of App Mesh to the control plane from inside.

Usage: bounds.py ENDPOINT. For each member of each spec it sends the smallest spec that has the member at its minimum and
at its maximum, with each value of its enum and each member of its union, and demands that the same spec comes back.
Then it walks what else the 38 operations take: names, owners, limits, tags. Prints what was counted, and what was wrong.
"""

import json

from shapes import EVENTS, MESH, Refused, create_referents, fit, is_union, kinds, nodes, send, service, services

LONGEST_HOST = ".".join(["a" * 63, "a" * 63, "a" * 63, "a" * 61])
NAMES = ["a", "aa", "a" * 255] + [f"node-{index}" for index in range(10)]
# Strings that the service's documentation describes further than the model: what they begin with.
BEGINNINGS = {"FilePath": "/", "HttpPathExact": "/", "HttpPathRegex": "/", "HttpGatewayRoutePrefix": "/", "SuffixHostname": "."}


def text(shape, length):
    """A string of `length` characters that fits a shape."""
    if shape.name == "ExactHostName":
        return LONGEST_HOST if length == 253 else "a" * length
    if shape.name == "SuffixHostname" and length == 253:
        return "." + LONGEST_HOST[1:].replace("a" * 62, "a" * 62, 1)
    beginning = BEGINNINGS.get(shape.name, "")
    return (beginning + "a" * length)[:length] if length > 1 or not beginning else beginning or "a"


def strings(shape):
    bounds = shape.metadata
    if shape.name in EVENTS or getattr(shape, "enum", None):
        yield from (("value " + value, value) for value in EVENTS.get(shape.name) or shape.enum)
        return
    yield "sample", text(shape, max(2, bounds.get("min", 1)))
    for bound in ("min", "max"):
        if bounds.get(bound):
            yield bound, text(shape, bounds[bound])


def numbers(shape):
    bounds = shape.metadata
    yield "sample", bounds.get("min", 1)
    yield from ((bound, bounds[bound]) for bound in ("min", "max") if bound in bounds)


def small(shape):
    """The smallest value of `shape`: its required members and nothing else."""
    if shape.type_name == "structure":
        names = list(shape.members)[:1] if is_union(shape) else shape.required_members
        return lead(shape.name, {name: small(shape.members[name]) for name in names})
    if shape.type_name == "list":
        return [small(shape.member)]
    if shape.type_name in ("integer", "long"):
        return next(numbers(shape))[1]
    return True if shape.type_name == "boolean" else next(strings(shape))[1]


def several(shape, count):
    """`count` different items of a list's shape."""
    if shape.name in EVENTS or getattr(shape, "enum", None):
        values = EVENTS.get(shape.name) or shape.enum
        return [values[index % len(values)] for index in range(count)]
    items = [small(shape) for _ in range(count)]
    for index, item in enumerate(items):
        for name in ("name", "virtualNode"):
            if isinstance(item, dict) and name in item:
                item[name] = f"node-{index}"
    return items


def inside(shape, seen):
    """(what it shows, value) for each value at a bound of `shape` or below it; what `seen` has occurs no second time."""
    if shape.type_name == "structure":
        yield "small", small(shape)
        for name, member in shape.members.items():
            if (shape.name, name) in seen:
                continue
            seen.add((shape.name, name))
            for what, value in inside(member, seen):
                value = {name: value} if is_union(shape) else {**small(shape), name: value}
                yield f"{shape.name}.{name}: {what}", lead(shape.name, value)
    elif shape.type_name == "list":
        for bound in ("min", "max"):
            if bound in shape.metadata:
                yield f"{bound} items", several(shape.member, shape.metadata[bound])
        yield from ((what, [value]) for what, value in inside(shape.member, seen))
    elif shape.type_name in ("integer", "long"):
        yield from numbers(shape)
    elif shape.type_name == "boolean":
        yield from (("true", True), ("false", False))
    else:
        yield from strings(shape)


def lead(name, value):
    """Makes the members of a structure fit each other: what the service's documentation leaves a choice of follows the member
    that a value was put into last."""
    if name in ("Listener", "VirtualGatewayListener"):
        mapping = value["portMapping"]
        for member in ("connectionPool", "timeout"):
            if member in value:
                mapping["protocol"] = next(iter(value[member]))
    if name in ("HttpRouteMatch", "HttpGatewayRouteMatch"):
        value["prefix"] = "/"
        if "path" in value:
            del value["prefix"]
    if name == "HttpGatewayRoute":
        rewrite = value["action"].get("rewrite", {})
        if "path" in rewrite:
            value["match"] = {"path": {"exact": "/a"}}
    if name in ("RouteSpec", "GatewayRouteSpec"):
        protocols = [member for member in value if member.endswith("Route")]
        for other in protocols[:-1]:
            del value[other]
        if not protocols:
            value["httpRoute"] = small(service.shape_for(name).members["httpRoute"])
    if name in ("HttpRouteAction", "GrpcRouteAction", "TcpRouteAction"):
        targets = value["weightedTargets"]
        if not any(target["weight"] for target in targets):
            targets[0]["weight"] = 1 if len(targets) > 1 else 0
            if len(targets) == 1:
                targets.append({"virtualNode": "node-9", "weight": 1})
    if name == "WeightedTarget" and "port" in value:
        value["virtualNode"] = "ports"
    if name == "GatewayRouteVirtualService" and len(value["virtualServiceName"]) > 253:
        value["virtualServiceName"] = LONGEST_HOST
    return fit(name, value)


def walk_specs(wrong):
    taken = 0
    for kind in kinds:
        for what, spec in inside(kind.shape, set()):
            try:
                back = kind.create(spec)
            except Refused as error:
                wrong.append(f"{kind.operation}, {what}: {json.dumps(spec)[:300]}: {error}")
                continue
            taken += 1
            if back != spec:
                wrong.append(f"{kind.operation}, {what}: {json.dumps(back)[:300]} of {json.dumps(spec)[:300]}")
    return taken


def base(operation, shape):
    """An input of an operation that nothing is wrong with but that what it names may not exist."""
    input = {}
    for name in shape.required_members:
        member = shape.members[name]
        if name == "spec":
            input[name] = small(member)
        elif name == "meshName" and not operation.endswith("Mesh"):
            input[name] = MESH
        elif name == "resourceArn":
            input[name] = f"arn:aws:appmesh:us-west-2:111122223333:mesh/{MESH}"
        else:
            input[name] = {"virtualRouterName": "router", "virtualGatewayName": "gateway"}.get(name) or small(member)
    return input


def at_and_beyond(shape):
    """(value, whether it is within the model's bounds) for a member of an input."""
    bounds = shape.metadata
    if shape.type_name in ("integer", "long"):
        yield from ((bounds["min"], True), (bounds["max"], True))
        yield from ((bounds["min"] - 1, False), (bounds["max"] + 1, False), ("word", False))
    elif shape.type_name == "string" and "max" in bounds:
        yield from (("1" * bounds["max"], True), ("1" * (bounds["max"] + 1), False))
        if bounds["min"] > 1:
            yield "1" * (bounds["min"] - 1), False
    elif shape.type_name == "list" and shape.member.type_name == "structure":
        tag = lambda index: {"key": f"key-{index}", "value": ""}
        yield from (([tag(index) for index in range(count)], count <= bounds["max"]) for count in (50, 51))
        for key, value, fits in (("k" * 128, "v" * 256, True), ("k" * 129, "", False), ("k", "v" * 257, False), ("", "", False)):
            yield [{"key": key, "value": value}], fits
        yield from (([{"value": "v"}], False), ([{"key": "k"}], False), ({}, False))
    elif shape.type_name == "list":
        yield from (([f"key-{index}" for index in range(count)], count <= bounds["max"]) for count in (50, 51))
        yield from ((["k" * 128], True), (["k" * 129], False), ([""], False), ("k", False))


def judge(operation, input, member, fits, wrong):
    """Sends `input`; what does not fit is a bad request that names the member, what fits is none."""
    try:
        send(operation, input)
        error, message = None, ""
    except Refused as refused:
        error, message = refused.args
    if fits and error in ("BadRequestException", "InternalServerErrorException"):
        wrong.append(f"{operation} refuses {member} {json.dumps(input.get(member))[:80]}: {message}")
    if not fits and (error not in ("BadRequestException", "TooManyTagsException") or member not in message):
        wrong.append(f"{operation}, {member} {json.dumps(input.get(member))[:80]}: {error}: {message}")


def walk_operations(wrong):
    count = 0
    for operation in service.operation_names:
        shape = service.operation_model(operation).input_shape
        for name, member in shape.members.items():
            in_body = "location" not in member.serialization
            if name in shape.required_members and in_body:
                input = base(operation, shape)
                del input[name]
                judge(operation, input, name, False, wrong)
                count += 1
            if name == "spec":
                continue
            for value, fits in at_and_beyond(member):
                if fits and name == "meshOwner":
                    value = "111122223333"
                if fits and operation == "CreateVirtualService" and name == "virtualServiceName":
                    # What requests may have as their host.
                    value = LONGEST_HOST
                judge(operation, {**base(operation, shape), name: value}, name, fits, wrong)
                count += 1
    return count


create_referents(NAMES)
listeners = [{"portMapping": {"port": port, "protocol": "http"}} for port in (1, 65535)]
nodes.create({"listeners": listeners, "serviceDiscovery": {"dns": {"hostname": "target"}}}, "ports")
for name in ("a", "aa", LONGEST_HOST):
    services.create({}, name)
wrong = []
specs = walk_specs(wrong)
inputs = walk_operations(wrong)
operations = len(service.operation_names)
print(json.dumps({"specs": specs, "inputs": inputs, "operations": operations, "wrong": wrong}))
