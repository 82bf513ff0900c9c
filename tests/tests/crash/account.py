"""Serves what there is in an AWS account as JSON: each GET asks IAM and EC2 anew. Prints its address as the first line.

Only what tests make is shown, without what differs from run to run (ids and times).
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
        "attached": sorted(policy["PolicyArn"] for policy in attached),
    }


def identities():
    profiles = iam.list_instance_profiles()["InstanceProfiles"]
    return {
        "roles": [role(found["RoleName"]) for found in iam.list_roles()["Roles"]],
        "policies": [found["Arn"] for found in iam.list_policies(Scope="Local")["Policies"]],
        "profiles": [
            [found["InstanceProfileName"], [role["RoleName"] for role in found["Roles"]], tags(found)]
            for found in profiles
        ],
    }


def fleets():
    templates = ec2.describe_launch_templates()["LaunchTemplates"]
    states = {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}
    pages = ec2.get_paginator("describe_instances").paginate(Filters=[states])
    live = [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]
    return {
        "templates": [[found["LaunchTemplateName"], found["LatestVersionNumber"], tags(found)] for found in templates],
        "instances": sorted((instance["State"]["Name"], sorted(tags(instance).items())) for instance in live),
    }


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({**identities(), **fleets()}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
server.serve_forever()
