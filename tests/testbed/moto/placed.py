"""What a front before moto (`tests/tests/aws/front`) needs of it. Import it before the server starts; it changes moto.

`GET /fleetmesh/account` describes what decides on a launch at AWS: subnets with their zones, AMIs with their architecture,
instance profiles with their age, and what versions of launch templates name. A CreateFleet with the header
`x-fleetmesh-placement: 0=2,3=1` launches two instances by its first override and one by its fourth, wherever moto would have
put them; the header is not part of what is signed."""

import json
import threading

from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from moto.ec2.models.fleets import Fleet
from moto.ec2.responses.fleets import Fleets
from moto.iam.models import iam_backends

ACCOUNT, REGION, PATH, HEADER = "123456789012", "us-west-2", "/fleetmesh/account", "X-Fleetmesh-Placement"
asked = threading.local()
create_fleet, spread = Fleets.create_fleet, Fleet.get_launch_spec_counts


def account():
    """The account, as JSON."""
    ec2, iam = ec2_backends[ACCOUNT][REGION], iam_backends[ACCOUNT]["aws"]
    subnets = {one.id: {"zone": one.availability_zone, "default": bool(one.default_for_az)} for one in ec2.describe_subnets()}
    versions = {
        f"{template.id}/{version.number}": {
            "image": version.data.get("ImageId"),
            "profile": version.data.get("IamInstanceProfile", {}).get("Arn"),
        }
        for template in list(ec2.launch_templates.values())
        for version in list(template.versions)
    }
    profiles = list(iam.instance_profiles.values())
    return json.dumps(
        {
            "subnets": subnets,
            "images": {one.id: one.architecture for one in list(ec2.amis.values())},
            "profiles": {one.arn: age(one.create_date) for one in profiles if one.roles},
            "versions": versions,
        }
    )


def age(made):
    """How many seconds ago something was made."""
    now = utcnow()
    return (now - made.replace(tzinfo=now.tzinfo)).total_seconds()


def placed(self):
    """Takes the place of CreateFleet."""
    header = self.headers.get(HEADER, "")
    asked.placement = [tuple(map(int, pair.split("="))) for pair in header.split(",") if pair]
    try:
        return create_fleet(self)
    finally:
        asked.placement = []


def counts(self, weight):
    """Takes the place of moto's choice between overrides."""
    placement = getattr(asked, "placement", [])
    if not placement:
        return spread(self, weight)
    return {self.launch_specs[index]: count for index, count in placement}, weight


Fleets.create_fleet = placed
Fleet.get_launch_spec_counts = counts
