//! Sealing of secrets at rest: AES-256-GCM with a key that an operator keeps elsewhere than the data.
//!
//! The file of `--seal-key-file` has a key on each line, 32 random bytes in base 64. The first seals; all of them open, so that a key
//! is replaced by putting a new one above it. A key of KMS gives one such key ([`envelope`](super::envelope)).

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::secret::Secret;

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Digits of a key's digest that name it.
const NAME_DIGITS: usize = 16;

/// A file of keys cannot be used. Nothing of its content is quoted.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// It lies where what it protects lies: whoever copies the one has the other.
    #[error(
        "{path} (--seal-key-file) lies in the data directory {data_dir}: keep it elsewhere, where no backup of the data takes it along"
    )]
    Beside {
        /// The file.
        path: PathBuf,
        /// The data directory.
        data_dir: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("cannot use {path} (--seal-key-file): {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A new file cannot be written.
    #[error("cannot write {path} (--out): {source}")]
    New {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It holds something else.
    #[error(
        "cannot use {path} (--seal-key-file): expected on each line 32 random bytes in base 64, as `fleetmesh control-plane keys new-seal-key` makes them"
    )]
    Content {
        /// The file.
        path: PathBuf,
    },
    /// KMS is away, or refuses. That may pass.
    #[error(
        "KMS does not open the access keys with {key} (--seal-kms-key): {reason}; see that the key is enabled, and that these credentials have kms:Decrypt and kms:GenerateDataKey for it"
    )]
    Kms {
        /// The ARN of the key.
        key: String,
        /// What KMS, or what is between here and KMS, says.
        reason: String,
    },
    /// What lies in the data directory is not of this key of KMS, or not for this.
    #[error(
        "KMS refuses to decrypt the data key in the data directory with {key} (--seal-kms-key): {reason}; it was encrypted for something else, or altered: put the access-keys.db of a backup back"
    )]
    Foreign {
        /// The ARN of the key.
        key: String,
        /// What KMS says.
        reason: String,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

/// The keys of a file, the one that seals first.
pub struct SealKeys(Vec<SealKey>);

struct SealKey {
    name: String,
    key: RandomizedNonceKey,
}

/// A sealed secret, and the name of the key that opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The key's name: the beginning of its digest, in hexadecimal.
    pub key: String,
    /// Nonce, ciphertext and tag.
    pub bytes: Vec<u8>,
}

impl SealKeys {
    /// Reads `path`, which may not lie in `data_dir`, not even by a link.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn read(path: &Path, data_dir: &Path) -> Result<Self, SealError> {
        let failed = |source| SealError::File { path: path.into(), source };
        let real = fs::canonicalize(path).map_err(failed)?;
        // A data directory that is not there yet holds nothing.
        let inside = |file: &Path| fs::canonicalize(data_dir).is_ok_and(|folder| file.starts_with(folder));
        let beside = |file: &Path| file.parent().and_then(|parent| fs::canonicalize(parent).ok());
        if inside(&real) || beside(path).is_some_and(|parent| inside(&parent)) {
            return Err(SealError::Beside { path: path.into(), data_dir: data_dir.into() });
        }
        let text = fs::read_to_string(&real).map_err(failed)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys: Option<Vec<_>> = lines.map(SealKey::parse).collect();
        let keys = keys.filter(|keys| !keys.is_empty());
        keys.map(Self).ok_or_else(|| SealError::Content { path: path.into() })
    }

    /// The one key with these 32 bytes; none of another length.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        SealKey::new(bytes).map(|key| Self(vec![key]))
    }

    /// These keys, the first of which seals, and `old` ones that open, too.
    pub fn then(mut self, old: Self) -> Self {
        self.0.extend(old.0);
        self
    }

    /// The name of the key that seals.
    pub fn first_name(&self) -> String {
        self.0.first().map(|key| key.name.clone()).unwrap_or_default()
    }

    /// Whether one of them is named `key`.
    pub fn has(&self, key: &str) -> bool {
        self.0.iter().any(|candidate| candidate.name == key)
    }

    /// Seals `secret`, so that it can be opened together with `about` only.
    ///
    /// # Errors
    /// [`SealError::Random`].
    pub fn seal(&self, secret: &Secret, about: &[u8]) -> Result<Sealed, SealError> {
        let SealKey { name, key } = self.0.first().ok_or(SealError::Random)?;
        let mut bytes = secret.reveal().as_bytes().to_vec();
        let nonce =
            key.seal_in_place_append_tag(Aad::from(about), &mut bytes).map_err(|_| SealError::Random)?;
        let bytes = [nonce.as_ref().as_slice(), &bytes].concat();
        Ok(Sealed { key: name.clone(), bytes })
    }

    /// Opens what was sealed together with `about`; none when no key of the file sealed it, or either was altered.
    pub fn open(&self, Sealed { key, bytes }: &Sealed, about: &[u8]) -> Option<Secret> {
        let found = self.0.iter().find(|candidate| candidate.name == *key)?;
        let (nonce, rest) = bytes.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut rest = rest.to_vec();
        let plain = found.key.open_in_place(nonce, Aad::from(about), &mut rest).ok()?;
        String::from_utf8(plain.to_vec()).ok().map(Secret::new)
    }

    /// Whether what `key` sealed is to be sealed anew.
    pub fn is_old(&self, key: &str) -> bool {
        self.0.first().is_none_or(|first| first.name != key)
    }
}

impl SealKey {
    fn parse(line: &str) -> Option<Self> {
        Self::new(&STANDARD.decode(line).ok()?)
    }

    fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != KEY_BYTES {
            return None;
        }
        let name = format!("{:.NAME_DIGITS$}", hex::encode(Sha256::digest(bytes)));
        Some(Self { name, key: RandomizedNonceKey::new(&AES_256_GCM, bytes).ok()? })
    }
}

impl std::fmt::Debug for SealKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.name)).finish()
    }
}

/// Makes a file with a new key, for its owner's eyes only. One that is there is not replaced: what it sealed would be lost.
///
/// # Errors
/// See [`SealError`].
pub fn write_new(path: &Path) -> Result<(), SealError> {
    let mut key = [0; KEY_BYTES];
    aws_lc_rs::rand::fill(&mut key).map_err(|_| SealError::Random)?;
    let failed = |source| SealError::New { path: path.into(), source };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    writeln!(file, "{}", STANDARD.encode(key)).and_then(|()| file.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_key_and_its_context_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        let data = folder.path().join("data");
        write_new(&one).expect("written");
        write_new(&two).expect("written");
        let read = |path: &Path| SealKeys::read(path, &data).expect("keys");
        let secret = Secret::new("hush hush");
        let sealed = read(&one).seal(&secret, b"about").expect("sealed");
        assert!(!sealed.bytes.windows(4).any(|bytes| bytes == b"hush"));
        assert_eq!(read(&one).open(&sealed, b"about"), Some(secret.clone()));
        assert_eq!(read(&one).open(&sealed, b"other"), None);
        assert_eq!(read(&two).open(&sealed, b"about"), None);
        for index in 0..sealed.bytes.len() {
            let mut altered = sealed.clone();
            altered.bytes[index] ^= 1;
            assert_eq!(read(&one).open(&altered, b"about"), None, "byte {index}");
        }
        assert_ne!(read(&one).seal(&secret, b"about").expect("sealed"), sealed, "another nonce");

        // A new key above the old one: it seals, both open.
        let both = [&two, &one].map(|path| fs::read_to_string(path).expect("a key")).concat();
        fs::write(&two, both).expect("written");
        assert_eq!(read(&two).open(&sealed, b"about"), Some(secret));
        assert!(read(&two).is_old(&sealed.key) && !read(&one).is_old(&sealed.key));
        let error = write_new(&one).expect_err("it is not replaced").to_string();
        assert!(error.contains("(--out)") && !error.contains("--seal-key-file"), "{error}");
    }

    #[test]
    fn a_key_beside_the_data_is_refused_also_by_a_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        fs::create_dir_all(data.join("deep")).expect("a folder");
        let inside = data.join("deep/key");
        write_new(&inside).expect("written");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&inside, &link).expect("a link");
        let outside = folder.path().join("key");
        write_new(&outside).expect("written");
        let inward = data.join("key");
        std::os::unix::fs::symlink(&outside, &inward).expect("a link");
        for path in [&inside, &link, &inward, &data.join("../data/deep/key")] {
            let error = SealKeys::read(path, &data).expect_err("refused").to_string();
            assert!(error.contains("lies in the data directory"), "{error}");
        }
        assert!(SealKeys::read(&outside, &data).is_ok());
        for text in ["", "hush-hush-hush", "aHVzaA=="] {
            fs::write(&outside, text).expect("written");
            let error = SealKeys::read(&outside, &data).expect_err("refused").to_string();
            assert!(error.contains("expected on each line 32 random bytes"), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
    }
}
