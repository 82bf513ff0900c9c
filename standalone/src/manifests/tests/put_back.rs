//! What is put back as the API in memory shows it.

use super::*;

#[tokio::test]
async fn what_somebody_changes_of_a_secret_that_a_file_gives_as_text_is_put_back() {
    let mut bed = Bed::new().await;
    bed.write("a.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: x}\n");
    let _running = bed.run();
    let path = "/api/v1/namespaces/default/secrets/a";
    let as_written = async || bed.get(path).await.filter(|secret| secret["data"] == json!({"a": "eA=="}));
    until(as_written).await;
    for data in [json!({"a": "eQ=="}), json!({"a": null})] {
        bed.patch(path, &json!({ "data": data })).await;
        until(as_written).await;
    }
}

#[tokio::test]
async fn what_was_made_for_the_directory_gets_its_label_back_and_what_is_anothers_does_not() {
    let mut bed = Bed::new().await;
    bed.write("a.yaml", &map("a", "x"));
    assert!(bed.bring().await);
    let path = format!("{MAPS}/a");
    let made = bed.get(&path).await.expect("applied");
    bed.patch(&path, &json!({"metadata": {"labels": null}})).await;
    bed.manifests.applied.clear();
    assert!(bed.bring().await);
    let again = bed.get(&path).await.expect("there");
    assert_eq!(metadata(&again, "uid"), metadata(&made, "uid"));
    assert!(is_owned(&again), "{again}");
    bed.delete(&path).await;
    bed.make("default", "a").await;
    bed.manifests.applied.clear();
    assert!(bed.bring().await);
    let theirs = bed.get(&path).await.expect("there");
    assert_eq!(theirs["data"], json!({"a": "x"}));
    assert!(!is_owned(&theirs), "another one of the same name: {theirs}");
}
