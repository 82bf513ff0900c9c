"""What policy documents allow, for the part of IAM's language that the operator's policy is written in. Whatever else a
document says is an error: what is not understood must not pass. Pure."""

import re


def allow(documents, need):
    """Whether a statement allows the need and none denies it."""
    effects = {
        statement["Effect"]
        for document in documents
        for statement in listed(document["Statement"])
        if applies(statement, need)
    }
    return effects == {"Allow"}


def applies(statement, need):
    """Whether the statement is about the need."""
    unknown = statement.keys() - {"Sid", "Effect", "Action", "Resource", "Condition"}
    if unknown:
        raise NotImplementedError(f"elements {unknown} of a statement")
    return (
        any(like(pattern.lower(), need.action.lower()) for pattern in listed(statement["Action"]))
        and any(like(pattern, need.resource) for pattern in listed(statement["Resource"]))
        and all(
            holds(operator, listed(values), need.context.get(key))
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def holds(operator, values, found):
    """Whether a condition holds for what the request has of its key: a text, a list of texts, None for nothing."""
    if operator == "Null":
        return values == [str(found is None).lower()]
    quantifier, _, comparison = operator.rpartition(":")
    needed = comparison.removesuffix("IfExists")
    compare = COMPARISONS[needed]
    if found is None:
        # Of nothing everything is true, and what need not exist need not be equal.
        return bool(quantifier) or needed != comparison
    if quantifier not in ("", "ForAllValues") or isinstance(found, list) != bool(quantifier):
        raise NotImplementedError(f"{operator} of {found}")
    return all(any(compare(value, one) for value in values) for one in listed(found))


def arn_like(pattern, arn):
    """Whether an ARN matches: each of its six parts by itself."""
    parts, others = pattern.split(":", 5), arn.split(":", 5)
    return len(parts) == len(others) and all(map(like, parts, others))


def numeric_equals(value, found):
    """Whether two texts are the same number."""
    return float(value) == float(found)


def like(pattern, text):
    """IAM's wildcards: `*` and `?`."""
    parts = {"*": ".*", "?": "."}
    return re.fullmatch("".join(parts.get(letter, re.escape(letter)) for letter in pattern), text) is not None


COMPARISONS = {
    "StringEquals": str.__eq__,
    "StringLike": like,
    "ArnLike": arn_like,
    "ArnEquals": arn_like,
    "NumericEquals": numeric_equals,
}


def listed(value):
    """IAM writes a list of one without brackets, too."""
    return value if isinstance(value, list) else [value]
