"""Serves what there is in an AWS account as JSON: each GET asks IAM and EC2 anew. Prints its address as the first line.

Only what tests make is shown, without what differs from run to run (ids and times): everything at /, and at /NAME what has
that name in its own or in a tag.
"""

import http.server
import json

import boto3

iam = boto3.client("iam")
ec2 = boto3.client("ec2")


def tags(thing):
    return {tag["Key"]: tag["Value"] for tag in thing.get("Tags", [])}


def role(name):
    found = iam.get_role(RoleName=name)["Role"]
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    return {
        "arn": found["Arn"],
        "trust": found["AssumeRolePolicyDocument"],
        "tags": tags(found),
        "boundary": found["PermissionsBoundary"]["PermissionsBoundaryArn"],
        "attached": sorted(policy["PolicyArn"] for policy in attached),
    }


def identities(name):
    profiles = iam.list_instance_profiles()["InstanceProfiles"]
    return {
        "roles": [role(found["RoleName"]) for found in iam.list_roles()["Roles"] if name in found["RoleName"]],
        "policies": [
            found["Arn"]
            for found in iam.list_policies(Scope="Local")["Policies"]
            if name in found["Arn"] and not found["Arn"].endswith("policy/fleetmesh-boundary")
        ],
        "profiles": [
            [found["InstanceProfileName"], [role["RoleName"] for role in found["Roles"]], tags(found)]
            for found in profiles
            if name in found["InstanceProfileName"]
        ],
    }


def fleets(name):
    templates = ec2.describe_launch_templates()["LaunchTemplates"]
    states = {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}
    pages = ec2.get_paginator("describe_instances").paginate(Filters=[states])
    live = [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]
    live = [(one["State"]["Name"], sorted(tags(one).items())) for one in live]
    return {
        "templates": [
            [found["LaunchTemplateName"], found["LatestVersionNumber"], tags(found)]
            for found in templates
            if name in found["LaunchTemplateName"]
        ],
        "instances": sorted(one for one in live if name in str(one)),
    }


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.strip("/")
        body = json.dumps({**identities(name), **fleets(name)}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
server.serve_forever()
