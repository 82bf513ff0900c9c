//! The TLS of a whole mesh by certificates of its own: which step of it is in the App Mesh requests, what a step adds to a virtual
//! node or gateway, and when the next one may follow. Pure.
//!
//! A step is taken when the proxies of all nodes run the one before, so that no request fails on the way: listeners take TLS beside
//! plaintext before any client uses it, and nothing but TLS when all clients do. It goes back the same way. Clients without a policy
//! use plaintext with a listener that asks for certificates and takes plaintext, too; what makes that so is the control plane.

use std::time::Duration;

use fleetmesh_api::bootstrap::{MESH_CERTIFICATE, MESH_TRUST};
use fleetmesh_crds::{AddedTls, BackendTls, MeshTlsMode, MeshTlsStage, MeshTlsStatus};
use fleetmesh_model::Spec;
use fleetmesh_model::tls::{
    ClientPolicy, ClientPolicyTls, ClientTlsCertificate, ListenerTls, ListenerTlsCertificate,
    ListenerTlsMode, ListenerTlsValidationContext, ListenerTlsValidationContextTrust, TlsSdsCertificate,
    TlsSdsTrust, TlsValidationContext, TlsValidationContextTrust,
};
use fleetmesh_model::virtual_node::BackendDefaults;

use crate::object::ObjectKey;

/// How long the same is reported of all proxies before the next step follows: they acknowledge a listener before they have its
/// certificate, which comes from their own host, and one that connects again just now is not counted.
pub const SETTLE: Duration = Duration::from_secs(2);
/// How soon it is looked at again whether the next step may follow.
pub const LOOK: Duration = Duration::from_secs(1);
/// How many of those that hold up the next step are named.
const NAMED: usize = 3;

/// A step; `None` adds nothing.
pub type Stage = Option<MeshTlsStage>;

/// Where a mesh with this `tls` ends.
pub fn goal(wanted: Option<MeshTlsMode>) -> Stage {
    wanted.map(|mode| match mode {
        MeshTlsMode::Permissive => MeshTlsStage::Clients,
        MeshTlsMode::Strict => MeshTlsStage::Strict,
    })
}

/// The step that follows `stage` on the way to `goal`; `stage` itself at the end of the way.
pub fn next(stage: Stage, goal: Stage) -> Stage {
    let steps =
        [None, Some(MeshTlsStage::Listeners), Some(MeshTlsStage::Clients), Some(MeshTlsStage::Strict)];
    let place = |wanted: Stage| steps.iter().position(|step| *step == wanted).unwrap_or_default();
    let (here, there) = (place(stage), place(goal));
    let to = if here < there { here + 1 } else { here.saturating_sub(usize::from(here > there)) };
    steps.get(to).copied().flatten()
}

/// Whether the step from `stage` to `next` needs the proxies to run `stage`. The first does not, nor the one that lets plaintext in
/// again: nobody fails by either.
pub fn waits(stage: Stage, next: Stage) -> bool {
    let back = next < stage;
    !(stage.is_none() || back && stage == Some(MeshTlsStage::Strict)) && stage != next
}

/// What the Mesh reports: nothing where there is nothing and nothing is wanted.
pub fn status(stage: Stage, goal: Stage, held_up_by: &[ObjectKey]) -> Option<MeshTlsStatus> {
    let stage = stage?;
    let waiting = (Some(stage) != goal).then(|| match held_up_by {
        [] => "the proxies run this step; the next one follows at once".to_owned(),
        some => {
            let names: Vec<String> = some.iter().take(NAMED).map(ToString::to_string).collect();
            let more = some.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!(
                "the next step waits until {}{more} is Programmed with this one: see its condition",
                names.join(", ")
            )
        }
    });
    Some(MeshTlsStatus { stage, waiting })
}

/// `declared` with what `stage` adds where it says nothing itself; the same for kinds without listeners and backends.
pub fn with_defaults(declared: &Spec, stage: Stage) -> Spec {
    let mut spec = declared.clone();
    match &mut spec {
        Spec::VirtualNode(node) => {
            if let Some(stage) = stage {
                let silent = node.listeners.iter_mut().flatten().filter(|listener| listener.tls.is_none());
                silent.for_each(|listener| listener.tls = Some(listener_tls(stage)));
            }
            add_policy(&mut node.backend_defaults, stage);
        }
        // A gateway's listeners face clients that have no certificate of the mesh.
        Spec::VirtualGateway(gateway) => add_policy(&mut gateway.backend_defaults, stage),
        Spec::Mesh(_)
        | Spec::VirtualRouter(_)
        | Spec::Route(_)
        | Spec::VirtualService(_)
        | Spec::GatewayRoute(_) => {}
    }
    spec
}

/// What `stage` adds to `declared`, for its status.
pub fn added(declared: &Spec, stage: Stage) -> Option<AddedTls> {
    let stage = stage?;
    let (listens, defaults) = match declared {
        Spec::VirtualNode(node) => {
            (node.listeners().iter().any(|listener| listener.tls.is_none()), &node.backend_defaults)
        }
        Spec::VirtualGateway(gateway) => (false, &gateway.backend_defaults),
        Spec::Mesh(_)
        | Spec::VirtualRouter(_)
        | Spec::Route(_)
        | Spec::VirtualService(_)
        | Spec::GatewayRoute(_) => return None,
    };
    let calls = own_policy(defaults.as_ref()).is_none() && stage >= MeshTlsStage::Clients;
    let backends = match stage {
        MeshTlsStage::Strict => BackendTls::Required,
        MeshTlsStage::Listeners | MeshTlsStage::Clients => BackendTls::Offered,
    };
    let added = AddedTls { listeners: listens.then(|| mode(stage)), backends: calls.then_some(backends) };
    (added != AddedTls { listeners: None, backends: None }).then_some(added)
}

fn mode(stage: MeshTlsStage) -> ListenerTlsMode {
    match stage {
        MeshTlsStage::Listeners | MeshTlsStage::Clients => ListenerTlsMode::Permissive,
        MeshTlsStage::Strict => ListenerTlsMode::Strict,
    }
}

fn listener_tls(stage: MeshTlsStage) -> ListenerTls {
    let trust = ListenerTlsValidationContextTrust::Sds(TlsSdsTrust { secret_name: MESH_TRUST.to_owned() });
    ListenerTls {
        certificate: ListenerTlsCertificate::Sds(own_certificate()),
        mode: mode(stage),
        validation: Some(ListenerTlsValidationContext { subject_alternative_names: None, trust }),
    }
}

fn own_certificate() -> TlsSdsCertificate {
    TlsSdsCertificate { secret_name: MESH_CERTIFICATE.to_owned() }
}

fn own_policy(defaults: Option<&BackendDefaults>) -> Option<&ClientPolicyTls> {
    defaults?.client_policy.as_ref()?.tls.as_ref()
}

fn add_policy(defaults: &mut Option<BackendDefaults>, stage: Stage) {
    let Some(stage) = stage.filter(|stage| *stage >= MeshTlsStage::Clients) else { return };
    if own_policy(defaults.as_ref()).is_some() {
        return;
    }
    let trust = TlsValidationContextTrust::Sds(TlsSdsTrust { secret_name: MESH_TRUST.to_owned() });
    let tls = ClientPolicyTls {
        certificate: Some(ClientTlsCertificate::Sds(own_certificate())),
        enforce: (stage == MeshTlsStage::Clients).then_some(false),
        ports: None,
        validation: TlsValidationContext { subject_alternative_names: None, trust },
    };
    *defaults = Some(BackendDefaults { client_policy: Some(ClientPolicy { tls: Some(tls) }) });
}

#[cfg(test)]
mod tests {
    use fleetmesh_model::Kind;
    use serde_json::{Value, json};

    use super::*;

    const STEPS: [Stage; 4] =
        [None, Some(MeshTlsStage::Listeners), Some(MeshTlsStage::Clients), Some(MeshTlsStage::Strict)];

    fn spec(kind: Kind, value: Value) -> Spec {
        Spec::from_json(kind, value).expect("a spec")
    }

    fn json_of(spec: &Spec) -> Value {
        match spec {
            Spec::VirtualNode(node) => serde_json::to_value(node).expect("JSON"),
            Spec::VirtualGateway(gateway) => serde_json::to_value(gateway).expect("JSON"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_step_goes_one_further_or_one_back_and_waits_where_somebody_would_fail() {
        let way = |from: Stage, wanted: Option<MeshTlsMode>| {
            let mut steps = vec![(from, false)];
            while steps.last().expect("one").0 != goal(wanted) {
                let here = steps.last().expect("one").0;
                let there = next(here, goal(wanted));
                steps.push((there, waits(here, there)));
            }
            steps
        };
        let [none, listeners, clients, strict] = STEPS;
        let up = [(none, false), (listeners, false), (clients, true), (strict, true)];
        assert_eq!(way(none, Some(MeshTlsMode::Strict)), up);
        assert_eq!(way(none, Some(MeshTlsMode::Permissive)), up[..3]);
        assert_eq!(way(strict, None), [(strict, false), (clients, false), (listeners, true), (none, true)]);
        for stage in STEPS {
            assert_eq!((next(stage, stage), waits(stage, stage)), (stage, false));
        }
    }

    /// What clients of one step do with listeners of the same and of the next one: every pair that is there at a time fits.
    #[test]
    fn clients_and_listeners_of_neighbouring_steps_understand_each_other() {
        let node = spec(
            Kind::VirtualNode,
            json!({"listeners": [{"portMapping": {"port": 80, "protocol": "http"}}]}),
        );
        let listener = |stage| json_of(&with_defaults(&node, stage))["listeners"][0]["tls"]["mode"].clone();
        let client = |stage| {
            let policy =
                json_of(&with_defaults(&node, stage))["backendDefaults"]["clientPolicy"]["tls"].clone();
            match (policy.is_null(), policy["enforce"] == json!(false)) {
                (true, _) => "plaintext",
                (_, true) => "offered",
                (_, false) => "required",
            }
        };
        let fits = |client: &str, listener: &Value| match listener.as_str() {
            None => client != "required",
            Some("PERMISSIVE") => true,
            Some(_) => client != "plaintext",
        };
        for pair in STEPS.windows(2) {
            for (clients, listeners) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let (client, listener) = (client(pair[clients]), listener(pair[listeners]));
                assert!(fits(client, &listener), "{pair:?}: {client} {listener}");
            }
        }
    }

    #[test]
    fn what_a_node_says_itself_stays_and_the_rest_is_added_and_shown() {
        let own = json!({"mode": "DISABLED", "certificate": {"sds": {"secretName": "x"}}});
        let declared = spec(
            Kind::VirtualNode,
            json!({
                "listeners": [{"portMapping": {"port": 80, "protocol": "http"}},
                    {"portMapping": {"port": 81, "protocol": "tcp"}, "tls": own}],
            }),
        );
        assert_eq!(with_defaults(&declared, None), declared);
        let strict = json_of(&with_defaults(&declared, Some(MeshTlsStage::Strict)));
        let trust = json!({"trust": {"sds": {"secretName": "fleetmesh-ca"}}});
        let certificate = json!({"sds": {"secretName": "fleetmesh"}});
        assert_eq!(
            strict["listeners"][0]["tls"],
            json!({"mode": "STRICT", "certificate": certificate, "validation": trust})
        );
        assert_eq!(strict["listeners"][1]["tls"], own);
        assert_eq!(
            strict["backendDefaults"]["clientPolicy"]["tls"],
            json!({"certificate": certificate, "validation": trust})
        );
        let shown = |declared: &Spec, stage| added(declared, Some(stage)).map(|added| json!(added));
        assert_eq!(
            shown(&declared, MeshTlsStage::Strict),
            Some(json!({"listeners": "STRICT", "backends": "Required"}))
        );
        assert_eq!(
            shown(&declared, MeshTlsStage::Clients),
            Some(json!({"listeners": "PERMISSIVE", "backends": "Offered"}))
        );
        assert_eq!(shown(&declared, MeshTlsStage::Listeners), Some(json!({"listeners": "PERMISSIVE"})));

        let policy = json!({"clientPolicy": {"tls": {"validation": {"trust": {"file": {"certificateChain": "/ca"}}}}}});
        let settled = spec(
            Kind::VirtualNode,
            json!({
            "listeners": [{"portMapping": {"port": 81, "protocol": "tcp"}, "tls": own}], "backendDefaults": policy}),
        );
        for stage in STEPS {
            assert_eq!((with_defaults(&settled, stage), added(&settled, stage)), (settled.clone(), None));
        }
        let gateway = spec(
            Kind::VirtualGateway,
            json!({"listeners": [{"portMapping": {"port": 80, "protocol": "http"}}]}),
        );
        let strict = json_of(&with_defaults(&gateway, Some(MeshTlsStage::Strict)));
        assert!(strict["listeners"][0]["tls"].is_null(), "its clients are outside of the mesh");
        assert!(!strict["backendDefaults"].is_null());
        assert_eq!(shown(&gateway, MeshTlsStage::Strict), Some(json!({"backends": "Required"})));
        let router = spec(Kind::VirtualRouter, json!({}));
        assert_eq!((with_defaults(&router, STEPS[3]), added(&router, STEPS[3])), (router.clone(), None));
    }

    #[test]
    fn the_mesh_says_what_the_next_step_waits_for() {
        let (goal, listeners) = (goal(Some(MeshTlsMode::Strict)), Some(MeshTlsStage::Listeners));
        let key = |name: &str| ObjectKey {
            kind: Kind::VirtualNode,
            namespace: Some("shop".to_owned()),
            name: name.to_owned(),
        };
        let keys = ["a", "b", "c", "d"].map(key);
        let said = status(listeners, goal, &keys).expect("a status").waiting.expect("it waits");
        assert!(
            said.contains("VirtualNode shop/a, VirtualNode shop/b, VirtualNode shop/c and 1 more"),
            "{said}"
        );
        assert_eq!(status(goal, goal, &[]).expect("a status").waiting, None);
        assert_eq!(status(None, None, &[]), None);
    }
}
