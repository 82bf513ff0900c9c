//! The kinds of App Mesh resources that Fleetmesh serves: one table that says what each is called, where it lies and what it
//! names. Identities, ARNs, REST paths, quotas, grants and IAM actions follow from it. Pure data.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is known of a kind before any of its specs is looked at.
#[derive(Debug)]
pub struct KindInfo {
    /// Its name in Kubernetes, in the API's operations and in messages, for example `VirtualNode`.
    pub name: &'static str,
    /// The name in the plural, for example `VirtualNodes`: in the API's operation `ListVirtualNodes`, and in lower case in
    /// Kubernetes' paths and roles.
    pub plural: &'static str,
    /// In sentences, for example `virtual node`.
    pub words: &'static str,
    /// Its segment in ARNs, before the resource's name, for example `virtualNode`.
    pub segment: &'static str,
    /// Its collection: the segment in REST paths and the member of a list's answer, for example `virtualNodes`.
    pub collection: &'static str,
    /// The member that holds the resource's name in requests, in answers and in custom resources, for example
    /// `virtualNodeName`.
    pub member: &'static str,
    /// The name of its quota, for example `virtual-nodes`.
    pub quota: &'static str,
    /// The kind that its resources lie in; nothing for a mesh.
    pub parent: Option<Kind>,
    /// The segment of REST paths, before the resource's name, below which what lies in it is found: `virtualRouter` for
    /// routes. Nothing when nothing lies in it.
    pub children: Option<&'static str>,
    /// The kinds, apart from the parent, that its specs name and that have to exist: they cannot be deleted before.
    pub requires: &'static [Kind],
    /// The kinds that its specs name and that need not exist.
    pub mentions: &'static [Kind],
    /// Whether proxies run its resources: these have certificates and ask for a configuration.
    pub has_proxies: bool,
    /// Whether an account that a mesh is shared with may make some of them in it. Else its owner alone may.
    pub by_consumers: bool,
    /// Whether a request that creates one has to have a spec.
    pub spec_required: bool,
}

impl KindInfo {
    /// Whether its specs name resources of other kinds, apart from the parent. Those who own what is named may have to permit
    /// it, and what is named by it gets requests.
    pub const fn names_others(&self) -> bool {
        !self.requires.is_empty() || !self.mentions.is_empty()
    }
}

/// Makes the enum of the kinds and its table, so that neither has a kind that the other has not.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident { $($member:ident: $value:expr),* $(,)? })*) => {
        /// The kinds of App Mesh resources that Fleetmesh serves, in the order in which they depend on each other.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Kind {
            $($(#[$doc])* $kind),*
        }

        impl Kind {
            /// Every kind, a referent before what refers to it.
            pub const ALL: [Self; COUNT] = [$(Self::$kind),*];
        }

        /// How many kinds there are.
        const COUNT: usize = [$(stringify!($kind)),*].len();

        /// What is known of each kind, in the order of [`Kind::ALL`].
        pub const KINDS: [KindInfo; COUNT] =
            [$(KindInfo { name: stringify!($kind), $($member: $value),* }),*];
    };
}

kinds! {
    /// A service mesh.
    Mesh {
        plural: "Meshes",
        words: "mesh",
        segment: "mesh",
        collection: "meshes",
        member: "meshName",
        quota: "meshes",
        parent: None,
        children: Some("meshes"),
        requires: &[],
        mentions: &[],
        has_proxies: false,
        by_consumers: false,
        spec_required: false,
    }
    /// The instances of one version of one service.
    VirtualNode {
        plural: "VirtualNodes",
        words: "virtual node",
        segment: "virtualNode",
        collection: "virtualNodes",
        member: "virtualNodeName",
        quota: "virtual-nodes",
        parent: Some(Kind::Mesh),
        children: None,
        requires: &[],
        mentions: &[Kind::VirtualService],
        has_proxies: true,
        by_consumers: true,
        spec_required: true,
    }
    /// What splits the traffic of virtual services by its routes.
    VirtualRouter {
        plural: "VirtualRouters",
        words: "virtual router",
        segment: "virtualRouter",
        collection: "virtualRouters",
        member: "virtualRouterName",
        quota: "virtual-routers",
        parent: Some(Kind::Mesh),
        children: Some("virtualRouter"),
        requires: &[],
        mentions: &[],
        has_proxies: false,
        by_consumers: true,
        spec_required: true,
    }
    /// Which requests a virtual router takes and how it shares them among virtual nodes.
    Route {
        plural: "Routes",
        words: "route",
        segment: "route",
        collection: "routes",
        member: "routeName",
        quota: "routes",
        parent: Some(Kind::VirtualRouter),
        children: None,
        requires: &[Kind::VirtualNode],
        mentions: &[],
        has_proxies: false,
        by_consumers: true,
        spec_required: true,
    }
    /// A name that callers use.
    VirtualService {
        plural: "VirtualServices",
        words: "virtual service",
        segment: "virtualService",
        collection: "virtualServices",
        member: "virtualServiceName",
        quota: "virtual-services",
        parent: Some(Kind::Mesh),
        children: None,
        requires: &[Kind::VirtualNode, Kind::VirtualRouter],
        mentions: &[],
        has_proxies: false,
        by_consumers: true,
        spec_required: true,
    }
    /// What takes requests from outside the mesh into it.
    VirtualGateway {
        plural: "VirtualGateways",
        words: "virtual gateway",
        segment: "virtualGateway",
        collection: "virtualGateways",
        member: "virtualGatewayName",
        quota: "virtual-gateways",
        parent: Some(Kind::Mesh),
        children: Some("virtualGateway"),
        requires: &[],
        mentions: &[],
        has_proxies: true,
        by_consumers: false,
        spec_required: true,
    }
    /// Which requests a virtual gateway takes and to which virtual service it leads them.
    GatewayRoute {
        plural: "GatewayRoutes",
        words: "gateway route",
        segment: "gatewayRoute",
        collection: "gatewayRoutes",
        member: "gatewayRouteName",
        quota: "gateway-routes",
        parent: Some(Kind::VirtualGateway),
        children: None,
        requires: &[Kind::VirtualService],
        mentions: &[],
        has_proxies: false,
        by_consumers: false,
        spec_required: true,
    }
}

// What identities and paths rest on.
const _: () = {
    let mut at = 0;
    while at < COUNT {
        match KINDS[at].parent {
            None => assert!(at == 0, "only a mesh, which is the first kind, lies in nothing"),
            Some(parent) => {
                let parent = parent as usize;
                assert!(parent < at, "a kind comes after the kind that it lies in");
                assert!(KINDS[parent].children.is_some(), "what others lie in has a path for them");
                if let Some(above) = KINDS[parent].parent {
                    assert!(
                        KINDS[above as usize].parent.is_none(),
                        "an identity has a mesh, a parent and a name"
                    );
                }
            }
        }
        at += 1;
    }
};

static TABLE: [KindInfo; COUNT] = KINDS;

impl Kind {
    /// What is known of the kind.
    pub const fn info(self) -> &'static KindInfo {
        &TABLE[self as usize]
    }

    /// The kind's name in Kubernetes and in messages.
    pub const fn as_str(self) -> &'static str {
        self.info().name
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The words of a name: `VirtualNode` is `virtual` and `node`.
    fn parts(name: &str) -> Vec<String> {
        let mut parts: Vec<String> = Vec::new();
        for letter in name.chars() {
            match parts.last_mut() {
                Some(part) if letter.is_lowercase() => part.push(letter),
                _ => parts.push(letter.to_lowercase().to_string()),
            }
        }
        parts
    }

    fn camel(name: &str) -> String {
        let first = name.chars().take(1).flat_map(char::to_lowercase);
        first.chain(name.chars().skip(1)).collect()
    }

    /// What is wrong with a table, row by row.
    fn faults(table: &[&KindInfo]) -> Vec<String> {
        let mut faults = Vec::new();
        for info in table {
            let mut expect = |column: &str, is: &str, expected: String| {
                if is != expected {
                    faults.push(format!("{}.{column}: {is:?} is not {expected:?}", info.name));
                }
            };
            expect("words", info.words, parts(info.name).join(" "));
            expect("segment", info.segment, camel(info.name));
            expect("collection", info.collection, camel(info.plural));
            expect("member", info.member, format!("{}Name", camel(info.name)));
            expect("quota", info.quota, parts(info.plural).join("-"));
            if let Some(children) = info.children.filter(|_| info.parent.is_some()) {
                expect("children", children, camel(info.name));
            }
        }
        let mut seen = BTreeSet::new();
        for info in table {
            for (column, is) in [("name", info.name), ("plural", info.plural), ("segment", info.segment)] {
                if !seen.insert((column, is)) {
                    faults.push(format!("{}.{column}: {is:?} is another's, too", info.name));
                }
            }
        }
        faults
    }

    #[test]
    fn the_table_says_the_same_in_every_spelling() {
        assert_eq!(faults(&KINDS.iter().collect::<Vec<_>>()), [""; 0]);
    }

    #[test]
    fn a_row_that_contradicts_itself_or_another_is_named() {
        let gateway = KindInfo {
            by_consumers: false,
            name: "EgressGateway",
            plural: "EgressGateways",
            words: "gateway",
            segment: "virtualNode",
            collection: "egressGateways",
            member: "gatewayName",
            quota: "egress-gateways",
            parent: Some(Kind::Mesh),
            children: Some("egressGateways"),
            requires: &[],
            mentions: &[],
            has_proxies: true,
            spec_required: true,
        };
        let table: Vec<&KindInfo> = KINDS.iter().chain([&gateway]).collect();
        assert_eq!(
            faults(&table),
            [
                r#"EgressGateway.words: "gateway" is not "egress gateway""#,
                r#"EgressGateway.segment: "virtualNode" is not "egressGateway""#,
                r#"EgressGateway.member: "gatewayName" is not "egressGatewayName""#,
                r#"EgressGateway.children: "egressGateways" is not "egressGateway""#,
                r#"EgressGateway.segment: "virtualNode" is another's, too"#,
            ]
        );
    }

    #[test]
    fn each_kind_has_its_own_row() {
        for (kind, info) in Kind::ALL.into_iter().zip(&KINDS) {
            assert_eq!(format!("{kind:?}"), info.name);
            assert_eq!(kind.info().name, info.name);
        }
    }
}
