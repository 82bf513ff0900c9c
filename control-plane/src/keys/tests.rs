//! Tests of the keys: made, listed, revoked, read from a file, and never shown.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use jiff::Timestamp;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn a_key_counts_from_its_creation_to_its_revocation() {
    let folder = folder();
    let store = KeyStore::open(folder.path()).expect("a store");
    let key = store.create("for a test", Timestamp::UNIX_EPOCH).expect("a key");
    assert_eq!((key.id.len(), key.secret.reveal().len()), (20, 40));
    let other = store.create("", Timestamp::UNIX_EPOCH).expect("another");
    assert_ne!((&key.id, &key.secret), (&other.id, &other.secret));

    let keys = Keys::default();
    assert!(keys.is_empty());
    keys.load(folder.path(), None).expect("loaded");
    assert_eq!(keys.secret(&key.id), Some(key.secret.clone()));

    KeyStore::open(folder.path()).expect("again").revoke(&key.id, Timestamp::UNIX_EPOCH).expect("revoked");
    keys.load(folder.path(), None).expect("loaded");
    assert_eq!(keys.secret(&key.id), None);
    assert_eq!(keys.secret(&other.id), Some(other.secret));
    let revoked: Vec<_> =
        store.list().expect("a list").into_iter().map(|key| key.revoked_at.is_some()).collect();
    assert_eq!(revoked.iter().filter(|revoked| **revoked).count(), 1);
    let content = fs::read(folder.path().join("access-keys.db")).expect("the file");
    let secret = key.secret.reveal().as_bytes();
    assert!(!content.windows(secret.len()).any(|bytes| bytes == secret), "the secret was forgotten");
    let unknown = store.revoke("FMKYNOBODY", Timestamp::UNIX_EPOCH).expect_err("unknown").to_string();
    assert!(unknown.contains("there is no access key \"FMKYNOBODY\""), "{unknown}");
}

#[test]
fn the_file_is_its_owners_alone() {
    let folder = folder();
    let path = folder.path().join("access-keys.db");
    let mode = || fs::metadata(&path).expect("the file").permissions().mode() & 0o777;
    KeyStore::open(folder.path()).expect("a store");
    assert_eq!(mode(), 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changed");
    KeyStore::open(folder.path()).expect("a store");
    assert_eq!(mode(), 0o600);
}

#[test]
fn a_file_holds_one_key_or_several_and_errors_quote_nothing_of_it() {
    let folder = folder();
    let path = folder.path().join("keys.json");
    let secret = "0123456789012345678901234567890123456789";
    let one = format!(r#"{{"accessKeyId": "ONE", "secretAccessKey": "{secret}"}}"#);
    for text in [one.clone(), format!("[{one}]")] {
        fs::write(&path, text).expect("written");
        let keys = Keys::default();
        keys.load(folder.path(), Some(&path)).expect("loaded");
        assert_eq!(keys.secret("ONE"), Some(Secret::new(secret)));
        assert!(!format!("{keys:?}").contains(secret));
    }
    for text in [
        secret.to_owned(),
        format!(r#"{{"accessKeyId": "{secret}"}}"#),
        one.replace("ONE", "a/b"),
        one.replace(secret, "short-secret"),
    ] {
        fs::write(&path, &text).expect("written");
        let error = Keys::default().load(folder.path(), Some(&path)).expect_err("refused").to_string();
        assert!(error.contains("--access-keys-file"), "{error}");
        assert!(!error.contains(secret) && !error.contains("short-secret"), "{error}");
    }
}
