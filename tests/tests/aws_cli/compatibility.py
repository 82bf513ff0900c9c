"""Compares docs/app-mesh-compatibility.md with botocore's model of App Mesh.

Usage: compatibility.py PAGE. Every operation and every member of every spec has to stand in the page's tables with what
the model says of it, and with words of ours on how it is served; nothing else may stand there. Prints what is wrong.
"""

import json
import re
import sys

import botocore.session

service = botocore.session.get_session().get_service_model("appmesh")
SPECS = ["Mesh", "VirtualNode", "VirtualRouter", "Route", "VirtualService", "VirtualGateway", "GatewayRoute"]


def words(shape):
    """What the page says of a shape's bounds."""
    bounds = shape.metadata
    if shape.type_name == "structure":
        return f"`{shape.name}`"
    if shape.type_name == "list":
        count = f"{bounds['min']} to {bounds['max']} of " if "max" in bounds else "list of "
        return count + words(shape.member)
    if shape.type_name == "string" and getattr(shape, "enum", None):
        return ", ".join(f"`{value}`" for value in shape.enum)
    if "max" in bounds:
        return f"{bounds['min']} to {bounds['max']}" + (" characters" if shape.type_name == "string" else "")
    if shape.type_name in ("integer", "long"):
        return f"{bounds['min']} or more" if "min" in bounds else "whole number"
    return shape.type_name


def structures(shape, found):
    """Every structure at and below `shape`, by name."""
    if shape.type_name == "list":
        structures(shape.member, found)
    if shape.type_name == "structure" and shape.name not in found:
        found[shape.name] = shape
        for member in shape.members.values():
            structures(member, found)
    return found


def demands(structure):
    """The members of a structure and what the model says of each."""
    required = lambda name: ", required" if name in structure.required_members else ""
    return {name: words(member) + required(name) for name, member in structure.members.items()}


def alike(one, other, twins):
    """Whether two members are the same, or structures that the page calls twins."""
    if one is None or other is None or one.type_name != other.type_name:
        return False
    if one.type_name == "structure":
        return twins.get(one.name, one.name) == twins.get(other.name, other.name)
    return alike(one.member, other.member, twins) if one.type_name == "list" else words(one) == words(other)


with open(sys.argv[1]) as page:
    rows = [[cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in page if line.startswith("| `")]
operations = {row[0].strip("`"): row[1] for row in rows if "`/" in row[1]}
members = {row[0].strip("`"): row[1:] for row in rows if re.fullmatch(r"`\w+\.\w+`", row[0])}
twins = {row[0].strip("`"): row[1].strip("`") for row in rows if len(row) == 2 and re.fullmatch(r"`[A-Z]\w+`", row[1])}

all_twins = dict(twins)

wrong = []
for name in service.operation_names:
    http = service.operation_model(name).http
    wanted = f"{http['method']} `{http['requestUri'].removeprefix('/v20190125')}`"
    if operations.pop(name, None) != wanted:
        wrong.append(f"write a row: | `{name}` | {wanted} | |")
wrong.extend(f"the model has no operation {name}" for name in operations)

found = {}
for kind in SPECS:
    structures(service.shape_for(f"{kind}Spec"), found)
for name, structure in found.items():
    if name in twins:
        same = found[twins.pop(name)]
        for member in {*structure.members, *same.members}:
            if not alike(structure.members.get(member), same.members.get(member), all_twins):
                wrong.append(f"{name} is not as {same.name}: {member}")
        continue
    for member, text in demands(structure).items():
        row = members.pop(f"{name}.{member}", ["", ""])
        if row[0] != text or len(row) < 2 or not row[1]:
            wrong.append(f"write a row: | `{name}.{member}` | {text} | how it is served |, not {row}")
wrong.extend(f"the model has no member {name}" for name in members)
wrong.extend(f"the model has no structure {name}" for name in twins)
print(json.dumps({"operations": len(service.operation_names), "structures": len(found), "wrong": wrong}))
