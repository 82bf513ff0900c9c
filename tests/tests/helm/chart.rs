//! The chart without a cluster: lint, goldens, the definitions, the rights, and what it refuses.

use fleetmesh_testbed::command;
use fleetmesh_testbed::helm::{Helm, chart};
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::tools;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionSpec;
use serde_json::{Value, json};

use crate::manifests::{documents, folder, golden, only};

/// The sets of values that goldens show; each is a file in `values`.
const SETS: [&str; 4] = ["default", "everything", "existing", "operator-alone"];

/// `helm template` of the release `fleetmesh` in the namespace `fleetmesh`.
async fn template(helm: &Helm, arguments: &[&str]) -> Result<String, String> {
    let chart = chart().unwrap();
    let base = ["template", "fleetmesh", chart.to_str().unwrap(), "--namespace", "fleetmesh"];
    let captured = helm.capture(&[&base[..], arguments].concat()).await.unwrap();
    if captured.status.success() { Ok(captured.stdout) } else { Err(captured.stderr) }
}

#[tokio::test]
async fn lint_has_nothing_to_say() {
    let run = RunDir::new("helm-lint").unwrap();
    let helm = Helm::offline(&run).unwrap();
    let chart = chart().unwrap();
    for set in SETS {
        let values = folder().join(format!("values/{set}.yaml"));
        let arguments =
            ["lint", "--strict", "--quiet", chart.to_str().unwrap(), "--values", values.to_str().unwrap()];
        let said = helm.capture(&arguments).await.unwrap();
        assert!(said.status.success(), "{set}: {said:?}");
        assert!(!said.stdout.contains("[WARNING]") && !said.stdout.contains("[ERROR]"), "{set}: {said:?}");
    }
}

#[tokio::test]
async fn each_set_of_values_renders_as_its_golden() {
    let run = RunDir::new("helm-golden").unwrap();
    let helm = Helm::offline(&run).unwrap();
    for set in SETS {
        let values = folder().join(format!("values/{set}.yaml"));
        let arguments = ["--values", values.to_str().unwrap(), "--set", "crds.install=false"];
        let rendered = template(&helm, &arguments).await.unwrap();
        assert!(rendered.lines().all(|line| line == line.trim_end()), "{set}: blanks at the end of lines");
        golden(&format!("{set}.yaml"), &rendered);
    }
}

#[tokio::test]
async fn the_definitions_are_those_of_crds_yaml_and_stay_at_an_uninstall() {
    let run = RunDir::new("helm-crds").unwrap();
    let helm = Helm::offline(&run).unwrap();
    let rendered = template(&helm, &["--show-only", "templates/crds.yaml"]).await.unwrap();
    let rendered = documents(&rendered);
    let expected = fleetmesh_crds::all();
    assert_eq!(rendered.len(), expected.len());
    for definition in expected {
        let name = definition.metadata.name.unwrap();
        let found = rendered.iter().find(|rendered| rendered["metadata"]["name"] == name);
        let found = found.unwrap_or_else(|| panic!("{name} is missing"));
        // As types, because Helm writes 1 where we write 1.0.
        let spec: CustomResourceDefinitionSpec = serde_json::from_value(found["spec"].clone()).unwrap();
        assert!(spec == definition.spec, "the spec of {name} differs");
        assert_eq!(found["metadata"]["annotations"], json!({"helm.sh/resource-policy": "keep"}));
    }
    let free =
        template(&helm, &["--show-only", "templates/crds.yaml", "--set", "crds.keep=false"]).await.unwrap();
    assert!(!free.contains("resource-policy"));
    let none = template(&helm, &["--set", "crds.install=false"]).await.unwrap();
    assert!(!none.contains("CustomResourceDefinition"));
}

#[tokio::test]
async fn the_rights_are_those_of_the_operator() {
    let run = RunDir::new("helm-rights").unwrap();
    let helm = Helm::offline(&run).unwrap();
    let rendered = template(&helm, &["--show-only", "templates/operator/rbac.yaml"]).await.unwrap();
    for (kind, file) in [("ClusterRole", "rbac.yaml"), ("Role", "leader-election-rbac.yaml")] {
        let source = tools::workspace_dir().unwrap().join("operator").join(file);
        let source = std::fs::read_to_string(source).unwrap();
        assert_eq!(only(&rendered, kind)["rules"], only(&source, kind)["rules"], "{file}");
    }
    let binding = only(&rendered, "ClusterRoleBinding");
    assert_eq!(binding["roleRef"]["name"], only(&rendered, "ClusterRole")["metadata"]["name"]);
    let account = json!({"kind": "ServiceAccount", "name": "fleetmesh-operator", "namespace": "fleetmesh"});
    assert_eq!(binding["subjects"], json!([account]));
}

#[tokio::test]
async fn the_policy_of_verbs_is_that_of_the_sample() {
    let run = RunDir::new("helm-verbs").unwrap();
    let helm = Helm::offline(&run).unwrap();
    let show = ["--show-only", "templates/admission/canary-verbs.yaml"];
    let on = [&show[..], &["--set", "admissionPolicies.canaryVerbs.enabled=true"]].concat();
    let rendered = template(&helm, &on).await.unwrap();
    let sample = tools::workspace_dir().unwrap().join("samples/canary-access/01-policy.yaml");
    let sample = std::fs::read_to_string(sample).unwrap();
    let policy = only(&rendered, "ValidatingAdmissionPolicy");
    assert_eq!(policy["spec"], only(&sample, "ValidatingAdmissionPolicy")["spec"]);
    let binding = only(&rendered, "ValidatingAdmissionPolicyBinding");
    assert_eq!(binding["spec"]["policyName"], policy["metadata"]["name"]);
    assert!(template(&helm, &[]).await.unwrap().contains("kind: Deployment"));
    assert!(!template(&helm, &[]).await.unwrap().contains("canaryverbs"), "off by default");
}

/// What the operator may connect to, as a set of values says.
async fn operator_egress(helm: &Helm, values: &[&str]) -> Value {
    let show = ["--show-only", "templates/operator/policies.yaml"];
    let rendered = template(helm, &[&show[..], values].concat()).await.unwrap();
    only(&rendered, "NetworkPolicy")["spec"].clone()
}

#[tokio::test]
async fn the_operator_connects_to_what_the_values_list_and_to_nothing_else() {
    let run = RunDir::new("helm-egress").unwrap();
    let helm = Helm::offline(&run).unwrap();
    let spec = operator_egress(&helm, &[]).await;
    assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]));
    let rules = spec["egress"].as_array().unwrap();
    let anywhere = rules.iter().filter(|rule| rule.get("to").is_none());
    let ports: Vec<&Value> =
        anywhere.flat_map(|rule| rule["ports"].as_array().unwrap()).map(|port| &port["port"]).collect();
    assert_eq!(ports, [53, 53, 443, 6443]);
    assert_eq!(rules.len(), 4, "and the agent of Pod Identity, and the control plane: {rules:#?}");
    let elsewhere = [
        "--set",
        "controlPlane.enabled=false,operator.appMesh.endpoint=https://mesh.example.com:9443/,accessKey.existingSecret=key",
    ];
    let spec = operator_egress(&helm, &elsewhere).await;
    assert_eq!(spec["egress"].as_array().unwrap().last().unwrap(), &json!({ "ports": [{ "port": 9443 }] }));
    let off = operator_egress(&helm, &["--set", "networkPolicy.operatorEgress.enabled=false"]).await;
    assert_eq!((&off["policyTypes"], off.get("egress")), (&json!(["Ingress"]), None));
}

/// The chart and `fleetmesh iam policy` say the same of the same values, everything set or hardly anything.
#[tokio::test]
async fn the_policies_are_those_of_the_command_line() {
    let run = RunDir::new("helm-policies").unwrap();
    let helm = Helm::offline(&run).unwrap();
    for set in ["everything", "existing"] {
        let file = folder().join(format!("values/{set}.yaml"));
        let values: Value = serde_saphyr::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let only_it =
            ["--show-only", "templates/operator/iam-policies.yaml", "--values", file.to_str().unwrap()];
        let rendered = only(&template(&helm, &only_it).await.unwrap(), "ConfigMap");
        let data = rendered["data"].as_object().unwrap();
        let found: serde_json::Map<String, Value> = data
            .iter()
            .map(|(file, text)| {
                let document: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
                (file.trim_end_matches(".json").to_owned(), document)
            })
            .collect();
        let mut print = std::process::Command::new(tools::fleetmesh().unwrap());
        print.args(["iam", "policy"]).args(policy_flags(&values));
        let expected: Value = serde_json::from_str(&command::run(print).await.unwrap()).unwrap();
        assert_eq!(Value::Object(found), expected, "{set}");
        assert!(!expected.to_string().contains("\":\"*\""), "no condition is void: {expected}");
    }
}

/// The flags that say what values say.
fn policy_flags(values: &Value) -> Vec<String> {
    let (operator, iam, limits) =
        (&values["operator"], &values["operator"]["iam"], &values["operator"]["iam"]["limits"]);
    let text = |value: &Value, default: &str| value.as_str().unwrap_or(default).to_owned();
    let mut flags = vec![
        format!("--region={}", text(&values["aws"]["region"], "us-west-2")),
        format!("--account-id={}", text(&values["aws"]["accountId"], "111122223333")),
        format!("--cluster-name={}", text(&operator["clusterName"], "")),
        format!("--iam-permissions-boundary={}", text(&iam["permissionsBoundary"], "")),
        format!("--iam-path={}", text(&iam["path"], "/fleetmesh/")),
        format!("--iam-role-names={}", text(&iam["roleNames"], "*")),
    ];
    for (flag, list) in [
        ("iam-managed-policy", &iam["managedPolicies"]),
        ("vpc", &limits["vpcIds"]),
        ("ami-owner", &limits["amiOwners"]),
        ("instance-type", &limits["instanceTypes"]),
        ("ssm-parameter-prefix", &limits["ssmParameterPrefixes"]),
        ("cloud-map-service", &limits["cloudMapServices"]),
        ("kms-key", &limits["kmsKeys"]),
        ("tag-key", &limits["tagKeys"]),
    ] {
        let items = list.as_array().into_iter().flatten();
        flags.extend(items.map(|item| format!("--{flag}={}", text(item, ""))));
    }
    flags.extend((iam["adopt"] == true).then(|| "--iam-adopt".to_owned()));
    flags
}

/// What each row sets, and what the refusal has to name.
const REFUSED: [(&str, &str); 27] = [
    ("operator.providerSecrets={a_b}", "/operator/providerSecrets/0"),
    ("operator.port=80", "/operator/port"),
    ("operator.typo=1", "'typo'"),
    ("aws.accountId=12345", "/aws/accountId"),
    ("aws.partition=mars", "/aws/partition"),
    ("image.repository=", "/image/repository"),
    ("image.digest=latest", "/image/digest"),
    ("operator.clusterName=*", "/operator/clusterName"),
    ("operator.iam.permissionsBoundary=arn:aws:iam::aws:policy/AdministratorAccess", "/permissionsBoundary"),
    ("operator.iam.path=fleetmesh", "/operator/iam/path"),
    (
        "operator.iam.permissionsBoundary=arn:aws:iam::111122223333:policy/b",
        "operator.clusterName is empty, and the cluster cannot be asked",
    ),
    ("operator.driftInterval=soon", "/operator/driftInterval"),
    ("controlPlane.ads.host=a_b", "/controlPlane/ads/host"),
    ("certificates.mode=none", "/certificates/mode"),
    ("controlPlane.join.port=80", "/controlPlane/join/port"),
    ("controlPlane.join.enabled=true,controlPlane.join.port=9080", "controlPlane.join.port have to differ"),
    ("controlPlane.join.caKmsKey=arn:aws:kms:us-west-2:111122223333:alias/ca", "/controlPlane/join/caKmsKey"),
    ("controlPlane.sealKey.kmsKey=alias/seal", "/controlPlane/sealKey/kmsKey"),
    (
        "controlPlane.sealKey.existingSecret=s,controlPlane.sealKey.kmsKey=arn:aws:kms:us-west-2:111122223333:key/a",
        "are both set: access keys are sealed by one of them",
    ),
    (
        "controlPlane.join.caKmsKey=arn:aws:kms:us-west-2:111122223333:key/1234abcd",
        "controlPlane.join.caKmsKey is set and certificates.mode is not existing",
    ),
    ("controlPlane.podDisruptionBudget.maxUnavailable=half", "maxUnavailable"),
    (
        "operator.leaderElection.enabled=false",
        "operator.replicas is 2, and operator.leaderElection.enabled is false",
    ),
    ("controlPlane.enabled=false", "operator.appMesh.endpoint is empty"),
    ("operator.proxyJoin.image=-v", "/operator/proxyJoin/image"),
    ("operator.proxyJoin.controlPlane=http://mesh.example:1", "/operator/proxyJoin/controlPlane"),
    ("operator.proxyJoin.image=r.example/p:v1", "controlPlane.ads.host is empty"),
    ("operator.proxyJoin.image=r.example/p:v1,controlPlane.ads.host=h", "controlPlane.join.enabled is not"),
];

#[tokio::test]
async fn bad_values_are_refused_by_their_names() {
    let run = RunDir::new("helm-refused").unwrap();
    let helm = Helm::offline(&run).unwrap();
    for (set, named) in REFUSED {
        let refusal = template(&helm, &["--set", set]).await.expect_err(set);
        assert!(refusal.contains(named), "{set}: {refusal}");
    }
}

/// With a key that KMS holds no key of the authority is mounted, whatever its Secret has.
#[tokio::test]
async fn a_key_that_kms_holds_is_named_and_none_is_mounted() {
    let run = RunDir::new("helm-kms").unwrap();
    let helm = Helm::offline(&run).unwrap();
    let file = folder().join("values/existing.yaml");
    let show =
        ["--show-only", "templates/control-plane/statefulset.yaml", "--values", file.to_str().unwrap()];
    let pod = async |values: &[&str]| -> (Vec<String>, Value) {
        let rendered = only(&template(&helm, &[&show[..], values].concat()).await.unwrap(), "StatefulSet");
        let pod = rendered["spec"]["template"]["spec"].clone();
        let arguments = pod["containers"][0]["args"].as_array().unwrap().iter();
        (arguments.map(|argument| argument.as_str().unwrap().to_owned()).collect(), pod["volumes"].clone())
    };
    const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let (arguments, volumes) = pod(&[]).await;
    assert!(arguments.iter().any(|argument| argument.starts_with("--ca-key=")), "{arguments:?}");
    assert!(volumes.to_string().contains("tls.key"));
    let (arguments, volumes) = pod(&["--set", &format!("controlPlane.join.caKmsKey={KEY}")]).await;
    assert!(arguments.contains(&format!("--ca-kms-key={KEY}")), "{arguments:?}");
    assert!(arguments.contains(&"--signing-cert=/etc/fleetmesh/ca/tls.crt".to_owned()), "{arguments:?}");
    assert!(!arguments.iter().any(|argument| argument.starts_with("--ca-key")), "{arguments:?}");
    let ca = volumes.as_array().unwrap().iter().find(|volume| volume["name"] == "ca").unwrap();
    let keys: Vec<&Value> =
        ca["secret"]["items"].as_array().unwrap().iter().map(|item| &item["key"]).collect();
    assert_eq!(keys, ["ca.crt", "tls.crt"]);
    let seal = format!("controlPlane.sealKey.existingSecret=,controlPlane.sealKey.kmsKey={KEY}");
    let (arguments, volumes) = pod(&["--set", &seal]).await;
    assert!(arguments.contains(&format!("--seal-kms-key={KEY}")), "{arguments:?}");
    assert!(!arguments.iter().any(|argument| argument.starts_with("--seal-key-file")), "{arguments:?}");
    assert!(!volumes.to_string().contains("seal"), "{volumes}");
}

/// How instances find a control plane that is not this release's, and of an address that needs brackets.
#[tokio::test]
async fn instances_know_where_they_join() {
    let run = RunDir::new("helm-join").unwrap();
    let helm = Helm::offline(&run).unwrap();
    let flags = async |values: &str| -> Vec<String> {
        let rendered = template(&helm, &["--set", values]).await.unwrap();
        let deployment = only(&rendered, "Deployment");
        let arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap();
        let arguments = arguments.iter().filter_map(Value::as_str);
        arguments.filter(|argument| argument.starts_with("--proxy-")).map(str::to_owned).collect()
    };
    assert!(
        flags("controlPlane.join.enabled=true").await.is_empty(),
        "nothing changes for fleets without an image"
    );
    let image = "operator.proxyJoin.image=r.example/p:v1";
    let own = "controlPlane.join.enabled=true,controlPlane.ads.host=fd00::1";
    let ca = "--proxy-join-ca-file=/etc/fleetmesh/join-ca/ca.crt";
    assert_eq!(
        flags(&format!("{image},{own}")).await,
        [
            "--proxy-control-plane=https://[fd00::1]:18000",
            "--proxy-join-image=r.example/p:v1",
            "--proxy-join-control-plane=https://[fd00::1]:9443",
            ca,
        ]
    );
    let other =
        "operator.proxyControlPlane=https://a.example:1,operator.proxyJoin.controlPlane=https://a.example:2";
    let mut expected = vec![
        "--proxy-control-plane=https://a.example:1",
        "--proxy-join-image=r.example/p:v1",
        "--proxy-join-control-plane=https://a.example:2",
    ];
    assert_eq!(flags(&format!("{image},{other}")).await, expected);
    expected.push(ca);
    assert_eq!(flags(&format!("{image},{other},operator.proxyJoin.caSecret=theirs")).await, expected);
}

#[tokio::test]
async fn the_values_of_the_gitops_samples_are_values_of_the_chart() {
    let run = RunDir::new("helm-gitops").unwrap();
    let helm = Helm::offline(&run).unwrap();
    let samples = tools::workspace_dir().unwrap().join("samples/gitops");
    for (file, path) in [
        ("flux/02-fleetmesh.yaml", "/spec/values"),
        ("argocd/02-fleetmesh.yaml", "/spec/source/helm/valuesObject"),
    ] {
        let sample: Value =
            serde_saphyr::from_str(&std::fs::read_to_string(samples.join(file)).unwrap()).unwrap();
        let values = run.join("values.json");
        std::fs::write(&values, sample.pointer(path).expect(file).to_string()).unwrap();
        let rendered = template(&helm, &["--values", values.to_str().unwrap()]).await.unwrap();
        assert!(rendered.contains("ads.mesh.example.com"), "{file}: the name is in the certificate");
        // Argo CD's sample brings certificates and access key from elsewhere, Flux's has them made.
        assert_eq!(rendered.contains("kind: Job"), file.starts_with("flux"), "{file}");
    }
}

/// The words of the first `helm install` of a page, after its chart.
fn documented(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(tools::workspace_dir().unwrap().join(page)).unwrap();
    let (_, command) = text.split_once("helm install fleetmesh charts/fleetmesh ").expect(page);
    let command = command.split("\n```").next().unwrap().replace("\\\n", " ");
    command.split_whitespace().filter(|word| *word != "--create-namespace").map(str::to_owned).collect()
}

#[tokio::test]
async fn the_documented_commands_render() {
    let run = RunDir::new("helm-documented").unwrap();
    let helm = Helm::offline(&run).unwrap();
    for page in ["README.md", "docs/install.md"] {
        let words = documented(page);
        let values = words.iter().filter(|word| word.contains('=')).count();
        assert_eq!(values, 4, "{page} sets four values: {words:?}");
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        template(&helm, &words).await.unwrap_or_else(|refusal| panic!("{page}: {refusal}"));
    }
}

#[tokio::test]
async fn the_dashboard_is_delivered_as_it_is() {
    let run = RunDir::new("helm-dashboard").unwrap();
    let helm = Helm::offline(&run).unwrap();
    let show = ["--show-only", "templates/dashboard.yaml"];
    let set = ["--set", "dashboard.enabled=true", "--set", "dashboard.annotations.grafana_folder=Meshes"];
    let rendered = only(&template(&helm, &[&show[..], &set[..2]].concat()).await.unwrap(), "ConfigMap");
    assert_eq!(rendered["metadata"]["labels"]["grafana_dashboard"], "1");
    assert!(rendered["metadata"]["annotations"].is_null());
    let file = std::fs::read_to_string(chart().unwrap().join("dashboards/fleetmesh.json")).unwrap();
    assert_eq!(rendered["data"]["fleetmesh.json"].as_str().unwrap().trim(), file.trim());
    let annotated = template(&helm, &[&show[..], &set].concat()).await.unwrap();
    assert_eq!(only(&annotated, "ConfigMap")["metadata"]["annotations"], json!({"grafana_folder": "Meshes"}));
    let none = template(&helm, &["--set", "crds.install=false"]).await.unwrap();
    assert!(!none.contains("grafana"), "not without being asked for");
}

/// What tools that ask no cluster (Argo CD, `helm template`) need: each rendering is the same, and none has a key.
#[tokio::test]
async fn nothing_that_is_rendered_is_secret_or_random() {
    let run = RunDir::new("helm-random").unwrap();
    let helm = Helm::offline(&run).unwrap();
    for set in SETS {
        let values = folder().join(format!("values/{set}.yaml"));
        let arguments = ["--values", values.to_str().unwrap(), "--set", "crds.install=false"];
        let rendered = template(&helm, &arguments).await.unwrap();
        assert!(template(&helm, &arguments).await.unwrap() == rendered, "{set}");
        assert!(documents(&rendered).iter().all(|object| object["kind"] != "Secret"), "{set}");
    }
}

/// The App Mesh API, and with it `/metrics`, has a Service of its own that nobody outside of the cluster reaches.
#[tokio::test]
async fn load_balancers_lead_to_configuration_and_joining_alone() {
    let run = RunDir::new("helm-balancers").unwrap();
    let helm = Helm::offline(&run).unwrap();
    let mut seen = 0;
    for set in SETS {
        let values = folder().join(format!("values/{set}.yaml"));
        let arguments = ["--values", values.to_str().unwrap(), "--set", "crds.install=false"];
        let rendered = documents(&template(&helm, &arguments).await.unwrap());
        let services = rendered.iter().filter(|object| object["kind"] == "Service");
        for service in
            services.filter(|service| !matches!(service["spec"]["type"].as_str(), None | Some("ClusterIP")))
        {
            seen += 1;
            for port in service["spec"]["ports"].as_array().unwrap() {
                let target = port["targetPort"].as_str().unwrap();
                assert!(["ads", "join"].contains(&target), "{set}: {service}");
            }
        }
    }
    assert!(seen >= 2, "{seen} services that other hosts reach");
}
