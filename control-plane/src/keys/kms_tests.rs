//! Tests of keys that a key of KMS protects.

use std::fs;
use std::path::Path;

use super::*;
use crate::kms::fake::FakeKey;
use crate::kms::{HeldKey, KmsError, Signing};

/// A key of KMS, and access keys that are sealed by it.
fn kms(id: &str) -> (Arc<FakeKey>, SealSource) {
    let key = FakeKey::new(id, Signing::EcdsaSha256);
    (Arc::clone(&key), SealSource::Kms(key))
}

fn file(folder: &Path, name: &str) -> SealSource {
    let path = folder.join(name);
    seal::write_new(&path).expect("a key");
    SealSource::File(path)
}

/// The keys of a control plane that starts with `source`.
async fn started(source: Option<&SealSource>, data: &Path) -> Result<Keys, String> {
    let keys = Keys::of(source.cloned());
    keys.open(data).await.map_err(|error| error.to_string())?;
    keys.load(data, None).map_err(|error| error.to_string())?;
    Ok(keys)
}

/// A new key that is sealed with `source`.
async fn create(source: &SealSource, data: &Path) -> AccessKey {
    let seal = source.open(data, None).await.expect("it opens");
    let store = KeyStore::open(data, Some(&seal)).expect("a store");
    store.create(&NewKey::default(), Timestamp::now()).expect("a key")
}

/// `keys seal` with `new`, where `old` opens; how many it sealed.
async fn moved(new: &SealSource, old: Option<&SealSource>, data: &Path) -> Result<usize, String> {
    let old = match old {
        Some(old) => Some(old.open(data, None).await.map_err(|error| error.to_string())?),
        None => None,
    };
    let seal = new.open(data, old).await.map_err(|error| error.to_string())?;
    let store = KeyStore::open(data, Some(&seal)).expect("a store");
    store.seal(Timestamp::now()).map_err(|error| error.to_string())
}

fn content(data: &Path) -> Vec<u8> {
    fs::read(data.join("access-keys.db")).expect("the file")
}

fn holds(data: &Path, secret: &[u8]) -> bool {
    content(data).windows(secret.len()).any(|bytes| bytes == secret)
}

#[tokio::test]
async fn a_copy_of_what_kms_sealed_opens_with_that_key_of_kms_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let (key, source) = kms("one");
    let made = create(&source, &data).await;
    let keys = started(Some(&source), &data).await.expect("started");
    assert_eq!(keys.secret(&made.id), Some(made.secret.clone()), "a restart loses nothing");
    let other = create(&source, &data).await;
    let stored = KeyStore::open(&data, None).expect("a store").data_key(&key.arn().to_string());
    let stored = stored.expect("read").expect("a data key");
    let plain = key.decrypt(stored.encrypted.clone(), envelope::CONTEXT).await.expect("decrypted");
    for secret in [made.secret.reveal().as_bytes(), other.secret.reveal().as_bytes(), &plain] {
        assert!(!holds(&data, secret), "neither a secret nor the plain data key is in the file");
    }
    let context: &crate::kms::KmsContext = &[("fleetmesh.dev/purpose", "something else")];
    let refused = key.decrypt(stored.encrypted, context).await.expect_err("another context");
    assert!(matches!(refused, KmsError::Foreign(_)), "{refused}");

    let flag = format!("--seal-kms-key {}", key.arn());
    let (stranger, strangers) = kms("two");
    let sealed = started(None, &data).await.expect_err("no key");
    assert!(sealed.contains("are sealed: give") && sealed.contains(&flag), "{sealed}");
    for source in [&strangers, &file(folder.path(), "seal")] {
        let refused = started(Some(source), &data).await.expect_err("another key");
        assert!(refused.contains("does not open with the key that was given"), "{refused}");
        assert!(refused.contains(&flag) && refused.contains("--old-seal-kms-key"), "{refused}");
    }
    assert_eq!(*stranger.asked.lock().expect("no panic"), 0, "no data key more is made for it");
    assert!(started(Some(&source), &data).await.expect("started").secret(&other.id).is_some());
}

#[tokio::test]
async fn keys_move_between_a_file_and_kms_and_none_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let (in_file, (_, first), (_, second)) = (file(folder.path(), "seal"), kms("one"), kms("two"));
    let made = [create(&in_file, &data).await, create(&in_file, &data).await];
    let store = || KeyStore::open(&data, None).expect("a store");
    let data_keys = || {
        let arn = |id: &str| format!("arn:aws:kms:us-west-2:111122223333:key/{id}");
        ["one", "two"].map(|id| store().data_key(&arn(id)).expect("read"))
    };
    let whole = async |source: &SealSource| {
        let keys = started(Some(source), &data).await.expect("started");
        for key in &made {
            assert_eq!(keys.secret(&key.id), Some(key.secret.clone()));
        }
    };
    // Without the old key nothing is changed, and nothing made.
    let before = content(&data);
    let refused = moved(&first, None, &data).await.expect_err("refused");
    assert!(refused.contains("--old-seal-key-file"), "{refused}");
    assert_eq!(content(&data), before);
    assert_eq!(moved(&first, Some(&in_file), &data).await, Ok(2));
    whole(&first).await;
    assert!(started(Some(&in_file), &data).await.is_err(), "the file opens nothing any more");
    let [of_first, none] = data_keys();
    assert!(of_first.is_some() && none.is_none());
    // To another key of KMS, and back to the file; what opens nothing is forgotten.
    assert_eq!(moved(&second, Some(&first), &data).await, Ok(2));
    whole(&second).await;
    assert!(data_keys()[0].is_none() && data_keys()[1].is_some());
    assert_eq!(moved(&in_file, Some(&second), &data).await, Ok(2));
    whole(&in_file).await;
    assert_eq!(data_keys(), [None, None]);
    // Once more to the first: with another data key.
    assert_eq!(moved(&first, Some(&in_file), &data).await, Ok(2));
    whole(&first).await;
    assert_ne!(data_keys()[0], of_first);
}

#[tokio::test]
async fn when_one_key_does_not_open_none_moves() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let (in_file, (_, other)) = (file(folder.path(), "seal"), kms("one"));
    let (first, last) = (create(&in_file, &data).await, create(&in_file, &data).await);
    let connection = rusqlite::Connection::open(data.join("access-keys.db")).expect("a database");
    let damage = "UPDATE access_key SET sealed = zeroblob(40) WHERE id = ?1";
    connection.execute(damage, [&last.id]).expect("damaged");
    let refused = moved(&other, Some(&in_file), &data).await.expect_err("the last one does not open");
    assert!(refused.contains(&last.id), "{refused}");
    // What sealed the first opens it still.
    let seal = in_file.open(&data, None).await.expect("it opens");
    let look = KeyStore::open(&data, Some(&seal)).expect("a store").look().expect("read");
    assert_eq!(look.keys.get(&first.id).map(|key| &key.secret), Some(&first.secret));
}

#[tokio::test]
async fn keys_in_the_clear_are_sealed_by_kms_at_the_first_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = KeyStore::open(folder.path(), None).expect("a store");
    let key = store.create(&NewKey::default(), Timestamp::now()).expect("a key");
    assert!(holds(folder.path(), key.secret.reveal().as_bytes()));
    let (_, source) = kms("one");
    let keys = started(Some(&source), folder.path()).await.expect("started");
    assert_eq!(keys.secret(&key.id), Some(key.secret.clone()));
    assert!(!holds(folder.path(), key.secret.reveal().as_bytes()));
}

#[tokio::test]
async fn a_data_key_that_was_made_for_something_else_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (key, source) = kms("one");
    let other = key.generate_data_key(&[("fleetmesh.dev/purpose", "something else")]).await.expect("a key");
    let row = data_keys::DataKeyRow { name: "name".into(), encrypted: other.encrypted };
    let store = KeyStore::open(folder.path(), None).expect("a store");
    store.keep_data_key(&key.arn().to_string(), &row, Timestamp::now()).expect("planted");
    let refused = started(Some(&source), folder.path()).await.expect_err("refused");
    assert!(refused.contains("refuses to decrypt the data key"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn while_kms_is_away_all_but_the_issued_keys_count_and_it_is_asked_less_and_less_often() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let (key, source) = kms("one");
    let made = create(&source, &data).await;
    let given = folder.path().join("keys.json");
    fs::write(&given, r#"{"accessKeyId": "GIVEN", "secretAccessKey": "hush-hush-hush-hush-hush"}"#)
        .expect("written");
    *key.away.lock().expect("no panic") = Some(KmsError::Failed("a fault of KMS".into()));
    *key.asked.lock().expect("no panic") = 0;

    let keys = Keys::of(Some(source));
    keys.open(&data).await.expect("it starts");
    keys.load(&data, Some(&given)).expect("it starts");
    assert!(keys.are_shut() && !keys.is_empty());
    assert!(keys.find("GIVEN").is_some() && keys.find(&made.id).is_none());
    let shutdown = CancellationToken::new();
    let following = keys.follow(data.clone(), Some(given), shutdown.clone());
    let changing = async {
        tokio::time::sleep(Duration::from_secs(10 * 60)).await;
        let asked = *key.asked.lock().expect("no panic");
        assert!((10..=30).contains(&asked), "it was asked {asked} times in ten minutes");
        *key.away.lock().expect("no panic") = None;
        tokio::time::sleep(LONGEST_PAUSE * 2).await;
        assert_eq!(keys.secret(&made.id), Some(made.secret.clone()), "it came back by itself");
        assert!(!keys.are_shut());
        shutdown.cancel();
    };
    tokio::join!(following, changing);
}
