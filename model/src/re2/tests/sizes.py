"""The larger size of RE2's programs, in UTF-8 and in Latin-1, for each of the patterns in the JSON list that a file holds; null when
RE2 does not take it in both."""

import json
import sys

import re2


def options(encoding):
    made = re2.Options()
    made.encoding = encoding
    made.log_errors = False
    # Much, so that a size is told beyond what Envoy takes.
    made.max_mem = 256 << 20
    return made


OPTIONS = [options(encoding) for encoding in (re2.Options.Encoding.UTF8, re2.Options.Encoding.LATIN1)]


def size(pattern):
    try:
        return max(re2.compile(pattern.encode(), of).programsize for of in OPTIONS)
    except re2.error:
        return None


with open(sys.argv[1], encoding="utf-8") as file:
    json.dump([size(pattern) for pattern in json.load(file)], sys.stdout)
