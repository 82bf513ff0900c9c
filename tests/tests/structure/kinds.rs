//! A kind that is added is not passed over: neither where the compiler would see it, if nothing stood for "the others", nor
//! where no compiler looks.

use fleetmesh_model::{KINDS, Kind, KindInfo};

use crate::{code, is_test, root, sources};

/// The enums that have a variant for each kind, or for some of them.
const ENUMS: [&str; 5] = ["Kind", "Spec", "Extension", "KindStatus", "KindMemory"];

/// Names of their variants that are not names of kinds.
const OTHERS: [&str; 4] = ["Node", "Router", "Gateway", "None"];

/// Whether the code names a variant of one of [`ENUMS`].
fn names_a_variant(code: &str) -> bool {
    ENUMS.iter().any(|name| variants(code, &format!("{name}::")).next().is_some())
}

/// The variants that follow `prefix`, which begins a path.
fn variants<'a>(code: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let found = code.match_indices(prefix).filter(move |(at, _)| !code[..*at].ends_with(is_part));
    let named = found.map(move |(at, _)| {
        let rest = &code[at + prefix.len()..];
        &rest[..rest.find(|letter| !is_part(letter)).unwrap_or(rest.len())]
    });
    named.filter(|name| OTHERS.contains(name) || KINDS.iter().any(|kind| kind.name == *name))
}

/// Whether the line begins an arm that takes whatever the others leave.
fn takes_the_rest(line: &str) -> bool {
    let pattern = line.split(" =>").next().unwrap_or_default().split(" if ").next().unwrap_or_default();
    let is_binding = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    line.contains("=>") && !pattern.is_empty() && pattern.chars().all(is_binding)
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Each place of a source where a kind that is added would be taken for one of the others without anybody having said so.
/// Sources are as rustfmt writes them: the arms of a match begin in one column.
fn silent(source: &str) -> Vec<String> {
    let lines: Vec<&str> = code(source).lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
        let compared = ["== Kind::", "!= Kind::"].iter().any(|prefix| {
            // All but a mesh is in one, whatever kinds there are.
            line.match_indices(prefix).any(|(from, _)| !line[from + prefix.len()..].starts_with("Mesh"))
        });
        if compared || (line.contains("matches!(") && names_a_variant(line)) {
            found.push(format!("{}: {}", at + 1, line.trim()));
        }
        let pattern = line.split("=>").next().unwrap_or_default();
        let is_arm = line.contains("=>") || line.trim_start().starts_with('|');
        if !is_arm || !names_a_variant(pattern) {
            continue;
        }
        let column = indentation(line);
        let is_inside = |line: &&&str| line.trim().is_empty() || indentation(line) >= column;
        let before = lines[..at].iter().rev().take_while(is_inside);
        let after = lines[at..].iter().take_while(is_inside);
        let mut arms = before.chain(after).filter(|line| indentation(line) == column);
        if let Some(rest) = arms.find(|line| takes_the_rest(line.trim())) {
            found.push(format!("{}: {} beside {}", at + 1, rest.trim(), line.trim()));
        }
    }
    found
}

#[test]
fn no_arm_and_no_comparison_stands_for_kinds_that_are_not_named() {
    let mut found = Vec::new();
    for path in sources() {
        let text = path.display().to_string();
        if !is_test(&path) && !text.contains("/contract/") {
            let source = std::fs::read_to_string(root().join(&path)).unwrap();
            found.extend(silent(&source).into_iter().map(|place| format!("{text}:{place}")));
        }
    }
    assert!(found.is_empty(), "name the kinds, or ask the table of kinds:\n{}", found.join("\n"));
}

#[test]
fn what_passes_a_kind_over_is_found() {
    for source in [
        "match kind {\n    Kind::Mesh => 1,\n    _ => 2,\n}\n",
        "match kind {\n    other if x => 2,\n    Kind::Mesh\n    | Kind::Route => {\n        1\n    }\n    rest => 2,\n}\n",
        "match spec {\n    Spec::VirtualNode(node) => Some(node),\n    _ => None,\n}\n",
        "let sends = matches!(kind, Kind::Route | Kind::VirtualNode);\n",
        "if key.kind == Kind::Route {\n",
    ] {
        assert!(!silent(source).is_empty(), "{source}");
    }
    for source in [
        "match kind {\n    Kind::Mesh => match other {\n        _ => 1,\n    },\n    Kind::Route => 2,\n}\n",
        "match value {\n    Value::Mesh => Kind::Mesh,\n    _ => Kind::Route,\n}\n",
        "match value {\n    MyKind::Mesh => 1,\n    _ => 2,\n}\n",
        "if key.kind != Kind::Mesh {\n",
        "#[cfg(test)]\nmod tests { let x = kind == Kind::Route; }\n",
    ] {
        assert_eq!(silent(source), [""; 0], "{source}");
    }
}

/// Whether a role, written one list to a line, allows these verbs on the resource.
fn allows(role: &str, resource: &str, verbs: &str) -> bool {
    let list = |line: &&str| {
        line.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(list, _)| list.to_owned())
    };
    let lists = |begin: &str| -> Vec<String> {
        let lines = role.lines().filter(|line| line.trim_start().starts_with(begin));
        lines.filter_map(|line| list(&line)).collect()
    };
    let mut rules = lists("resources:").into_iter().zip(lists("verbs:"));
    rules.any(|(resources, allowed)| allowed == verbs && resources.split(", ").any(|one| one == resource))
}

/// What a kind still lacks in files that no compiler reads and no other test compares with the kinds.
fn missing(kind: &KindInfo) -> Vec<String> {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let plural = kind.plural.to_lowercase();
    let mut missing = Vec::new();
    for path in ["operator/rbac.yaml", "charts/fleetmesh/templates/operator/rbac.yaml"] {
        let role = read(path);
        for (resource, verbs) in
            [(plural.clone(), "list, watch, patch"), (format!("{plural}/status"), "patch")]
        {
            if !allows(&role, &resource, verbs) {
                missing.push(format!("{path}: {verbs} of {resource}"));
            }
        }
    }
    let named = [
        ("README.md", kind.name.to_owned()),
        ("samples/gitops/argocd/01-health.yaml", format!("fleetmesh.dev_{}:", kind.name)),
        ("tests/data/app-mesh-specs.yaml", format!("kind: {}\n", kind.name)),
    ];
    let absent = named.into_iter().filter(|(path, text)| !read(path).contains(text));
    missing.extend(absent.map(|(path, text)| format!("{path}: {}", text.trim())));
    missing
}

#[test]
fn every_kind_is_where_no_compiler_looks() {
    for kind in &KINDS {
        assert_eq!(missing(kind), [""; 0], "{}", kind.name);
    }
}

#[test]
fn what_the_next_kind_lacks_is_named() {
    let gateway = KindInfo {
        by_consumers: false,
        name: "EgressGateway",
        plural: "EgressGateways",
        words: "egress gateway",
        segment: "egressGateway",
        collection: "egressGateways",
        member: "egressGatewayName",
        quota: "egress-gateways",
        parent: Some(Kind::Mesh),
        children: Some("egressGateway"),
        requires: &[],
        mentions: &[],
        has_proxies: true,
        spec_required: true,
    };
    assert_eq!(
        missing(&gateway),
        [
            "operator/rbac.yaml: list, watch, patch of egressgateways",
            "operator/rbac.yaml: patch of egressgateways/status",
            "charts/fleetmesh/templates/operator/rbac.yaml: list, watch, patch of egressgateways",
            "charts/fleetmesh/templates/operator/rbac.yaml: patch of egressgateways/status",
            "README.md: EgressGateway",
            "samples/gitops/argocd/01-health.yaml: fleetmesh.dev_EgressGateway:",
            "tests/data/app-mesh-specs.yaml: kind: EgressGateway",
        ]
    );
}
