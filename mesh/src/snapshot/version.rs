//! The versions that answers of clusters go out under: what they hold, and a mark per cluster that only this control plane
//! can make. Pure.
//!
//! A mark is a MAC over the virtual node and the cluster's name, so a version proves that a proxy has a cluster only when it was sent
//! to a proxy of that very node: an invented one, or another node's, proves nothing. The key is the store's: the same in
//! every replica and after every restart.

use std::collections::HashSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fleetmesh_model::ResourceId;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::resource::{Content, ResourceType};

/// What a mark begins with; hashes in hexadecimal hold none.
const MARK: char = '+';
/// The bytes of a mark: 72 bits, and twelve characters without padding.
const LENGTH: usize = 9;
/// What a key has, in bytes.
pub const KEY_LENGTH: usize = 32;
/// The keys that are recognised at a time.
pub const KEYS: u32 = 2;

type Mark = [u8; LENGTH];

/// A MAC that has a key and no text yet.
type Keyed = Hmac<Sha256>;

/// The keys of marks: the newest marks, the one before it is still recognised.
#[derive(Clone)]
pub struct VersionKeys(Vec<Keyed>);

impl VersionKeys {
    /// Marks with the first of `keys` and recognises the marks of the first [`KEYS`].
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a [u8; KEY_LENGTH]>) -> Self {
        let keys = keys.into_iter().zip(0..KEYS).map(|(key, _)| key);
        // A key of any length is one; the error cannot be.
        Self(keys.filter_map(|key| Keyed::new_from_slice(key).ok()).collect())
    }

    /// The version of `content` in an answer to a proxy of `node`. A proxy that has it already is recognised by
    /// [`content_version`], whatever key it was marked with.
    pub fn version(&self, node: &ResourceId, kind: ResourceType, content: &Content) -> String {
        let mut version = content.version.clone();
        let (ResourceType::Cluster, Some(key)) = (kind, self.0.first()) else { return version };
        let node = node.to_string();
        for cluster in content.resources.keys() {
            version.push(MARK);
            URL_SAFE_NO_PAD.encode_string(mark(key, &node, cluster), &mut version);
        }
        version
    }

    /// The marks in `version`, which a proxy of `node` claims to have been given.
    pub(super) fn claimed<'a>(&'a self, node: &ResourceId, version: &str) -> Claimed<'a> {
        let decode =
            |mark: &str| URL_SAFE_NO_PAD.decode(mark).ok().and_then(|mark| Mark::try_from(mark).ok());
        let marks = version.split(MARK).skip(1).filter_map(decode).collect();
        Claimed { keys: &self.0, node: node.to_string(), marks }
    }
}

impl fmt::Debug for VersionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

/// What a version claims to be made of.
pub(super) struct Claimed<'a> {
    keys: &'a [Keyed],
    node: String,
    /// Hashed by a secret of this process: a look-up takes no longer for a mark that is nearly right.
    marks: HashSet<Mark>,
}

impl Claimed<'_> {
    /// Whether it claims nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Whether it holds the mark of `cluster`.
    pub(super) fn holds(&self, cluster: &str) -> bool {
        self.keys.iter().any(|key| self.marks.contains(&mark(key, &self.node, cluster)))
    }
}

fn mark(key: &Keyed, node: &str, cluster: &str) -> Mark {
    let mut mac = key.clone();
    for part in [node, cluster] {
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part.as_bytes());
    }
    let mut mark = Mark::default();
    mark.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(to, from)| *to = from);
    mark
}

/// The part of a version that says what an answer holds, without marks. Equal ones are of equal answers.
pub fn content_version(version: &str) -> &str {
    version.split_once(MARK).map_or(version, |(content, _)| content)
}
