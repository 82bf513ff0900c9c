//! The identity of a resource inside an account, and the collections that resources are in, by the table of kinds. Pure data.

use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::account::{Account, AccountId};
use crate::kind::Kind;
use crate::mesh_name::MeshName;

/// What identifies a resource. It displays as the resource part of its ARN, for example
/// `mesh/apps/virtualRouter/serviceB/route/serviceB`; in a mesh of another account than the first as App Mesh's short form for
/// shared meshes, `mesh/apps@444455556666/virtualRouter/…`. Identities sort by kind, then by the mesh, then by the names from the
/// mesh down: the members of a [`Collection`] lie side by side.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    kind: Kind,
    /// The mesh it is, or is in.
    mesh: MeshName,
    /// What it lies in, unless that is the mesh.
    parent: Option<String>,
    name: String,
}

/// The first segment of every REST path of App Mesh's API: its version.
pub const API_VERSION: &str = "v20190125";

impl ResourceId {
    /// The mesh called `mesh`.
    pub fn mesh(mesh: impl Into<MeshName>) -> Self {
        let mesh = mesh.into();
        Self { kind: Kind::Mesh, parent: None, name: mesh.name().to_owned(), mesh }
    }

    /// The virtual node `name` of `mesh`.
    pub fn virtual_node(mesh: impl Into<MeshName>, name: impl Into<String>) -> Self {
        Self { kind: Kind::VirtualNode, mesh: mesh.into(), parent: None, name: name.into() }
    }

    /// The virtual router `name` of `mesh`.
    pub fn virtual_router(mesh: impl Into<MeshName>, name: impl Into<String>) -> Self {
        Self { kind: Kind::VirtualRouter, mesh: mesh.into(), parent: None, name: name.into() }
    }

    /// The route `name` of the virtual router `router` of `mesh`.
    pub fn route(mesh: impl Into<MeshName>, router: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind: Kind::Route, mesh: mesh.into(), parent: Some(router.into()), name: name.into() }
    }

    /// The virtual service `name` of `mesh`.
    pub fn virtual_service(mesh: impl Into<MeshName>, name: impl Into<String>) -> Self {
        Self { kind: Kind::VirtualService, mesh: mesh.into(), parent: None, name: name.into() }
    }

    /// The virtual gateway `name` of `mesh`.
    pub fn virtual_gateway(mesh: impl Into<MeshName>, name: impl Into<String>) -> Self {
        Self { kind: Kind::VirtualGateway, mesh: mesh.into(), parent: None, name: name.into() }
    }

    /// The gateway route `name` of the virtual gateway `gateway` of `mesh`.
    pub fn gateway_route(
        mesh: impl Into<MeshName>,
        gateway: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self { kind: Kind::GatewayRoute, mesh: mesh.into(), parent: Some(gateway.into()), name: name.into() }
    }

    /// The kind of the resource.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The mesh it is, or is in, with the account that owns that: what is made from it is in the same mesh.
    pub fn mesh_name(&self) -> &MeshName {
        &self.mesh
    }

    /// The resource of the same names in the mesh of the same name that `owner` owns.
    #[must_use]
    pub fn owned_by(self, owner: Account) -> Self {
        Self { mesh: MeshName::new(owner, self.mesh.name()), ..self }
    }

    /// The resource of the same names in `mesh`, or `mesh` for a mesh.
    #[must_use]
    fn renamed(self, mesh: MeshName) -> Self {
        let name = if self.kind == Kind::Mesh { mesh.name().to_owned() } else { self.name };
        Self { mesh, name, ..self }
    }

    /// The resource's own name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it lies in: a route in its virtual router, a gateway route in its virtual gateway, the other kinds in their mesh;
    /// nothing for a mesh.
    pub fn parent(&self) -> Option<Self> {
        let kind = self.kind.info().parent?;
        let name = self.parent.as_deref().unwrap_or(self.mesh.name()).to_owned();
        Some(Self { kind, mesh: self.mesh.clone(), parent: None, name })
    }

    /// The collection that it is in.
    pub fn collection(&self) -> Collection {
        let mesh = self.kind.info().parent.is_some().then(|| self.mesh.name().to_owned());
        Collection { kind: self.kind, owner: self.mesh.owner(), mesh, parent: self.parent.clone() }
    }

    /// The kinds and names of all that it lies in, the mesh first, and of itself.
    pub fn lineage(&self) -> impl DoubleEndedIterator<Item = (Kind, &str)> {
        let within = self.kind.info().parent;
        let mesh = within.is_some().then_some((Kind::Mesh, self.mesh.name()));
        let parent = within.zip(self.parent.as_deref());
        [mesh, parent, Some((self.kind, self.name.as_str()))].into_iter().flatten()
    }

    /// The resource part of its ARN, which does not say who owns the mesh: the ARN says that before it.
    pub fn path(&self) -> String {
        let parts = self.lineage().map(|(kind, name)| format!("{}/{name}", kind.info().segment));
        parts.collect::<Vec<_>>().join("/")
    }

    /// Parses the resource part of an ARN, in a mesh of the first account; the error says what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split('/');
        let mut found: Option<Self> = None;
        while let Some(segment) = parts.next() {
            let name = parts.next().filter(|name| !name.is_empty());
            let in_it = Collection::of_segment(found.as_ref(), segment);
            found = in_it.zip(name).map(|(collection, name)| collection.member(name));
            if found.is_none() {
                break;
            }
        }
        found.ok_or_else(|| expected(text))
    }

    /// Parses App Mesh's short form: the resource by its names, in a mesh of the first account, and the account that
    /// `mesh/NAME@ACCOUNT/…` says, if it says one; the error says what was expected.
    pub fn parse_short(text: &str) -> Result<(Self, Option<AccountId>), String> {
        let resource = Self::parse(text)?;
        let short = MeshName::split(resource.mesh.name()).map(|(name, owner)| (MeshName::from(name), owner));
        Ok(match short {
            Some((mesh, owner)) => (resource.renamed(mesh), Some(owner)),
            None => (resource, None),
        })
    }
}

fn expected(text: &str) -> String {
    format!(
        "{text:?} is not a resource: expected mesh/MESH/virtualNode/NAME, mesh/MESH or another kind of App Mesh's"
    )
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (kind, name)) in self.lineage().enumerate() {
            let slash = if at == 0 { "" } else { "/" };
            write!(f, "{slash}{}/{name}", kind.info().segment)?;
            if let (0, Account::Other(owner)) = (at, self.mesh.owner()) {
                write!(f, "@{owner}")?;
            }
        }
        Ok(())
    }
}

/// As `{"Route": {"mesh": …, "virtual_router": …, "route": …}}`, with `mesh_owner` in the mesh of another account than the
/// first. The hashes of spent client tokens, which are stored, are made of this: it never changes.
impl Serialize for ResourceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct HashedNames<'a>(&'a ResourceId);

        impl Serialize for HashedNames<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let owner = match self.0.mesh.owner() {
                    Account::First => None,
                    Account::Other(owner) => Some(("mesh_owner".to_owned(), owner.to_string())),
                };
                let names = self.0.lineage();
                let names = names.map(|(kind, name)| (kind.info().words.replace(' ', "_"), name.to_owned()));
                serializer.collect_map(owner.into_iter().chain(names))
            }
        }

        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.kind.as_str(), &HashedNames(self))?;
        map.end()
    }
}

/// All resources of one kind that lie in the same place: all meshes, the virtual nodes of a mesh, the routes of a virtual
/// router.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Collection {
    kind: Kind,
    /// Who owns the mesh they are in, or the meshes.
    owner: Account,
    /// The mesh they are in; nothing for meshes.
    mesh: Option<String>,
    /// What they lie in, unless that is the mesh.
    parent: Option<String>,
}

impl Collection {
    /// The resources of `kind` in `parent`; `None` when none can lie there.
    pub fn of(kind: Kind, parent: Option<&ResourceId>) -> Option<Self> {
        if parent.map(ResourceId::kind) != kind.info().parent {
            return None;
        }
        let within = parent.filter(|parent| parent.kind.info().parent.is_some());
        Some(Self {
            kind,
            owner: parent.map(|parent| parent.mesh.owner()).unwrap_or_default(),
            mesh: parent.map(|parent| parent.mesh.name().to_owned()),
            parent: within.map(|parent| parent.name.clone()),
        })
    }

    /// The collection of the same names in the mesh of the same name that `owner` owns, or of its meshes.
    #[must_use]
    pub fn owned_by(self, owner: Account) -> Self {
        Self { owner, ..self }
    }

    /// The routes of the virtual router `router` of `mesh`.
    pub fn routes(mesh: impl Into<MeshName>, router: impl Into<String>) -> Self {
        let mesh = mesh.into();
        let (owner, mesh) = (mesh.owner(), Some(mesh.name().to_owned()));
        Self { kind: Kind::Route, owner, mesh, parent: Some(router.into()) }
    }

    /// The gateway routes of the virtual gateway `gateway` of `mesh`.
    pub fn gateway_routes(mesh: impl Into<MeshName>, gateway: impl Into<String>) -> Self {
        let mesh = mesh.into();
        let (owner, mesh) = (mesh.owner(), Some(mesh.name().to_owned()));
        Self { kind: Kind::GatewayRoute, owner, mesh, parent: Some(gateway.into()) }
    }

    fn of_segment(parent: Option<&ResourceId>, segment: &str) -> Option<Self> {
        let mut kinds = Kind::ALL.into_iter().filter(|kind| kind.info().segment == segment);
        kinds.find_map(|kind| Self::of(kind, parent))
    }

    /// The collection that a REST path below the API's version is about, and the name of its member if it is about one. The
    /// segments are already decoded. `None` when there is no such collection.
    pub fn parse<'a>(segments: &[&'a str]) -> Option<(Self, Option<&'a str>)> {
        let mut parent: Option<ResourceId> = None;
        let mut rest = segments;
        loop {
            let here = |is: &dyn Fn(Kind) -> bool| {
                let mut kinds = Kind::ALL.into_iter().filter(|kind| is(*kind));
                kinds.find_map(|kind| Self::of(kind, parent.as_ref()))
            };
            match *rest {
                [] => return None,
                [collection] => return Some((here(&|kind| kind.info().collection == collection)?, None)),
                [collection, name] => {
                    return Some((here(&|kind| kind.info().collection == collection)?, Some(name)));
                }
                [holder, name, ..] => {
                    let holders = here(&|kind| kind.info().children == Some(holder))?;
                    parent = Some(holders.member(name));
                    rest = rest.get(2..)?;
                }
            }
        }
    }

    /// The segments of its REST path below the API's version, not encoded; a member's name follows.
    pub fn path(&self) -> Vec<&str> {
        let info = self.kind.info();
        let mesh = self.mesh.as_deref().zip(Kind::Mesh.info().children);
        let parent = self.parent.as_deref().zip(info.parent.and_then(|parent| parent.info().children));
        let above = [mesh, parent].into_iter().flatten().flat_map(|(name, holder)| [holder, name]);
        above.chain([info.collection]).collect()
    }

    /// The kind of its members.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The identity of its member `name`.
    pub fn member(&self, name: &str) -> ResourceId {
        ResourceId {
            kind: self.kind,
            mesh: MeshName::new(self.owner, self.mesh.as_deref().unwrap_or(name)),
            parent: self.parent.clone(),
            name: name.to_owned(),
        }
    }

    /// What its members lie in; nothing for meshes.
    pub fn parent(&self) -> Option<ResourceId> {
        self.member("").parent()
    }

    /// Whether `id` is a member.
    pub fn contains(&self, id: &ResourceId) -> bool {
        self.kind == id.kind
            && self.owner == id.mesh.owner()
            && self.parent == id.parent
            && self.mesh.as_ref().is_none_or(|mesh| mesh == id.mesh.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples() -> [ResourceId; 7] {
        [
            ResourceId::mesh("apps"),
            ResourceId::virtual_node("apps", "serviceB"),
            ResourceId::virtual_router("apps", "serviceB"),
            ResourceId::route("apps", "serviceB", "r"),
            ResourceId::virtual_service("apps", "serviceb.apps.local"),
            ResourceId::virtual_gateway("apps", "edge"),
            ResourceId::gateway_route("apps", "edge", "r"),
        ]
    }

    /// A resource of the kind, in others that are made the same way.
    fn some(kind: Kind) -> ResourceId {
        let parent = kind.info().parent.map(some);
        Collection::of(kind, parent.as_ref()).expect("a collection").member(&format!("a {kind}"))
    }

    #[test]
    fn every_kind_parses_back() {
        for id in Kind::ALL.map(some).into_iter().chain(examples()) {
            assert_eq!(ResourceId::parse(&id.to_string()), Ok(id.clone()));
            let (path, name) = (id.collection(), id.name());
            let named: Vec<&str> = path.path().into_iter().chain([name]).collect();
            assert_eq!(Collection::parse(&named), Some((id.collection(), Some(name))));
        }
        assert_eq!(Kind::ALL.map(|kind| some(kind).kind()), Kind::ALL);
        assert!(examples().map(|id| id.kind()).is_sorted());
    }

    #[test]
    fn nonsense_is_refused_with_what_was_expected() {
        for text in [
            "",
            "mesh",
            "mesh/",
            "mesh/a/virtualNode",
            "mesh/a/virtualNode/",
            "mesh/a/virtualNode/b/c",
            "mesh/a/route/b",
            "mesh/a/mesh/b",
            "mesh/a/virtualNode/b/route/c",
            "virtualNode/a",
            "mesh/a/virtualRouter//route/c",
            "mesh/a/virtualRouter/b/route/c/route/d",
        ] {
            let error = ResourceId::parse(text).expect_err(text);
            assert!(error.contains("expected mesh/MESH/virtualNode/NAME"), "{error}");
        }
    }

    #[test]
    fn the_hashed_form_never_changes() {
        let texts = examples().map(|id| serde_json::to_string(&id).expect("JSON"));
        assert_eq!(
            texts,
            [
                r#"{"Mesh":{"mesh":"apps"}}"#,
                r#"{"VirtualNode":{"mesh":"apps","virtual_node":"serviceB"}}"#,
                r#"{"VirtualRouter":{"mesh":"apps","virtual_router":"serviceB"}}"#,
                r#"{"Route":{"mesh":"apps","virtual_router":"serviceB","route":"r"}}"#,
                r#"{"VirtualService":{"mesh":"apps","virtual_service":"serviceb.apps.local"}}"#,
                r#"{"VirtualGateway":{"mesh":"apps","virtual_gateway":"edge"}}"#,
                r#"{"GatewayRoute":{"mesh":"apps","virtual_gateway":"edge","gateway_route":"r"}}"#,
            ]
        );
    }

    #[test]
    fn a_collection_has_its_members_its_parent_and_its_path() {
        let paths = [
            "meshes",
            "meshes/apps/virtualNodes",
            "meshes/apps/virtualRouters",
            "meshes/apps/virtualRouter/serviceB/routes",
            "meshes/apps/virtualServices",
            "meshes/apps/virtualGateways",
            "meshes/apps/virtualGateway/edge/gatewayRoutes",
        ];
        for (id, path) in examples().into_iter().zip(paths) {
            let collection = id.collection();
            assert_eq!(collection.path().join("/"), path);
            assert!(collection.contains(&id), "{id}");
            assert_eq!(collection.member(id.name()), id);
            assert_eq!(collection.parent(), id.parent());
            assert_eq!(Collection::of(id.kind(), id.parent().as_ref()), Some(collection.clone()));
            let segments: Vec<&str> = path.split('/').collect();
            assert_eq!(Collection::parse(&segments), Some((collection.clone(), None)));
            let named = [segments.as_slice(), &[id.name()]].concat();
            assert_eq!(Collection::parse(&named), Some((collection, Some(id.name()))));
        }
    }

    /// The account 444455556666.
    fn other() -> Account {
        Account::Other("444455556666".parse().expect("an account"))
    }

    #[test]
    fn what_is_in_a_mesh_of_another_account_is_never_what_has_its_names_elsewhere() {
        for id in Kind::ALL.map(some) {
            let others = id.clone().owned_by(other());
            assert_ne!(id, others);
            assert_eq!(others.path(), id.to_string(), "the ARN has the account in its own place");
            assert!(others.to_string().contains("@444455556666"), "{others}");
            assert_ne!(serde_json::to_string(&others).ok(), serde_json::to_string(&id).ok());
            let collection = others.collection();
            assert_eq!(collection.member(id.name()), others);
            assert!(collection.contains(&others) && !collection.contains(&id), "{others}");
            assert!(!id.collection().contains(&others), "{others}");
            assert_eq!(id.collection().owned_by(other()), collection);
            assert_eq!(others.parent(), id.parent().map(|parent| parent.owned_by(other())));
            assert_eq!(others.clone().owned_by(Account::First), id);
        }
        let node = ResourceId::virtual_node("apps", "serviceB").owned_by(other());
        assert_eq!(node.to_string(), "mesh/apps@444455556666/virtualNode/serviceB");
        assert_eq!(ResourceId::virtual_node(node.mesh_name(), "serviceB"), node, "it carries the owner");
        assert_eq!(Collection::routes(node.mesh_name(), "r").member("x").mesh_name(), node.mesh_name());
    }

    #[test]
    fn a_collection_has_nothing_of_another() {
        let routes = Collection::routes("apps", "serviceB");
        for other in [
            ResourceId::route("apps", "other", "r"),
            ResourceId::route("other", "serviceB", "r"),
            ResourceId::virtual_router("apps", "serviceB"),
        ] {
            assert!(!routes.contains(&other), "{other}");
        }
        assert_eq!(Collection::of(Kind::Route, Some(&ResourceId::mesh("apps"))), None);
        for path in
            ["", "x", "meshes/a/routes", "meshes/a/virtualRouters/r/routes", "meshes/a/virtualNode/n/x"]
        {
            assert_eq!(Collection::parse(&path.split('/').collect::<Vec<_>>()), None, "{path}");
        }
    }

    #[test]
    fn members_lie_side_by_side() {
        let mut ids = examples().to_vec();
        ids.extend(["a", "z"].map(|name| ResourceId::route("apps", "serviceB", name)));
        ids.extend(["a", "z"].map(|router| ResourceId::route("apps", router, "r")));
        ids.push(ResourceId::route("a", "z", "r"));
        ids.sort();
        let routes = Collection::routes("apps", "serviceB");
        let from = ids.iter().skip_while(|id| **id < routes.member(""));
        let names: Vec<&str> = from.take_while(|id| routes.contains(id)).map(ResourceId::name).collect();
        assert_eq!(names, ["a", "r", "z"]);
    }
}
