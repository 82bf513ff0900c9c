//! Tests of the keys: they are made, listed, revoked, read from a file, and never shown.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::rights::{Access, KeyPolicy};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn about(description: &str) -> NewKey {
    NewKey { description: description.into(), ..NewKey::default() }
}

#[test]
fn a_key_counts_from_its_creation_to_its_revocation() {
    let folder = folder();
    let store = KeyStore::open(folder.path(), None).expect("a store");
    let key = store.create(&about("for a test"), Timestamp::UNIX_EPOCH).expect("a key");
    assert_eq!((key.id.len(), key.secret.reveal().len()), (20, 40));
    let other = store.create(&NewKey::default(), Timestamp::UNIX_EPOCH).expect("another");
    assert_ne!((&key.id, &key.secret), (&other.id, &other.secret));

    let keys = Keys::default();
    assert!(keys.is_empty());
    keys.load(folder.path(), None).expect("loaded");
    assert_eq!(keys.secret(&key.id), Some(key.secret.clone()));

    KeyStore::open(folder.path(), None)
        .expect("again")
        .revoke(&key.id, Timestamp::UNIX_EPOCH)
        .expect("revoked");
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
    KeyStore::open(folder.path(), None).expect("a store");
    assert_eq!(mode(), 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changed");
    KeyStore::open(folder.path(), None).expect("a store");
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

#[test]
fn an_entry_of_the_file_has_a_policy_and_a_misspelt_one_is_refused() {
    let folder = folder();
    let path = folder.path().join("keys.json");
    let entry =
        |more: &str| format!(r#"{{"accessKeyId": "ONE", "secretAccessKey": "{}"{more}}}"#, "s".repeat(40));
    let read = |more: &str| {
        fs::write(&path, entry(more)).expect("written");
        let keys = Keys::default();
        keys.load(folder.path(), Some(&path)).map(|()| keys.find("ONE").expect("the key"))
    };
    let key = read("").expect("a key");
    assert_eq!((&key.holder.policy, key.expires_at), (&KeyPolicy::EVERYTHING, None));
    let key = read(
        r#", "name": "ci", "meshes": ["a", "b"], "access": "read", "expiresAt": "2026-12-01T00:00:00Z""#,
    );
    let key = key.expect("a key");
    let meshes = ["a", "b"].map(String::from).into();
    assert_eq!(key.holder.policy, KeyPolicy { account: None, meshes: Some(meshes), access: Access::Read });
    assert_eq!(key.expires_at, "2026-12-01T00:00:00Z".parse().ok());
    for more in
        [r#", "acess": "read""#, r#", "access": "admin""#, r#", "meshes": []"#, r#", "expiresAt": "soon""#]
    {
        assert!(read(more).is_err(), "{more}");
    }
}

/// A file with a key that seals, beside `folder`.
fn seal_key(folder: &tempfile::TempDir, name: &str) -> std::path::PathBuf {
    let path = folder.path().join(name);
    seal::write_new(&path).expect("a key");
    path
}

fn sealing(path: &Path, data: &Path) -> Keys {
    Keys::new(Some(Arc::new(SealKeys::read(path, data).expect("a key"))))
}

fn holds(data: &Path, secret: &Secret) -> bool {
    let files = fs::read_dir(data).expect("a folder").map(|entry| entry.expect("an entry").path());
    let secret = secret.reveal().as_bytes();
    files
        .into_iter()
        .any(|file| fs::read(&file).expect("a file").windows(secret.len()).any(|bytes| bytes == secret))
}

/// The database as the first versions made it, with one key that counts and one that was revoked.
fn first_version(data: &Path, secret: &str) {
    fs::create_dir_all(data).expect("a folder");
    let connection = rusqlite::Connection::open(data.join("access-keys.db")).expect("a database");
    let text = format!(
        "CREATE TABLE access_key (
            id TEXT NOT NULL PRIMARY KEY, secret TEXT, description TEXT NOT NULL,
            created_at INTEGER NOT NULL, revoked_at INTEGER
        ) STRICT;
        PRAGMA application_id = {};
        INSERT INTO access_key VALUES ('FMKYOLD', '{secret}', 'of before', 1000, NULL);
        INSERT INTO access_key VALUES ('FMKYGONE', NULL, '', 2000, 3000);",
        0x464d_414b
    );
    connection.execute_batch(&text).expect("made");
}

#[test]
fn keys_of_before_are_sealed_at_the_start_and_none_is_lost() {
    let folder = folder();
    let data = folder.path().join("data");
    let secret = Secret::new("0123456789abcdefghijKLMNOPQRST0123456789");
    first_version(&data, secret.reveal());
    assert!(holds(&data, &secret), "it is readable in a copy of the directory");

    // Without a key that seals everything goes on.
    let plain = Keys::default();
    plain.load(&data, None).expect("loaded");
    let key = plain.find("FMKYOLD").expect("the key");
    assert_eq!((&key.secret, &key.holder.policy), (&secret, &KeyPolicy::EVERYTHING));

    let path = seal_key(&folder, "seal");
    let keys = sealing(&path, &data);
    keys.load(&data, None).expect("loaded");
    assert_eq!(keys.secret("FMKYOLD"), Some(secret.clone()));
    assert!(!holds(&data, &secret), "and not any more");
    let store = KeyStore::open(&data, None).expect("a store");
    let listed = store.list().expect("a list");
    let ids: Vec<_> = listed.iter().map(|key| (key.id.as_str(), key.revoked_at.is_some())).collect();
    assert_eq!(ids, [("FMKYOLD", false), ("FMKYGONE", true)]);
    assert_eq!((listed[0].sealed, listed[0].about.description.as_str()), (true, "of before"));

    // Who has the directory alone has no key, and none is made in the clear beside those that are sealed.
    let error = Keys::default().load(&data, None).expect_err("sealed").to_string();
    assert!(error.contains("are sealed: give --seal-key-file"), "{error}");
    let error = store.create(&NewKey::default(), Timestamp::now()).expect_err("sealed").to_string();
    assert!(error.contains("are sealed: give --seal-key-file"), "{error}");
    let error =
        sealing(&seal_key(&folder, "other"), &data).load(&data, None).expect_err("another key").to_string();
    assert!(error.contains("FMKYOLD") && error.contains("does not open"), "{error}");
    // Revoking needs no key.
    store.revoke("FMKYOLD", Timestamp::now()).expect("revoked");
    keys.load(&data, None).expect("loaded");
    assert!(keys.is_empty());
}

#[test]
fn the_key_that_seals_is_replaced_by_one_above_it() {
    let folder = folder();
    let data = folder.path().join("data");
    let (old, new) = (seal_key(&folder, "old"), seal_key(&folder, "new"));
    let seal = SealKeys::read(&old, &data).expect("a key");
    let key =
        KeyStore::open(&data, Some(&seal)).expect("a store").create(&NewKey::default(), Timestamp::now());
    let key = key.expect("a key");
    let both = [&new, &old].map(|path| fs::read_to_string(path).expect("a key")).concat();
    let path = folder.path().join("both");
    fs::write(&path, both).expect("written");
    sealing(&path, &data).load(&data, None).expect("sealed anew");
    let keys = sealing(&new, &data);
    keys.load(&data, None).expect("the old key is not needed any more");
    assert_eq!(keys.secret(&key.id), Some(key.secret));
    assert!(sealing(&old, &data).load(&data, None).is_err());
}

#[test]
fn who_writes_the_file_without_the_key_gives_no_key_more_rights() {
    let folder = folder();
    let data = folder.path().join("data");
    let seal = SealKeys::read(&seal_key(&folder, "seal"), &data).expect("a key");
    let store = KeyStore::open(&data, Some(&seal)).expect("a store");
    let policy = KeyPolicy { account: None, meshes: Some(["apps".to_owned()].into()), access: Access::Read };
    let end = Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let about = NewKey { name: "ci".into(), policy, expires_at: Some(end), ..NewKey::default() };
    let key = store.create(&about, Timestamp::now()).expect("a key");
    assert!(store.keys().expect("keys").contains_key(&key.id));
    for change in ["access = 'write'", "meshes = NULL", "expires_at = NULL", "name = 'admin'"] {
        let copy = folder.path().join("copy");
        fs::create_dir_all(&copy).expect("a folder");
        fs::copy(data.join("access-keys.db"), copy.join("access-keys.db")).expect("copied");
        let connection = rusqlite::Connection::open(copy.join("access-keys.db")).expect("a database");
        connection.execute(&format!("UPDATE access_key SET {change}"), []).expect("changed");
        let altered = KeyStore::open(&copy, Some(&seal)).expect("a store");
        let error = altered.keys().expect_err(change).to_string();
        assert!(error.contains("does not open"), "{change}: {error}");
    }
    // A whole key of one's own, in the clear.
    let connection = rusqlite::Connection::open(data.join("access-keys.db")).expect("a database");
    let planted = "INSERT INTO access_key (id, secret, description, created_at, name, access)
        VALUES ('FMKPLANTED', 'secret', '', 0, '', 'write')";
    connection.execute(planted, []).expect("planted");
    let keys = store.keys().expect("keys");
    assert!(keys.contains_key(&key.id) && !keys.contains_key("FMKPLANTED"), "it is not sealed");
}

/// Programs from before there were several accounts would take such a key for one of the first.
#[test]
fn a_key_is_of_one_account_for_good() {
    let folder = folder();
    let data = folder.path().join("data");
    let seal = SealKeys::read(&seal_key(&folder, "seal"), &data).expect("a key");
    let store = KeyStore::open(&data, Some(&seal)).expect("a store");
    let now = Timestamp::now();
    let version = |store: &KeyStore<'_>| schema::pragma(&store.connection, "user_version").expect("a number");
    let first = store.create(&NewKey::default(), now).expect("a key");
    assert_eq!(version(&store), 1, "a program from before still opens it");
    let other = "444455556666".parse().expect("an account");
    let policy = KeyPolicy { account: Some(other), ..KeyPolicy::EVERYTHING };
    let about = NewKey { name: "ci".into(), policy, ..NewKey::default() };
    let second = store.create(&about, now).expect("a key");
    assert_eq!(version(&store), 2);
    let refused = store.create(&NewKey { policy: KeyPolicy::EVERYTHING, ..about }, now).expect_err("refused");
    assert!(matches!(&refused, KeyError::OtherAccount { name } if name == "ci"), "{refused}");
    let (third, _) = store.rotate("ci", None, now, now).expect("another");
    let keys = store.keys().expect("keys");
    let accounts = [first, second, third].map(|key| keys[&key.id].holder.policy.account);
    assert_eq!(accounts, [None, Some(other), Some(other)]);
    for change in ["DELETE FROM key_account", "UPDATE key_account SET account = '111122223333'"] {
        let copy = folder.path().join("copy");
        fs::create_dir_all(&copy).expect("a folder");
        fs::copy(data.join("access-keys.db"), copy.join("access-keys.db")).expect("copied");
        let connection = rusqlite::Connection::open(copy.join("access-keys.db")).expect("a database");
        connection.execute(change, []).expect("changed");
        let error = KeyStore::open(&copy, Some(&seal)).expect("a store").keys().expect_err(change);
        assert!(error.to_string().contains("does not open"), "{change}: {error}");
    }
    let file = folder.path().join("keys.json");
    let entry =
        r#"{"accessKeyId": "ONE", "secretAccessKey": "01234567890123456789", "account": "444455556666"}"#;
    fs::write(&file, entry).expect("written");
    assert_eq!(file::read(&named(&file)).expect("keys")["ONE"].holder.policy.account, Some(other));
    fs::write(&file, entry.replace("444455556666", "4444")).expect("written");
    let error = file::read(&named(&file)).expect_err("refused").to_string();
    assert!(error.contains("the account of ONE: an account id has 12 digits"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_does_not_open_keeps_no_other_key_from_being_revoked() {
    let folder = folder();
    let data = folder.path().join("data");
    let path = seal_key(&folder, "seal");
    let seal = SealKeys::read(&path, &data).expect("a key");
    let store = KeyStore::open(&data, Some(&seal)).expect("a store");
    let [first, second, third] =
        [(); 3].map(|()| store.create(&NewKey::default(), Timestamp::now()).expect("a key"));
    let keys = sealing(&path, &data);
    keys.load(&data, None).expect("loaded");
    let connection = rusqlite::Connection::open(data.join("access-keys.db")).expect("a database");
    let damage = "UPDATE access_key SET sealed = zeroblob(40) WHERE id = ?1";
    connection.execute(damage, [&first.id]).expect("damaged");
    store.revoke(&second.id, Timestamp::now()).expect("revoked");
    let shutdown = CancellationToken::new();
    let revoked = async {
        while keys.secret(&second.id).is_some() {
            tokio::time::sleep(INTERVAL).await;
        }
        shutdown.cancel();
    };
    let revoked = async { tokio::time::timeout(INTERVAL * 100, revoked).await.expect("it counts no more") };
    tokio::join!(keys.follow(data.clone(), None, shutdown.clone()), revoked);
    assert!(keys.secret(&third.id).is_some());
    assert!(keys.secret(&first.id).is_some(), "what was read of it before stays");
    assert!(store.keys().is_err(), "and a start reports it");
}

#[test]
fn a_key_that_was_planted_in_the_clear_is_not_sealed_by_a_restart() {
    let plant = |data: &Path, id: &str| {
        let connection = rusqlite::Connection::open(data.join("access-keys.db")).expect("a database");
        let text = "INSERT INTO access_key (id, secret, description, created_at, name, access)
            VALUES (?1, 'secret', '', 0, '', 'write')";
        connection.execute(text, [id]).expect("planted");
    };
    let folder = folder();
    let seal = seal_key(&folder, "seal");
    // As it is made now, and as it was sealed by a version that did not say so.
    for (name, says_so) in [("now", true), ("before", false)] {
        let data = folder.path().join(name);
        let key = KeyStore::open(&data, None).expect("a store").create(&about("mine"), Timestamp::now());
        let key = key.expect("a key");
        sealing(&seal, &data).load(&data, None).expect("sealed");
        if !says_so {
            let connection = rusqlite::Connection::open(data.join("access-keys.db")).expect("a database");
            connection.execute_batch("DROP TABLE sealed").expect("dropped");
        }
        plant(&data, "FMKPLANTED");
        for _ in 0..2 {
            let keys = sealing(&seal, &data);
            keys.load(&data, None).expect("loaded");
            assert!(keys.find("FMKPLANTED").is_none(), "{name}: it was taken at the start");
            assert_eq!(keys.secret(&key.id), Some(key.secret.clone()));
        }
        // Whoever revoked all keys is not where he was before there was a seal.
        KeyStore::open(&data, None).expect("a store").revoke(&key.id, Timestamp::now()).expect("revoked");
        let keys = sealing(&seal, &data);
        keys.load(&data, None).expect("loaded");
        assert!(keys.is_empty(), "{name}");
        let error = KeyStore::open(&data, None).expect("a store").create(&about(""), Timestamp::now());
        assert!(error.expect_err("sealed").to_string().contains("are sealed"), "{name}");
        // An admin who made it himself says so.
        let opened = SealKeys::read(&seal, &data).expect("a key");
        let store = KeyStore::open(&data, Some(&opened)).expect("a store");
        assert_eq!(store.seal(Timestamp::now()).expect("sealed"), 1);
        assert!(store.keys().expect("keys").contains_key("FMKPLANTED"));
    }
    // A data directory whose first key was sealed when it was made.
    let data = folder.path().join("fresh");
    let opened = SealKeys::read(&seal, &data).expect("a key");
    let key = KeyStore::open(&data, Some(&opened)).expect("a store").create(&about(""), Timestamp::now());
    let key = key.expect("a key");
    KeyStore::open(&data, None).expect("a store").revoke(&key.id, Timestamp::now()).expect("revoked");
    plant(&data, "FMKPLANTED");
    let keys = sealing(&seal, &data);
    keys.load(&data, None).expect("loaded");
    assert!(keys.is_empty(), "it was taken at the start");
}

#[test]
fn a_name_has_two_keys_at_the_most_and_rotating_ends_the_first() {
    let folder = folder();
    let store = KeyStore::open(folder.path(), None).expect("a store");
    let now = Timestamp::from_second(1_000_000).expect("a time");
    let hours = |hours| now + jiff::SignedDuration::from_hours(hours);
    let policy = KeyPolicy { account: None, meshes: Some(["apps".to_owned()].into()), access: Access::Read };
    let about = NewKey { name: "ci".into(), policy: policy.clone(), ..NewKey::default() };
    let first = store.create(&about, now).expect("a key");
    let (second, made) = store.rotate("ci", Some(hours(9)), hours(1), now).expect("another");
    assert_eq!((made.policy, made.expires_at), (policy, Some(hours(9))));
    let keys = store.keys().expect("keys");
    assert_eq!(keys[&first.id].expires_at, Some(hours(1)), "the old one goes on for a while");
    assert_eq!(keys[&first.id].secret, first.secret);
    let error = store.rotate("ci", None, hours(1), now).expect_err("two count").to_string();
    assert!(error.contains(&first.id) && error.contains(&second.id), "{error}");
    // The first has ended by itself then.
    assert!(store.rotate("ci", None, hours(3), hours(2)).is_ok());
    let error = store.rotate("nobody", None, hours(1), now).expect_err("unknown").to_string();
    assert!(error.contains("no access key named \"nobody\""), "{error}");
    for _ in 0..3 {
        store.create(&NewKey::default(), now).expect("as many as one likes without a name");
    }
}
