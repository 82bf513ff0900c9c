//! What the API server says of the columns that it makes itself: Kubernetes' own words on the members that they show.

pub(super) const NAME: &str = "Name must be unique within a namespace. Is required when creating resources, although some \
    resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for \
    creation idempotence and configuration definition. Cannot be updated. More info: \
    https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";

pub(super) const CREATED: &str = "CreationTimestamp is a timestamp representing the server time when this object was created. \
    It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is \
    represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

pub(super) const SECRET_TYPE: &str = "Used to facilitate programmatic handling of secret data. More info: \
    https://kubernetes.io/docs/concepts/configuration/secret/#secret-types";

pub(super) const SECRET_DATA: &str = "Data contains the secret data. Each key must consist of alphanumeric characters, '-', '_' \
    or '.'. The serialized form of the secret data is a base64 encoded string, representing the arbitrary (possibly non-string) \
    data value here. Described in https://tools.ietf.org/html/rfc4648#section-4";

pub(super) const CONFIG_MAP_DATA: &str = "Data contains the configuration data. Each key must consist of alphanumeric \
    characters, '-', '_' or '.'. Values with non-UTF-8 byte sequences must use the BinaryData field. The keys stored in Data \
    must not overlap with the keys in the BinaryData field, this is enforced during validation process.";

pub(super) const HOLDER: &str = "holderIdentity contains the identity of the holder of a current lease. If Coordinated Leader \
    Election is used, the holder identity must be equal to the elected LeaseCandidate.metadata.name field.";

pub(super) const EVENT_LAST: &str =
    "The time at which the most recent occurrence of this event was recorded.";

pub(super) const EVENT_TYPE: &str =
    "Type of this event (Normal, Warning), new types could be added in the future";

pub(super) const EVENT_REASON: &str = "This should be a short, machine understandable string that gives the reason for the \
    transition into the object's current status.";

pub(super) const EVENT_OBJECT: &str = "The object that this event is about.";

pub(super) const EVENT_PART: &str = "If referring to a piece of an object instead of an entire object, this string should \
    contain a valid JSON/Go field access statement, such as desiredState.manifest.containers[2]. For example, if the object \
    reference is to a container within a pod, this would take on a value like: \"spec.containers{name}\" (where \"name\" refers \
    to the name of the container that triggered the event) or if no container name is specified \"spec.containers[2]\" \
    (container with index 2 in this pod). This syntax is chosen only to have some well-defined way of referencing a part of an \
    object.";

pub(super) const EVENT_SOURCE: &str =
    "The component reporting this event. Should be a short machine understandable string.";

pub(super) const EVENT_MESSAGE: &str = "A human-readable description of the status of this operation.";

pub(super) const EVENT_FIRST: &str =
    "The time at which the event was first recorded. (Time of server receipt is in TypeMeta.)";

pub(super) const EVENT_COUNT: &str = "The number of times this event has occurred.";
