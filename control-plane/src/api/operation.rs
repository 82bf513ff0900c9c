//! Which operation a request asks for: method and raw path to a value. Names arrive percent-encoded, so the path is
//! split before it is decoded. Pure.

use fleetmesh_mesh::refusal::Refusal;
use fleetmesh_model::resource::API_VERSION;
use fleetmesh_model::{Account, Collection, MeshName, ResourceId};
use http::Method;
use percent_encoding::percent_decode_str;

use super::validate::name_length;

/// An operation of the API and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are App Mesh's verbs")]
pub enum Operation {
    Create(Collection),
    Describe(ResourceId),
    Update(ResourceId),
    Delete(ResourceId),
    List(Collection),
    ListTagsForResource,
    TagResource,
    UntagResource,
}

/// What a path names.
enum MemberPlace {
    One(ResourceId),
    Many(Collection),
    Tags,
    Tag,
    Untag,
}

impl Operation {
    /// The operation that `method` on the raw (undecoded) `path` asks for.
    ///
    /// # Errors
    /// Not found, naming the path, when there is no such operation; a bad request when the path is no text, or a name in it is
    /// longer than one can be.
    pub fn parse(method: &Method, path: &str) -> Result<Self, Refusal> {
        let unknown = || {
            let message = format!(
                "{method} {path} is no operation of the App Mesh API; its paths begin with /{API_VERSION}/meshes"
            );
            Refusal::not_found(message)
        };
        let mut segments = path.trim_start_matches('/').split('/');
        if segments.next() != Some(API_VERSION) {
            return Err(unknown());
        }
        let rest = segments.map(decode).collect::<Result<Vec<_>, _>>()?;
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        let place = place(&rest).ok_or_else(unknown)?;
        names_fit(&place)?;
        match (method, place) {
            (&Method::GET, MemberPlace::One(id)) => Ok(Self::Describe(id)),
            (&Method::PUT, MemberPlace::One(id)) => Ok(Self::Update(id)),
            (&Method::DELETE, MemberPlace::One(id)) => Ok(Self::Delete(id)),
            (&Method::GET, MemberPlace::Many(collection)) => Ok(Self::List(collection)),
            (&Method::PUT, MemberPlace::Many(collection)) => Ok(Self::Create(collection)),
            (&Method::GET, MemberPlace::Tags) => Ok(Self::ListTagsForResource),
            (&Method::PUT, MemberPlace::Tag) => Ok(Self::TagResource),
            (&Method::PUT, MemberPlace::Untag) => Ok(Self::UntagResource),
            _ => Err(unknown()),
        }
    }

    /// The same operation on the mesh of the same name that `owner` owns. What a tag is of its ARN says.
    #[must_use]
    pub fn owned_by(self, owner: Account) -> Self {
        match self {
            Self::Create(collection) => Self::Create(collection.owned_by(owner)),
            Self::Describe(id) => Self::Describe(id.owned_by(owner)),
            Self::Update(id) => Self::Update(id.owned_by(owner)),
            Self::Delete(id) => Self::Delete(id.owned_by(owner)),
            Self::List(collection) => Self::List(collection.owned_by(owner)),
            Self::ListTagsForResource | Self::TagResource | Self::UntagResource => self,
        }
    }

    /// The mesh that it is about, unless that is in the body or in the ARN of a tagged resource.
    pub fn mesh(&self) -> Option<MeshName> {
        match self {
            Self::Describe(id) | Self::Update(id) | Self::Delete(id) => Some(id.mesh_name().clone()),
            Self::Create(collection) | Self::List(collection) => {
                collection.parent().map(|parent| parent.mesh_name().clone())
            }
            Self::ListTagsForResource | Self::TagResource | Self::UntagResource => None,
        }
    }

    /// App Mesh's verb, without the kind.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Create(_) => "Create",
            Self::Describe(_) => "Describe",
            Self::Update(_) => "Update",
            Self::Delete(_) => "Delete",
            Self::List(_) => "List",
            Self::ListTagsForResource => "ListTagsForResource",
            Self::TagResource => "TagResource",
            Self::UntagResource => "UntagResource",
        }
    }
}

fn decode(segment: &str) -> Result<String, Refusal> {
    percent_decode_str(segment).decode_utf8().map(Into::into).map_err(|_| {
        Refusal::bad_request(format!("the path segment {segment:?} is not UTF-8 after percent-decoding"))
    })
}

fn place(segments: &[&str]) -> Option<MemberPlace> {
    match *segments {
        ["tags"] => Some(MemberPlace::Tags),
        ["tag"] => Some(MemberPlace::Tag),
        ["untag"] => Some(MemberPlace::Untag),
        _ => Some(match Collection::parse(segments)? {
            (collection, Some(name)) => MemberPlace::One(collection.member(name)),
            (collection, None) => MemberPlace::Many(collection),
        }),
    }
}

/// Checks the names of what a path leads to, each by the member that the API has it in.
fn names_fit(place: &MemberPlace) -> Result<(), Refusal> {
    let fit =
        |id: &ResourceId| id.lineage().try_for_each(|(kind, name)| name_length(kind.info().member, name));
    match place {
        MemberPlace::One(id) => fit(id),
        MemberPlace::Many(collection) => collection.parent().as_ref().map_or(Ok(()), fit),
        MemberPlace::Tags | MemberPlace::Tag | MemberPlace::Untag => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use fleetmesh_mesh::refusal::Class;

    use super::*;

    fn parse(method: Method, path: &str) -> Operation {
        Operation::parse(&method, path).expect(path)
    }

    #[test]
    fn names_are_decoded_after_the_path_is_split() {
        let id = ResourceId::virtual_service("a/b", "s.local:80 ü");
        let path = "/v20190125/meshes/a%2Fb/virtualServices/s.local%3A80%20%C3%BC";
        assert_eq!(parse(Method::GET, path), Operation::Describe(id));
    }

    #[test]
    fn routes_hang_on_a_singular_router() {
        let routes = Collection::routes("apps", "r");
        let path = "/v20190125/meshes/apps/virtualRouter/r/routes";
        assert_eq!(parse(Method::PUT, path), Operation::Create(routes.clone()));
        assert_eq!(parse(Method::GET, path), Operation::List(routes));
        let route = ResourceId::route("apps", "r", "x");
        assert_eq!(parse(Method::DELETE, &format!("{path}/x")), Operation::Delete(route));
        let plural = Operation::parse(&Method::GET, "/v20190125/meshes/apps/virtualRouters/r/routes");
        assert_eq!(plural.map_err(|refusal| refusal.class), Err(Class::NotFound));
    }

    #[test]
    fn what_is_no_operation_is_refused_by_name() {
        for (method, path) in [
            (Method::POST, "/v20190125/meshes"),
            (Method::GET, "/"),
            (Method::GET, "/v20190125"),
            (Method::GET, "/v20190125/meshes/apps/virtualThings"),
            (Method::GET, "/v20190125/tag"),
            (Method::GET, "/v20200101/meshes"),
        ] {
            let refusal = Operation::parse(&method, path).expect_err(path);
            assert_eq!(refusal.class, Class::NotFound);
            assert!(refusal.message.contains(path), "{refusal}");
        }
    }

    #[test]
    fn a_name_that_is_too_long_is_a_bad_request_that_names_its_member() {
        let (longest, longer) = ("n".repeat(255), "n".repeat(256));
        parse(Method::GET, &format!("/v20190125/meshes/{longest}/virtualRouter/{longest}/routes/{longest}"));
        for (path, member) in [
            (format!("/v20190125/meshes/{longer}/virtualRouter/r/routes"), "meshName"),
            (format!("/v20190125/meshes/m/virtualRouter/{longer}/routes"), "virtualRouterName"),
            (format!("/v20190125/meshes/m/virtualGateway/g/gatewayRoutes/{longer}"), "gatewayRouteName"),
            ("/v20190125/meshes//virtualNodes".to_owned(), "meshName"),
        ] {
            let refusal = Operation::parse(&Method::PUT, &path).expect_err(&path);
            assert_eq!(refusal.class, Class::BadRequest);
            assert!(refusal.message.starts_with(&format!("{member}: must have 1 to 255")), "{refusal}");
        }
    }

    #[test]
    fn gateway_routes_hang_on_a_singular_gateway() {
        let routes = Collection::gateway_routes("apps", "g");
        let path = "/v20190125/meshes/apps/virtualGateway/g/gatewayRoutes";
        assert_eq!(parse(Method::PUT, path), Operation::Create(routes.clone()));
        assert_eq!(parse(Method::GET, path), Operation::List(routes));
        let route = ResourceId::gateway_route("apps", "g", "x");
        assert_eq!(parse(Method::PUT, &format!("{path}/x")), Operation::Update(route));
        let gateway = ResourceId::virtual_gateway("apps", "g");
        let plural = "/v20190125/meshes/apps/virtualGateways/g";
        assert_eq!(parse(Method::GET, plural), Operation::Describe(gateway));
        let plural = Operation::parse(&Method::GET, &format!("{plural}/gatewayRoutes"));
        assert_eq!(plural.map_err(|refusal| refusal.class), Err(Class::NotFound));
    }
}
