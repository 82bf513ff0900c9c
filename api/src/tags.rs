//! Keys of tags on App Mesh objects, IAM roles and EC2 resources. Programs write and read them, and IAM policies name them, so a key
//! never changes.

use std::ops::RangeInclusive;

/// What keys begin with that belong to Fleetmesh. Users may not set such tags.
pub const TAG_PREFIX: &str = "fleetmesh.dev/";

/// The kind of the resource that owns an object.
pub const OWNER_KIND_TAG: &str = "fleetmesh.dev/owner-kind";
/// The owner's namespace; absent for a cluster-scoped owner.
pub const OWNER_NAMESPACE_TAG: &str = "fleetmesh.dev/owner-namespace";
/// The owner's `metadata.name`.
pub const OWNER_NAME_TAG: &str = "fleetmesh.dev/owner-name";
/// The owner's `metadata.uid`.
pub const OWNER_UID_TAG: &str = "fleetmesh.dev/owner-uid";
/// The identity of the owner's cluster.
pub const OWNER_CLUSTER_TAG: &str = "fleetmesh.dev/owner-cluster";

/// Every tag of ownership. They take [`OWNER_TAGS`]`.len()` of the 50 tags that App Mesh allows.
pub const OWNER_TAGS: [&str; 5] =
    [OWNER_KIND_TAG, OWNER_NAMESPACE_TAG, OWNER_NAME_TAG, OWNER_UID_TAG, OWNER_CLUSTER_TAG];

/// The tag that an operator gives, with [`ASKED`], to an App Mesh object that it makes or adopts and whose references need
/// grants where they are to other namespaces. Objects of operators that did not ask for grants have none. It is given only where
/// the tags of the user leave room for it.
pub const OWNER_GRANTS_TAG: &str = "fleetmesh.dev/owner-grants";
/// The value of [`OWNER_GRANTS_TAG`].
pub const ASKED: &str = "asked";

/// Of a virtual node: the IAM roles whose proxies may read its configuration, separated by spaces, each as its ARN or as its ARN
/// and its unique id, `ARN:AROA…`. No name of a role holds a colon. Of a role that is listed with an id, entries without one
/// count for nothing: they are for control planes that do not know of ids.
pub const PROXY_PRINCIPALS_TAG: &str = "fleetmesh.dev/proxy-principals";

/// Of a virtual node: with [`ANSWERED`], the names of services resolve to virtual addresses on all of its machines
/// (`fleetmesh proxy dns`), which distinguish its tcp backends on one port. The operator gives it to the nodes of fleets that have
/// `proxy.dns`.
pub const PROXY_DNS_TAG: &str = "fleetmesh.dev/proxy-dns";
/// The value of [`PROXY_DNS_TAG`].
pub const ANSWERED: &str = "true";

/// Of a virtual node or gateway: how many KiB of headers a request to its proxies may have, as a whole number within
/// [`HEADERS_KIB`]. App Mesh has no member for it; without the tag it is Envoy's default, [`DEFAULT_HEADERS_KIB`].
pub const HEADERS_KIB_TAG: &str = "fleetmesh.dev/max-request-headers-kib";
/// Of a virtual node or gateway: how many headers a request to its proxies or an answer to them may have, as a whole number within
/// [`HEADERS`]; without the tag [`DEFAULT_HEADERS`].
pub const HEADERS_TAG: &str = "fleetmesh.dev/max-headers";
/// Of a virtual node or gateway: `true` where the names of headers keep their case in HTTP/1.1; `false`, or no tag, where they are in lower
/// case, as in HTTP/2.
pub const HEADER_CASE_TAG: &str = "fleetmesh.dev/preserve-header-case";

/// The tags that say how proxies take HTTP.
pub const HTTP_TAGS: [&str; 3] = [HEADERS_KIB_TAG, HEADERS_TAG, HEADER_CASE_TAG];

/// The bounds of [`HEADERS_KIB_TAG`]: Envoy's.
pub const HEADERS_KIB: RangeInclusive<u32> = 1..=8192;
/// The bounds of [`HEADERS_TAG`].
pub const HEADERS: RangeInclusive<u32> = 1..=10_000;
/// Envoy's default.
pub const DEFAULT_HEADERS_KIB: u32 = 60;
/// Envoy's default.
pub const DEFAULT_HEADERS: u32 = 100;

/// Of an IAM role: what of the policies attached to it the operator attached.
pub const ATTACHED_TAG: &str = "fleetmesh.dev/attached";

/// The tag by which an instance that exists opts in to being enrolled. Its value is the cluster's name, as
/// [`OWNER_CLUSTER_TAG`] has it: nobody's instance is given a profile unless whoever may tag it wants that.
pub const ENROLL_TAG: &str = "fleetmesh.dev/enroll";
/// Of an instance: what it was launched from, by the hash of what the version of the launch template holds.
pub const TEMPLATE_HASH_TAG: &str = "fleetmesh.dev/template-hash";
/// Of an instance: the version of the launch template that it was launched from, for people.
pub const TEMPLATE_VERSION_TAG: &str = "fleetmesh.dev/template-version";
/// Of an instance: the number of the launch that it came from.
pub const LAUNCH_TAG: &str = "fleetmesh.dev/launch";
/// Of an instance: the FleetClass that it was launched under, whose limits count it for as long as it runs, whoever it belongs
/// to by then.
pub const CLASS_TAG: &str = "fleetmesh.dev/fleet-class";
/// Of an instance: since when it is being drained, as a timestamp of RFC 3339.
pub const DRAINING_TAG: &str = "fleetmesh.dev/draining-since";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_may_set_none_of_the_tags_of_ownership() {
        assert!(OWNER_TAGS.iter().all(|tag| tag.starts_with(TAG_PREFIX)));
    }
}
