"""moto's server without what makes it slow: it looks for the tags of one thing among the tags of all things, terminated
instances included, and for its own modules on the disk, at each request. Import it before the server starts; as a program it
takes moto_server's arguments."""

import functools
import sys

from moto import backends
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix
from moto.server import main

found = backends.list_of_moto_modules

def tags(self):
    """What describe_tags finds for this thing's id."""
    kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(self.id), "") if self.id else ""
    own = self.ec2_backend.tags.get(self.id, {}) if self.id else {}
    return [{"resource_id": self.id, "key": key, "value": value, "resource_type": kind} for key, value in own.items()]


TaggedEC2Resource.get_tags = tags
backends.list_of_moto_modules = functools.cache(lambda: list(found()))

if __name__ == "__main__":
    sys.exit(main())
