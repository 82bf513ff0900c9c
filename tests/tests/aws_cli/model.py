"""Puts the API model itself to the control plane: every member of every spec, and every bound once broken.

Usage: model.py ENDPOINT. From botocore's model of App Mesh it generates specs until every member has occurred, creates
each and compares what comes back; then it breaks each minimum, maximum, enum, union and required member of those specs
and demands a BadRequestException that names the member's path. Prints what was counted, and what was wrong.
"""

import copy
import json
import random

from shapes import EVENTS, Refused, create_referents, fit, is_union, kinds, service

chance = random.Random(2019)
PROTOCOLS = ["http", "http2", "grpc", "tcp"]


def generate(shape):
    """A random value of `shape` within the model's bounds."""
    bounds = shape.metadata
    if shape.type_name == "structure":
        names = list(shape.members)
        if is_union(shape):
            names = [chance.choice(names)]
        else:
            names = [name for name in names if name in shape.required_members or chance.random() < 0.8]
        return mend(shape.name, {name: generate(shape.members[name]) for name in names})
    if shape.type_name == "list":
        return [generate(shape.member) for _ in range(max(1, bounds.get("min", 0)))]
    if shape.type_name in ("integer", "long"):
        low = bounds.get("min", 0)
        return chance.choice([low, bounds.get("max", low + 5000)])
    if shape.type_name == "boolean":
        return chance.random() < 0.5
    if shape.name in EVENTS:
        return chance.choice(EVENTS[shape.name])
    if getattr(shape, "enum", None):
        return chance.choice(shape.enum)
    return "a" * chance.choice([max(1, bounds.get("min", 1)), min(50, bounds.get("max", 50))])


def mend(name, value):
    """Makes the members of a structure fit each other: draws anew what the service's documentation leaves a choice of."""
    if name == "Listener":
        protocol = chance.choice(PROTOCOLS)
        value["portMapping"]["protocol"] = protocol
        for member, shape in (("connectionPool", "VirtualNodeConnectionPool"), ("timeout", "ListenerTimeout")):
            if member in value:
                value[member] = {protocol: generate(service.shape_for(shape).members[protocol])}
    if name == "HttpRouteMatch":
        value.pop("path" if chance.random() < 0.5 else "prefix", None)
        if "path" not in value:
            value["prefix"] = "/prefix"
    if name == "VirtualGatewayListener":
        protocol = value["portMapping"]["protocol"]
        if "connectionPool" in value:
            pool = service.shape_for("VirtualGatewayConnectionPool").members[protocol]
            value["connectionPool"] = {protocol: generate(pool)}
    if name == "HttpGatewayRouteMatch":
        value.pop("path" if chance.random() < 0.5 else "prefix", None)
        if "prefix" in value:
            value["prefix"] = "/prefix"
    if name == "HttpPathMatch":
        # No request has another path.
        value = {member: "/" + text[1:] for member, text in value.items()}
    if name == "HttpGatewayRoutePathRewrite" and "exact" in value:
        value["exact"] = "/" + value["exact"][1:]
    if name == "HttpGatewayRoutePrefixRewrite":
        value.pop("value" if chance.random() < 0.5 else "defaultPrefix", None)
        if "value" in value:
            value["value"] = "/" + value["value"][1:]
    if name == "HttpGatewayRoute":
        for member in ("path", "prefix"):
            if member not in value["match"]:
                value["action"].get("rewrite", {}).pop(member, None)
    if name == "GatewayRouteVirtualService":
        value["virtualServiceName"] = "target"
    if name == "GatewayRouteSpec":
        kept = chance.choice(["grpcRoute", "http2Route", "httpRoute"])
        for other in ("grpcRoute", "http2Route", "httpRoute"):
            value.pop(other, None)
        value[kept] = generate(service.shape_for("GatewayRouteSpec").members[kept])
    if name == "WeightedTarget":
        value.update(virtualNode="target", weight=100)
        value.pop("port", None)
        if chance.random() < 0.5:
            value["port"] = 80
    if name == "RouteSpec":
        kept = chance.choice(["grpcRoute", "http2Route", "httpRoute", "tcpRoute"])
        for other in ("grpcRoute", "http2Route", "httpRoute", "tcpRoute"):
            value.pop(other, None)
        value[kept] = generate(service.shape_for("RouteSpec").members[kept])
    return fit(name, value)


def visit(shape, value, path, seen):
    """Calls `seen(shape, value, path)` for the value and everything below it."""
    seen(shape, value, path)
    if shape.type_name == "structure":
        for name, member in value.items():
            visit(shape.members[name], member, path + [name], seen)
    if shape.type_name == "list":
        for index, item in enumerate(value):
            visit(shape.member, item, path + [index], seen)


def reachable(shape, found):
    """Every (structure, member) below `shape`."""
    if shape.type_name == "list":
        reachable(shape.member, found)
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if (shape.name, name) not in found:
                found.add((shape.name, name))
                reachable(member, found)
    return found


def breakages(shape, value):
    """What breaks a bound of `shape` at `value`: (the bound, the broken value, the path below that must be named)."""
    bounds = shape.metadata
    if shape.type_name in ("integer", "long"):
        if "min" in bounds:
            yield "min", bounds["min"] - 1, []
        if "max" in bounds:
            yield "max", bounds["max"] + 1, []
        yield "type", "word", []
    elif shape.type_name == "string":
        if getattr(shape, "enum", None):
            yield "enum", "no-such-value", []
        if bounds.get("min", 0) > 0:
            yield "min", "", []
        if "max" in bounds:
            yield "max", "a" * (bounds["max"] + 1), []
        if "pattern" in bounds:
            yield "pattern", "\u00fc\u00fc", []
        yield "type", 7, []
    elif shape.type_name == "boolean":
        yield "type", "true", []
    elif shape.type_name == "list":
        if bounds.get("min", 0) > 0:
            yield "min", [], []
        if "max" in bounds:
            yield "max", value * (bounds["max"] + 1), []
        yield "type", {}, []
    elif shape.type_name == "structure":
        for name in shape.required_members:
            yield "required", {member: value[member] for member in value if member != name}, [name]
        if is_union(shape):
            yield "union", {}, []
            others = [name for name in shape.members if name not in value]
            if others:
                yield "union", {**value, others[0]: generate(shape.members[others[0]])}, []
        yield "unknown", {**value, "noSuchMember": 1}, ["noSuchMember"]
        yield "type", [], []


def written(path):
    """A path as the control plane writes it."""
    text = "spec"
    for segment in path:
        text += f"[{segment}]" if isinstance(segment, int) else f".{segment}"
    return text


def replaced(spec, path, value):
    """`spec` with `value` at `path`."""
    if not path:
        return value
    spec = copy.deepcopy(spec)
    place = spec
    for segment in path[:-1]:
        place = place[segment]
    place[path[-1]] = value
    return spec


create_referents(["a", "a" * 50])
wrong, broken, round_trips = [], set(), 0
for kind in kinds:
    missing = reachable(kind.shape, set())
    specs = []
    while missing and len(specs) < 500:
        spec = generate(kind.shape)
        before = len(missing)

        def cover(shape, value, path):
            if shape.type_name == "structure":
                missing.difference_update((shape.name, member) for member in value)

        visit(kind.shape, spec, [], cover)
        if len(missing) == before:
            continue
        specs.append(spec)
        try:
            back = kind.create(spec)
        except Refused as error:
            wrong.append(f"{kind.operation} refuses {json.dumps(spec)}: {error}")
            continue
        round_trips += 1
        if back != spec:
            wrong.append(f"{kind.operation} makes {json.dumps(back)} of {json.dumps(spec)}")
    wrong.extend(f"{kind.operation}: {structure}.{member} never occurred" for structure, member in missing)

    for spec in specs:

        def damage(shape, value, path):
            for bound, bad, below in breakages(shape, value):
                case = (kind.operation, shape.name, bound, tuple(below), not path)
                if case in broken:
                    continue
                broken.add(case)
                wanted = written(path + below)
                try:
                    kind.create(replaced(spec, path, bad))
                    wrong.append(f"{kind.operation} accepts {bound} of {wanted}: {json.dumps(bad)}")
                except Refused as error:
                    kind_of_error, message = error.args
                    if kind_of_error != "BadRequestException" or f"{wanted}:" not in message:
                        wrong.append(f"{kind.operation}, {bound} of {wanted}: {error}")

        visit(kind.shape, spec, [], damage)

print(json.dumps({"round_trips": round_trips, "broken_bounds": len(broken), "wrong": wrong}))
