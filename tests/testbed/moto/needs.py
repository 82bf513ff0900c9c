"""What a request needs to be allowed: actions on resources, each with the condition keys that IAM would know.

Written after AWS's Service Authorization Reference and each operation's documentation, for the operations of the operator;
of everything else only the action counts. Tags of what exists come from moto's memory. A name that stands for nothing has
no path: whoever asks for a role by name and may see the roles of one path only is refused, not told that there is none.

What is made with tags in IAM and App Mesh is tagged by the same request: the tags that it gets count as its own there.
Karpenter's policy rests on that (TagInstanceProfile is allowed under aws:ResourceTag, and CreateInstanceProfile sets tags);
in EC2 there is ec2:CreateAction for it."""

import collections
import json

from moto.iam.models import iam_backends
from moto.ec2.models import ec2_backends

import reference

Need = collections.namedtuple("Need", "action resource context while_launching", defaults=({}, False))

# Operations that name a role, a policy, an instance profile that exists.
ROLE = """GetRole ListAttachedRolePolicies ListRolePolicies TagRole UntagRole UpdateAssumeRolePolicy
PutRolePermissionsBoundary DeleteRolePermissionsBoundary AttachRolePolicy DetachRolePolicy PutRolePolicy DeleteRolePolicy
DeleteRole""".split()
POLICY = """GetPolicy GetPolicyVersion ListPolicyVersions TagPolicy UntagPolicy CreatePolicyVersion SetDefaultPolicyVersion
DeletePolicyVersion DeletePolicy""".split()
PROFILE = """GetInstanceProfile TagInstanceProfile RemoveRoleFromInstanceProfile DeleteInstanceProfile
AddRoleToInstanceProfile""".split()
EC2 = "ec2.amazonaws.com"


def of(response, service, operation):
    """The needs of a request that moto has parsed into `response`, in the order in which they are looked at."""
    if response.automated_parameter_parsing:
        request = response.params
    else:
        request = json.loads(response.body or "{}")
    account = Account(response, request)
    found = getattr(account, f"{service.replace('-', '_')}_needs", lambda _: [])(operation)
    for need in found or [Need(f"{service}:{operation}", "*")]:
        yield need._replace(context=reference.known(need.action, need.resource, need.context))


class Account:
    """One request in its account and region."""

    def __init__(self, response, request):
        self.request = request
        self.account, self.region, self.partition = response.current_account, response.region, response.partition
        self.iam = iam_backends[self.account][self.partition]
        self.ec2 = ec2_backends[self.account][self.region]

    def arn(self, service, name, account=None, region=None):
        region = self.region if region is None else region
        return f"arn:{self.partition}:{service}:{region}:{self.account if account is None else account}:{name}"

    def iam_needs(self, operation):
        request, action = self.request, f"iam:{operation}"
        asked = requested(request.get("Tags", []))
        if operation in ROLE:
            return [Need(action, *self.role(request["RoleName"], asked | self.bounds(operation)))]
        if operation in POLICY:
            policy = self.iam.managed_policies.get(request["PolicyArn"])
            return [Need(action, request["PolicyArn"], carried(policy) | asked)]
        if operation in PROFILE:
            needs = [Need(action, *self.profile(request["InstanceProfileName"], asked))]
            if operation == "AddRoleToInstanceProfile":
                needs.append(self.pass_role(request["RoleName"]))
            return needs
        makes = {"CreateRole": "Role", "CreatePolicy": "Policy", "CreateInstanceProfile": "InstanceProfile"}
        if operation in makes:
            kind = {"Role": "role", "Policy": "policy", "InstanceProfile": "instance-profile"}[makes[operation]]
            name = f"{kind}{request.get('Path', '/')}{request[makes[operation] + 'Name']}"
            resource = self.arn("iam", name, region="")
            its_own = {key.replace("aws:RequestTag/", "aws:ResourceTag/"): value for key, value in asked.items()}
            tagging = Need(f"iam:Tag{makes[operation]}", resource, its_own | asked)
            return [Need(action, resource, asked | self.bounds(operation))] + [tagging] * bool(asked)
        return []

    def bounds(self, operation):
        """The keys of boundary and policy of an operation on a role: the boundary that it gives, or else that it finds."""
        request = self.request
        boundary = request.get("PermissionsBoundary")
        if operation not in ("CreateRole", "PutRolePermissionsBoundary"):
            found = self.found_role(request.get("RoleName"))
            boundary = found.permissions_boundary_arn if found else None
        known = {"iam:PermissionsBoundary": boundary, "iam:PolicyARN": request.get("PolicyArn")}
        return {key: value for key, value in known.items() if value}

    def found_role(self, name):
        return next((role for role in list(self.iam.roles.values()) if role.name == name), None)

    def role(self, name, asked={}):
        found = self.found_role(name)
        return found.arn if found else self.arn("iam", f"role/{name}", region=""), carried(found) | asked

    def profile(self, name, asked={}):
        found = next((one for one in list(self.iam.instance_profiles.values()) if one.name == name), None)
        return found.arn if found else self.arn("iam", f"instance-profile/{name}", region=""), carried(found) | asked

    def pass_role(self, name, while_launching=False):
        resource, context = self.role(name)
        return Need("iam:PassRole", resource, context | {"iam:PassedToService": EC2}, while_launching)

    def pass_profile(self, arn, while_launching=False):
        found = next((one for one in list(self.iam.instance_profiles.values()) if one.arn == arn), None)
        return [self.pass_role(role.name, while_launching) for role in (found.roles if found else [])]

    def ec2_needs(self, operation):
        request, action = self.request, f"ec2:{operation}"
        if operation == "CreateLaunchTemplate":
            return self.made("CreateLaunchTemplate", "launch-template", self.specified("launch-template"))
        if operation in ("CreateLaunchTemplateVersion", "ModifyLaunchTemplate", "DeleteLaunchTemplate"):
            template = request.get("LaunchTemplateId")
            template = template or self.ec2.launch_template_name_to_ids.get(request["LaunchTemplateName"], "*")
            return [self.of_ec2(action, "launch-template", template)]
        if operation == "CreateFleet":
            return self.fleet() + self.launch()
        if operation == "RunInstances":
            return self.run()
        if operation == "CreateTags":
            asked = requested(request["Tags"])
            kinds = {"i": "instance", "lt": "launch-template", "vol": "volume"}
            return [
                self.of_ec2(action, kinds[resource.split("-")[0]], resource, asked)
                for resource in request["Resources"]
                if resource.split("-")[0] in kinds
            ]
        if operation == "TerminateInstances":
            return [self.of_ec2(action, "instance", one) for one in request["InstanceIds"]]
        if operation == "AssociateIamInstanceProfile":
            arn = request["IamInstanceProfile"].get("Arn") or self.profile(request["IamInstanceProfile"]["Name"])[0]
            need = self.of_ec2(action, "instance", request["InstanceId"], {"ec2:NewInstanceProfile": arn})
            return [need] + self.pass_profile(arn)
        if operation == "DisassociateIamInstanceProfile":
            associations = list(self.ec2.iam_instance_profile_associations.values())
            found = [one for one in associations if one.association_id == request["AssociationId"]]
            return [self.of_ec2(action, "instance", one.instance_id) for one in found]
        return []

    def of_ec2(self, action, kind, name, context={}, while_launching=False):
        """A need of something that exists, with its tags and, if it is an instance, its profile."""
        tags = {f"aws:ResourceTag/{key}": value for key, value in self.ec2.tags.get(name, {}).items()}
        profile = self.associated(name) if kind == "instance" else None
        known = tags | {"ec2:InstanceProfile": profile} if profile else tags
        known = known | self.vpc(kind, name)
        return Need(action, self.arn("ec2", f"{kind}/{name}"), known | context, while_launching)

    def vpc(self, kind, name):
        """The key of the VPC that a subnet or a security group is in; a launch that names none is in the default one."""
        found = None
        if kind == "subnet" and name != "*":
            found = next((one.vpc_id for one in self.ec2.describe_subnets() if one.id == name), None)
        elif kind == "security-group" and name != "*":
            groups = self.ec2.describe_security_groups()
            found = next((one.vpc_id for one in groups if one.id == name), None)
        elif kind in ("subnet", "security-group", "network-interface"):
            default = self.ec2.get_default_vpc()
            found = default.id if default else None
        return {"ec2:Vpc": self.arn("ec2", f"vpc/{found}")} if found else {}

    def owner(self, image):
        """The key of who owns an AMI."""
        found = next((one for one in list(self.ec2.amis.values()) if one.id == image), None)
        owner = found and (found.owner_alias or found.owner_id)
        return {"ec2:Owner": owner} if owner else {}

    def associated(self, name):
        """The ARN of an instance's profile. Of one that a fleet launched moto does not show it: its template names it."""
        if name in self.ec2.iam_instance_profile_associations:
            return self.ec2.iam_instance_profile_associations[name].iam_instance_profile.arn
        reservations = list(self.ec2.reservations.values())
        instances = (one for reservation in reservations for one in reservation.instances)
        instance = next((one for one in instances if one.id == name), None)
        fleet = self.ec2.fleets.get(instance._fleet_id or instance._spot_fleet_id) if instance else None
        profiles = [spec.iam_instance_profile for spec in (fleet.launch_specs if fleet else [])]
        arn = next((profile["Arn"] for profile in profiles if profile), None)
        # With overrides moto nests what the template names once more.
        return arn.get("Arn") if isinstance(arn, dict) else arn

    def specified(self, kind):
        """The tags that the request gives to things of a kind."""
        specifications = self.request.get("TagSpecifications", [])
        return [tag for one in specifications if one["ResourceType"] == kind for tag in one.get("Tags", [])]

    def made(self, operation, kind, tags, while_launching=False, more={}):
        """The needs of making a thing, of which `more` is known, and of the tags that it gets."""
        resource, asked = self.arn("ec2", f"{kind}/*"), requested(tags)
        making = Need(f"ec2:{operation}", resource, asked | more, while_launching)
        tagging = Need("ec2:CreateTags", resource, asked | {"ec2:CreateAction": operation}, while_launching)
        return [making] + [tagging] * bool(asked)

    def template(self):
        """Id and data of the launch template that CreateFleet names, and the subnets and types of its overrides."""
        config = self.request["LaunchTemplateConfigs"][0]
        chosen = config["LaunchTemplateSpecification"]
        template = self.ec2.launch_templates.get(chosen["LaunchTemplateId"])
        data = dict(template.get_version(chosen["Version"]).data) if template else {}
        overrides = config.get("Overrides", [])
        subnets = [one["SubnetId"] for one in overrides if "SubnetId" in one]
        types = sorted({one["InstanceType"] for one in overrides if "InstanceType" in one})
        return chosen["LaunchTemplateId"], data, subnets or ["*"], types or [data.get("InstanceType", "m1.small")]

    def fleet(self):
        template, _, subnets, types = self.template()
        needs = self.made("CreateFleet", "fleet", self.specified("fleet"))
        for one in types:
            known = {"ec2:InstanceType": one}
            needs += self.made("CreateFleet", "instance", self.specified("instance"), more=known)
        needs.append(self.of_ec2("ec2:CreateFleet", "launch-template", template))
        return needs + [self.of_ec2("ec2:CreateFleet", "subnet", subnet) for subnet in subnets]

    def launch(self):
        """What EC2 does on the caller's behalf to launch instances."""
        template, data, subnets, types = self.template()
        spot = self.request["TargetCapacitySpecification"].get("DefaultTargetCapacityType") == "spot"
        return self.instances(data, template, subnets, types, spot)

    def run(self):
        """A launch by hand."""
        subnets = [self.request.get("SubnetId", "*")]
        types = [self.request.get("InstanceType", "m1.small")]
        template = self.request.get("LaunchTemplate", {}).get("LaunchTemplateId")
        return self.instances(self.request, template, subnets, types, False, False)

    def instances(self, data, template, subnets, types, spot, while_launching=True):
        """The needs of launching instances from `data`, which is a launch template's or a request's."""
        run, tags = "RunInstances", collections.defaultdict(list, instance=self.specified("instance"))
        if while_launching:
            for one in data.get("TagSpecifications", []):
                tags[one["ResourceType"]] += one.get("Tags", [])
        metadata = data.get("MetadataOptions", {})
        options = {
            "ec2:MetadataHttpTokens": metadata.get("HttpTokens", "optional"),
            "ec2:MetadataHttpPutResponseHopLimit": str(metadata.get("HttpPutResponseHopLimit", 1)),
        }
        needs = []
        for one in types:
            known = options | {"ec2:InstanceType": one}
            needs += self.made(run, "instance", tags["instance"], while_launching, known)
        kinds = ["volume"] + ["spot-instances-request"] * spot
        needs += [need for kind in kinds for need in self.made(run, kind, tags[kind], while_launching)]
        image = data.get("ImageId", "*")
        arn = self.arn("ec2", f"image/{image}", account="")
        needs.append(Need(f"ec2:{run}", arn, self.owner(image), while_launching))
        used = [("launch-template", template)] * bool(template) + [("subnet", one) for one in subnets]
        used += [("security-group", one) for one in data.get("SecurityGroupIds", ["*"])]
        needs += [self.of_ec2(f"ec2:{run}", kind, name, {}, while_launching) for kind, name in used]
        for one in subnets:
            where = self.vpc("subnet", one)
            needs += self.made(run, "network-interface", tags["network-interface"], while_launching, where)
        return needs + self.pass_profile(data.get("IamInstanceProfile", {}).get("Arn"), while_launching)

    def ssm_needs(self, operation):
        if operation != "GetParameter":
            return []
        name = self.request["Name"]
        account = "" if name.startswith("/aws/service/") else None
        return [Need("ssm:GetParameter", self.arn("ssm", f"parameter/{name.lstrip('/')}", account))]

    def servicediscovery_needs(self, operation):
        if operation not in ("RegisterInstance", "DeregisterInstance", "ListInstances"):
            return []
        service = self.arn("servicediscovery", f"service/{self.request['ServiceId']}")
        return [Need(f"servicediscovery:{operation}", service, {"servicediscovery:ServiceArn": service})]

    def acm_pca_needs(self, operation):
        return [Need(f"acm-pca:{operation}", self.request.get("CertificateAuthorityArn", "*"))]

    def kms_needs(self, operation):
        request = self.request
        if operation not in ("Sign", "GetPublicKey", "GenerateDataKey", "Decrypt"):
            return []
        context = {f"kms:EncryptionContext:{key}": value for key, value in request.get("EncryptionContext", {}).items()}
        if operation == "Sign":
            context["kms:SigningAlgorithm"] = request["SigningAlgorithm"]
            context["kms:MessageType"] = request.get("MessageType", "RAW")
        return [Need(f"kms:{operation}", request.get("KeyId", "*"), context)]


def requested(tags):
    """The keys of tags that a request sets."""
    found = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags}
    return found | {"aws:TagKeys": [tag["Key"] for tag in tags]} if tags else {}


def carried(thing):
    """The keys of the tags that a thing of IAM's carries."""
    tags = thing.tags if thing else []
    tags = tags.values() if isinstance(tags, dict) else tags or []
    return {f"aws:ResourceTag/{tag['Key']}": tag["Value"] for tag in tags}
