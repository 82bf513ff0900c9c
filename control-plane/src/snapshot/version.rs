//! The versions that answers of clusters go out under: what they hold, and a mark per cluster that only this control plane
//! can make. Pure.
//!
//! A mark is a MAC over the virtual node and the cluster's name, so a version tells of a cluster only when it was given to a
//! proxy of that very node: one that is invented, or another node's, tells nothing. The key is the store's, see
//! [`Views::version_keys`](crate::view::Views::version_keys).

use std::collections::HashSet;
use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fleetmesh_model::ResourceId;

use super::resource::{Content, ResourceType};

/// What a mark begins with; hashes in hexadecimal hold none.
const MARK: char = '+';
/// The bytes of a mark: 72 bits, and twelve characters without padding.
const LENGTH: usize = 9;
/// What a key has, in bytes.
pub const KEY_LENGTH: usize = 32;
/// The keys that are recognised at a time.
pub const KEYS: u32 = 2;

type Mac = [u8; LENGTH];

/// The keys of marks: the newest marks, the one before it is still recognised.
#[derive(Clone)]
pub struct VersionKeys(Vec<hmac::Key>);

impl VersionKeys {
    /// Marks with the first of `keys` and recognises the marks of the first [`KEYS`].
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a [u8; KEY_LENGTH]>) -> Self {
        let keys = keys.into_iter().zip(0..KEYS).map(|(key, _)| key);
        Self(keys.map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)).collect())
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
        let decode = |mark: &str| URL_SAFE_NO_PAD.decode(mark).ok().and_then(|mark| Mac::try_from(mark).ok());
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
    keys: &'a [hmac::Key],
    node: String,
    /// Hashed by a secret of this process: a look-up takes no longer for a mark that is nearly right.
    marks: HashSet<Mac>,
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

fn mark(key: &hmac::Key, node: &str, cluster: &str) -> Mac {
    let mut context = hmac::Context::with_key(key);
    for part in [node, cluster] {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut mac = Mac::default();
    mac.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
    mac
}

/// The part of a version that says what an answer holds, without marks. Equal ones are of equal answers.
pub fn content_version(version: &str) -> &str {
    version.split_once(MARK).map_or(version, |(content, _)| content)
}
