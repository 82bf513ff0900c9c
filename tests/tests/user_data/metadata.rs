//! The application of an instance, which runs as root unless its image says otherwise, tries to get at the credentials of
//! the instance's role and at Envoy's admin page, in every way that it has.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fleetmesh_instance::{InstanceOptions, ProxyImage};
use fleetmesh_testbed::host::HostBackend;
use fleetmesh_testbed::metadata::MetadataService;
use fleetmesh_testbed::{tools, userns};
use serde_json::json;

use crate::machine::Machine;
use crate::{UserDataBed, options, reaches};

/// What the attempts of `attack.py` are called.
const ATTEMPTS: [&str; 7] = [
    "token",
    "token by IPv6",
    "token as the proxy's user",
    "token in root's group",
    NAMESPACE,
    "raw packets",
    "admin page",
];

/// Not every kernel has user namespaces for everybody.
const NAMESPACE: &str = "token as root of a namespace";

fn without(attempts: impl IntoIterator<Item = impl Into<String>>, attempt: &str) -> Vec<String> {
    attempts.into_iter().map(Into::into).filter(|one| one != attempt).collect()
}

/// Runs the attempts in the container `name`, or as root of the machine: those that succeed.
async fn succeed(machine: &mut Machine, name: Option<&str>, folder: &Path) -> Vec<String> {
    let (script, found) = (folder.join("attack.sh"), folder.join("found"));
    let attack = std::path::absolute("tests/user_data/attack.py").unwrap();
    let python = tools::tool("python").unwrap();
    // The proxy's user may not enter the folders that the two are in.
    let within = name.map(|name| format!("docker exec {name} ")).unwrap_or_default();
    let program =
        if name == Some("fleetmesh-proxy") { "/usr/bin/env python3" } else { python.to_str().unwrap() };
    let text = format!("#!/bin/bash\n{within}{program} - <{} >{}\n", attack.display(), found.display());
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(machine.run(&script).await, 0, "{}", machine.console());
    let found = fs::read_to_string(&found).unwrap();
    let outcomes: Vec<(&str, &str)> = found.lines().map(|line| line.split_once(": ").unwrap()).collect();
    assert_eq!(outcomes.iter().map(|(attempt, _)| *attempt).collect::<Vec<_>>(), ATTEMPTS, "{found}");
    println!("{}: {found}", name.unwrap_or("root"));
    let ok = outcomes.into_iter().filter(|(_, outcome)| *outcome == "succeeds");
    ok.map(|(attempt, _)| attempt.to_owned()).collect()
}

#[tokio::test]
async fn an_application_that_is_root_reaches_neither_metadata_nor_admin_page() {
    if !userns::wanted() {
        return;
    }
    let (bed, instances) = UserDataBed::start().await;
    let metadata = MetadataService::start(&bed.network, &bed.run).await.unwrap();
    let mut machines = Vec::new();
    for (instance, backend) in instances.into_iter().zip([HostBackend::Iptables, HostBackend::Nft]) {
        metadata.answer(&instance, "apps-red", &json!({})).unwrap();
        let options = options(instance.name(), ProxyImage::Envoy, &bed.control_plane());
        let mut machine = Machine::new(instance, backend, None, &bed.run);
        assert_eq!(machine.boot(&options).await, 0, "{}", machine.console());
        machines.push((machine, options));
    }
    let folder = tempfile::tempdir().unwrap();
    for (machine, options) in &mut machines {
        // What stays as it was: the machine's own root, and the proxy, which needs credentials of its own for AWS's endpoint.
        let root = succeed(machine, None, folder.path()).await;
        assert_eq!(without(root, NAMESPACE), without(ATTEMPTS, NAMESPACE), "root of the machine");
        let proxy = succeed(machine, Some("fleetmesh-proxy"), folder.path()).await;
        let its = ["token", "token by IPv6", "token as the proxy's user", "admin page"];
        assert_eq!(without(proxy, NAMESPACE), its, "the proxy");
        let none = succeed(machine, Some("fleetmesh-app"), folder.path()).await;
        assert_eq!(none, Vec::<String>::new(), "the application");
        // The same attempts where the application may: they are real.
        let open = InstanceOptions { metadata: true, ..options.clone() };
        assert_eq!(machine.boot(&open).await, 0, "{}", machine.console());
        let all = succeed(machine, Some("fleetmesh-app"), folder.path()).await;
        assert_eq!(
            without(all, NAMESPACE),
            without(ATTEMPTS, NAMESPACE),
            "the application that may reach the metadata service and is root"
        );
    }
    reaches(&machines[0].0, &machines[1].0).await;
}
