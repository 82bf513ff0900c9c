//! What somebody who has the operator's credentials tries with the AWS CLI: each attack is refused by IAM, and what the
//! operator itself does next to it is not, so that it is the condition that refuses and not something else.

use std::process::Command;

use fleetmesh_testbed::moto::{BOUNDARY, Moto, MotoKey};
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{resident, tools};
use serde_json::{Value, json};

use super::printed;
use crate::bed::CLUSTER;

const ADMIN: &str = "arn:aws:iam::aws:policy/AdministratorAccess";
const EXTRA: &str = "arn:aws:iam::123456789012:policy/fleetmesh/extra";
const PROFILE: &str = "arn:aws:iam::123456789012:instance-profile/fleetmesh/ours";
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*"}]}"#;
const KEY: &str = "arn:aws:kms:us-west-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
/// An AMI of Amazon's that moto knows.
const AMI: &str = "ami-12c6146b";

/// Every limit that there is.
pub fn limited() -> Vec<&'static str> {
    flags("vpc-0123456789abcdef0", "srv-0123456789abcdef")
}

fn flags<'a>(vpc: &'a str, service: &'a str) -> Vec<&'a str> {
    let identities = ["--iam-permissions-boundary", BOUNDARY, "--iam-role-names", "*"];
    let launches = ["--vpc", vpc, "--ami-owner", "amazon", "--instance-type", "t3.small,t3a.*"];
    let others = ["--ssm-parameter-prefix", "/images/", "--cloud-map-service", service, "--tag-key", "team"];
    [&identities[..], &launches, &others, &["--kms-key", KEY]].concat()
}

/// An account in which this cluster, another one and somebody else have things.
struct AttackedAccount {
    moto: Moto,
    operator: MotoKey,
    ids: Ids,
    _run: RunDir,
}

/// Ids that EC2 and Cloud Map made up.
#[derive(Default)]
struct Ids {
    /// Instances: ours, another cluster's, nobody's; tagged for enrolment by us, by another cluster.
    ours: String,
    theirs: String,
    free: String,
    opted: String,
    opted_elsewhere: String,
    /// Subnets: of the VPC that is allowed, and of another.
    subnet: String,
    other_subnet: String,
    /// An AMI of the account's own.
    own_ami: String,
    /// Services in Cloud Map.
    service: String,
    other_service: String,
}

impl AttackedAccount {
    async fn new() -> Self {
        let run = RunDir::new("attacks").unwrap();
        let moto = Moto::start_enforcing(&run).await.unwrap();
        moto.boundary().await.unwrap();
        let nothing_yet = serde_json::from_str(POLICY).unwrap();
        let operator = moto.user("operator", &nothing_yet).await.unwrap();
        let mut account = Self { moto, operator, ids: Ids::default(), _run: run };
        account.identities().await;
        account.instances().await;
        account.others().await;
        account
    }

    /// `aws ARGUMENTS` as the administrator; `{}` stands for an argument with blanks.
    async fn admin(&self, arguments: &str) -> Value {
        self.moto.aws(&arguments.split(' ').collect::<Vec<_>>()).await.unwrap()
    }

    async fn identities(&self) {
        let create =
            format!("iam create-role --path /fleetmesh/ --assume-role-policy-document {TRUST} --role-name");
        let tag = "--tags Key=fleetmesh.dev/owner-cluster,Value=";
        let bound = format!("--permissions-boundary {BOUNDARY}");
        for role in [
            format!("ours {tag}{CLUSTER} {bound}"),
            format!("theirs {tag}other {bound}"),
            format!("unbounded {tag}{CLUSTER}"),
            "free".to_owned(),
        ] {
            self.admin(&format!("{create} {role}")).await;
        }
        let extra =
            format!("iam create-policy --path /fleetmesh/ --policy-name extra --policy-document {POLICY}");
        self.admin(&extra).await;
        self.admin("iam create-instance-profile --path /fleetmesh/ --instance-profile-name ours").await;
        self.admin("iam add-role-to-instance-profile --instance-profile-name ours --role-name ours").await;
        self.admin(&format!("iam attach-role-policy --role-name ours --policy-arn {ADMIN}")).await;
        let version = format!("iam create-policy-version --policy-arn {BOUNDARY} --policy-document {POLICY}");
        self.admin(&version).await;
    }

    async fn instance(&self, tags: &str) -> String {
        let tags = format!("ResourceType=instance,Tags=[{tags}]");
        let run = format!("ec2 run-instances --image-id {AMI} --tag-specifications {tags}");
        self.admin(&run).await["Instances"][0]["InstanceId"].as_str().unwrap().to_owned()
    }

    async fn instances(&mut self) {
        let tag = |key: &str, value: &str| format!("{{Key=fleetmesh.dev/{key},Value={value}}}");
        self.ids.ours = self.instance(&tag("owner-cluster", CLUSTER)).await;
        self.ids.theirs = self.instance(&tag("owner-cluster", "other")).await;
        self.ids.free = self.instance("{Key=app,Value=b}").await;
        self.ids.opted = self.instance(&tag("enroll", CLUSTER)).await;
        self.ids.opted_elsewhere = self.instance(&tag("enroll", "other")).await;
    }

    async fn others(&mut self) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let subnets = self.admin("ec2 describe-subnets --filters Name=default-for-az,Values=true").await;
        self.ids.subnet = text(&subnets["Subnets"][0]["SubnetId"]);
        let vpc = text(&subnets["Subnets"][0]["VpcId"]);
        let other = text(&self.admin("ec2 create-vpc --cidr-block 10.9.0.0/16").await["Vpc"]["VpcId"]);
        let subnet = format!("ec2 create-subnet --vpc-id {other} --cidr-block 10.9.1.0/24");
        self.ids.other_subnet = text(&self.admin(&subnet).await["Subnet"]["SubnetId"]);
        let image = format!("ec2 create-image --name mine --instance-id {}", self.ids.free);
        self.ids.own_ami = text(&self.admin(&image).await["ImageId"]);
        for name in ["/images/app", "/secret/app"] {
            self.admin(&format!("ssm put-parameter --type String --name {name} --value {AMI}")).await;
        }
        self.admin("servicediscovery create-http-namespace --name attacks.local").await;
        let namespaces = self.admin("servicediscovery list-namespaces").await;
        let id = text(&namespaces["Namespaces"][0]["Id"]);
        let service = async |name: &str| {
            let create = format!("servicediscovery create-service --name {name} --namespace-id {id}");
            text(&self.admin(&create).await["Service"]["Id"])
        };
        let (one, other) = (service("one").await, service("other").await);
        let policy = printed(CLUSTER, &flags(&vpc, &one)).await;
        self.moto.allow("operator", &policy).await.unwrap();
        (self.ids.service, self.ids.other_service) = (one, other);
    }

    /// The operator's rights with `flags` besides; and whatever `more` allows.
    async fn allow(&self, flags: &[&str], more: Value) {
        let mut policy = printed(CLUSTER, &[&["--iam-permissions-boundary", BOUNDARY], flags].concat()).await;
        policy["Statement"].as_array_mut().unwrap().extend(more.as_array().unwrap().iter().cloned());
        self.moto.allow("operator", &policy).await.unwrap();
    }

    /// `aws ARGUMENTS` with the operator's credentials.
    async fn operator(&self, arguments: &str) -> Result<String, String> {
        let mut command = Command::new(tools::tool("aws").unwrap());
        command.args(["--output", "json"]).args(arguments.split(' '));
        self.moto.env(&mut command);
        command.envs(self.operator.variables());
        let captured = resident::capture(&command).await.unwrap();
        captured.success().map_err(|error| format!("{error:#}"))
    }

    /// IAM refuses this action, and says so.
    async fn refuses(&self, action: &str, arguments: &str) {
        match self.operator(arguments).await {
            Ok(said) => panic!("aws {arguments} is allowed: {said}"),
            Err(refusal) => {
                let words = format!("is not authorized to perform: {action} on");
                assert!(refusal.contains(&words), "aws {arguments} is refused otherwise: {refusal}");
            }
        }
    }

    async fn allows(&self, arguments: &str) {
        if let Err(refusal) = self.operator(arguments).await {
            panic!("aws {arguments} is refused: {refusal}");
        }
    }
}

#[tokio::test]
async fn who_has_the_operators_credentials_gets_no_further_than_the_operator() {
    let account = AttackedAccount::new().await;
    a_role_without_its_boundary(&account).await;
    rights_for_a_role(&account).await;
    what_is_another_clusters(&account).await;
    instances_of_others(&account).await;
    launches(&account).await;
    parameters_and_services(&account).await;
    what_is_nobodys(&account).await;
    the_boundary_itself(&account).await;
}

async fn a_role_without_its_boundary(account: &AttackedAccount) {
    let create =
        format!("iam create-role --path /fleetmesh/ --assume-role-policy-document {TRUST} --role-name");
    let tag = format!("--tags Key=fleetmesh.dev/owner-cluster,Value={CLUSTER}");
    let bound = format!("--permissions-boundary {BOUNDARY}");
    let action = "iam:CreateRole";
    account.refuses(action, &format!("{create} a {tag}")).await;
    account.refuses(action, &format!("{create} a {tag} --permissions-boundary {ADMIN}")).await;
    account.refuses(action, &format!("{create} a {bound}")).await;
    let theirs = tag.replace(CLUSTER, "other");
    account.refuses(action, &format!("{create} a {theirs} {bound}")).await;
    let elsewhere = create.replace("/fleetmesh/", "/");
    account.refuses(action, &format!("{elsewhere} a {tag} {bound}")).await;
    account.allows(&format!("{create} a {tag} {bound}")).await;
    account
        .refuses("iam:DeleteRolePermissionsBoundary", "iam delete-role-permissions-boundary --role-name a")
        .await;
    let put = "iam put-role-permissions-boundary --role-name";
    let action = "iam:PutRolePermissionsBoundary";
    account.refuses(action, &format!("{put} a {}", bound.replace(BOUNDARY, ADMIN))).await;
    account.allows(&format!("{put} a {bound}")).await;
}

async fn rights_for_a_role(account: &AttackedAccount) {
    let attach =
        |role: &str, arn: &str| format!("iam attach-role-policy --role-name {role} --policy-arn {arn}");
    let action = "iam:AttachRolePolicy";
    account.refuses(action, &attach("ours", ADMIN)).await;
    account.refuses(action, &attach("ours", "arn:aws:iam::aws:policy/ReadOnlyAccess")).await;
    account.refuses(action, &attach("unbounded", EXTRA)).await;
    account.allows(&attach("ours", EXTRA)).await;
    // To detach takes rights away: of what is ours and bounded, whatever it is, because a list may have had it once.
    let detach =
        |role: &str, arn: &str| format!("iam detach-role-policy --role-name {role} --policy-arn {arn}");
    for role in ["theirs", "unbounded", "free"] {
        account.refuses("iam:DetachRolePolicy", &detach(role, EXTRA)).await;
    }
    account.allows(&detach("ours", EXTRA)).await;
    account.allows(&detach("ours", ADMIN)).await;
    let inline = format!("iam put-role-policy --role-name ours --policy-name x --policy-document {POLICY}");
    account.refuses("iam:PutRolePolicy", &inline).await;
    let trust = format!("iam update-assume-role-policy --policy-document {TRUST} --role-name");
    account.refuses("iam:UpdateAssumeRolePolicy", &format!("{trust} unbounded")).await;
    account.allows(&format!("{trust} ours")).await;
}

async fn what_is_another_clusters(account: &AttackedAccount) {
    let tag = |role: &str, cluster: &str| {
        format!("iam tag-role --role-name {role} --tags Key=fleetmesh.dev/owner-cluster,Value={cluster}")
    };
    account.refuses("iam:TagRole", &tag("theirs", CLUSTER)).await;
    account.refuses("iam:TagRole", &tag("ours", "other")).await;
    account.refuses("iam:TagRole", "iam tag-role --role-name ours --tags Key=cost,Value=1").await;
    account.allows("iam tag-role --role-name ours --tags Key=fleetmesh.dev/attached,Value=none").await;
    let trust = format!("iam update-assume-role-policy --policy-document {TRUST} --role-name theirs");
    account.refuses("iam:UpdateAssumeRolePolicy", &trust).await;
    let attach = format!("iam attach-role-policy --role-name theirs --policy-arn {EXTRA}");
    account.refuses("iam:AttachRolePolicy", &attach).await;
    account.refuses("iam:DeleteRole", "iam delete-role --role-name theirs").await;
    // Without --iam-adopt nobody's is as far away.
    account.refuses("iam:TagRole", &tag("free", CLUSTER)).await;
}

async fn instances_of_others(account: &AttackedAccount) {
    let Ids { ours, theirs, free, opted, opted_elsewhere, .. } = &account.ids;
    let tag = |id: &str, key: &str, value: &str| {
        format!("ec2 create-tags --resources {id} --tags Key={key},Value={value}")
    };
    let owner = "fleetmesh.dev/owner-cluster";
    for (id, key, value) in
        [(theirs, owner, CLUSTER), (free, owner, CLUSTER), (ours, owner, "other"), (ours, "cost", "1")]
    {
        account.refuses("ec2:CreateTags", &tag(id, key, value)).await;
    }
    account.allows(&tag(ours, "team", "web")).await;
    account
        .refuses("ec2:TerminateInstances", &format!("ec2 terminate-instances --instance-ids {theirs}"))
        .await;
    let give = |id: &str| {
        format!("ec2 associate-iam-instance-profile --iam-instance-profile Arn={PROFILE} --instance-id {id}")
    };
    for id in [free, theirs, opted_elsewhere] {
        account.refuses("ec2:AssociateIamInstanceProfile", &give(id)).await;
    }
    account.allows(&give(opted)).await;
    let theirs: Value = account.admin(&give(opted_elsewhere)).await;
    let association = theirs["IamInstanceProfileAssociation"]["AssociationId"].as_str().unwrap();
    let take = format!("ec2 disassociate-iam-instance-profile --association-id {association}");
    account.refuses("ec2:DisassociateIamInstanceProfile", &take).await;
}

async fn launches(account: &AttackedAccount) {
    let Ids { subnet, other_subnet, own_ami, .. } = &account.ids;
    let run = |ami: &str, kind: &str, subnet: &str, metadata: &str, cluster: &str| {
        let tags =
            format!("ResourceType=instance,Tags=[{{Key=fleetmesh.dev/owner-cluster,Value={cluster}}}]");
        format!(
            "ec2 run-instances --image-id {ami} --instance-type {kind} --subnet-id {subnet} --metadata-options {metadata} --tag-specifications {tags}"
        )
    };
    let metadata = "HttpTokens=required,HttpPutResponseHopLimit=1";
    for attack in [
        run(own_ami, "t3.small", subnet, metadata, CLUSTER),
        run(AMI, "p5.48xlarge", subnet, metadata, CLUSTER),
        run(AMI, "t3.small", other_subnet, metadata, CLUSTER),
        run(AMI, "t3.small", subnet, "HttpTokens=optional,HttpPutResponseHopLimit=1", CLUSTER),
        run(AMI, "t3.small", subnet, "HttpTokens=required,HttpPutResponseHopLimit=2", CLUSTER),
        run(AMI, "t3.small", subnet, metadata, "other"),
    ] {
        account.refuses("ec2:RunInstances", &attack).await;
    }
    account.allows(&run(AMI, "t3.small", subnet, metadata, CLUSTER)).await;
    account.allows(&run(AMI, "t3a.large", subnet, metadata, CLUSTER)).await;
    fleets(account).await;
}

/// A fleet of type `maintain` has EC2 launch instances later, which no condition of a launch reaches: it is refused itself.
async fn fleets(account: &AttackedAccount) {
    let subnet = &account.ids.subnet;
    let owner = |kind: &str| {
        format!("ResourceType={kind},Tags=[{{Key=fleetmesh.dev/owner-cluster,Value={CLUSTER}}}]")
    };
    let metadata = r#"{"HttpTokens":"required","HttpPutResponseHopLimit":1}"#;
    let data = format!(r#"{{"ImageId":"{AMI}","InstanceType":"t3.small","MetadataOptions":{metadata}}}"#);
    let tags = owner("launch-template");
    let create = format!(
        "ec2 create-launch-template --launch-template-name ours --launch-template-data {data} --tag-specifications {tags}"
    );
    let template = account.admin(&create).await["LaunchTemplate"]["LaunchTemplateId"].take();
    let template = template.as_str().unwrap();
    let fleet = |of: &str, kind: &str| {
        let overrides = format!("[{{InstanceType={kind},SubnetId={subnet}}}]");
        let from = format!(
            "LaunchTemplateSpecification={{LaunchTemplateId={template},Version=1}},Overrides={overrides}"
        );
        let capacity = "TotalTargetCapacity=1,DefaultTargetCapacityType=on-demand";
        format!(
            "ec2 create-fleet --type {of} --launch-template-configs {from} --target-capacity-specification {capacity} --tag-specifications {} {}",
            owner("fleet"),
            owner("instance")
        )
    };
    for of in ["maintain", "request", "instant"] {
        account.refuses("ec2:CreateFleet", &fleet(of, "p5.48xlarge")).await;
    }
    account.allows(&fleet("instant", "t3a.large")).await;
}

async fn parameters_and_services(account: &AttackedAccount) {
    let get = |name: &str| format!("ssm get-parameter --name {name}");
    account.refuses("ssm:GetParameter", &get("/secret/app")).await;
    account.allows(&get("/images/app")).await;
    let Ids { service, other_service, .. } = &account.ids;
    let register = |service: &str| {
        format!(
            "servicediscovery register-instance --instance-id i-1 --attributes AWS_INSTANCE_IPV4=10.0.0.1 --service-id {service}"
        )
    };
    account.refuses("servicediscovery:RegisterInstance", &register(other_service)).await;
    account.allows(&register(service)).await;
}

/// With `--iam-adopt` what is nobody's may become ours; what is another cluster's still may not.
async fn what_is_nobodys(account: &AttackedAccount) {
    account.allow(&["--iam-adopt"], json!([])).await;
    let tag = |role: &str, cluster: &str| {
        format!("iam tag-role --role-name {role} --tags Key=fleetmesh.dev/owner-cluster,Value={cluster}")
    };
    account.refuses("iam:TagRole", &tag("theirs", CLUSTER)).await;
    account.refuses("iam:TagRole", &tag("free", "other")).await;
    account
        .refuses("iam:TagRole", "iam tag-role --role-name free --tags Key=fleetmesh.dev/attached,Value=none")
        .await;
    account.allows(&tag("free", CLUSTER)).await;
    // An instance that was enrolled has a profile of ours and stays somebody else's: to be marked as ours it would have to be
    // one that we launched, whose tags somebody took.
    let mark = |id: &str| {
        format!("ec2 create-tags --resources {id} --tags Key=fleetmesh.dev/owner-cluster,Value={CLUSTER}")
    };
    account.refuses("ec2:CreateTags", &mark(&account.ids.opted)).await;
    account.refuses("ec2:CreateTags", &mark(&account.ids.opted_elsewhere)).await;
    let launched = account.instance("{Key=app,Value=b}").await;
    let give = "ec2 associate-iam-instance-profile --iam-instance-profile";
    account.admin(&format!("{give} Arn={PROFILE} --instance-id {launched}")).await;
    account.allows(&mark(&launched)).await;
}

/// The boundary is out of reach also for an operator that is allowed all of IAM besides.
async fn the_boundary_itself(account: &AttackedAccount) {
    let everything = json!([{ "Effect": "Allow", "Action": "iam:*", "Resource": "*" }]);
    account.allow(&[], everything).await;
    let of = format!("--policy-arn {BOUNDARY}");
    for (action, attack) in [
        (
            "CreatePolicyVersion",
            format!("create-policy-version {of} --set-as-default --policy-document {POLICY}"),
        ),
        ("SetDefaultPolicyVersion", format!("set-default-policy-version {of} --version-id v2")),
        ("DeletePolicyVersion", format!("delete-policy-version {of} --version-id v2")),
        ("DeletePolicy", format!("delete-policy {of}")),
        ("TagPolicy", format!("tag-policy {of} --tags Key=fleetmesh.dev/owner-cluster,Value={CLUSTER}")),
        ("UntagPolicy", format!("untag-policy {of} --tag-keys team")),
        ("DeleteRolePermissionsBoundary", "delete-role-permissions-boundary --role-name ours".to_owned()),
    ] {
        account.refuses(&format!("iam:{action}"), &format!("iam {attack}")).await;
    }
    account
        .allows(&format!("iam create-policy-version --policy-arn {EXTRA} --policy-document {POLICY}"))
        .await;
}
