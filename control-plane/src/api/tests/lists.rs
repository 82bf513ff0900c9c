//! Lists, pages and tags.

use serde_json::{Value, json};

use super::service::{ApiService, node};

#[tokio::test]
async fn lists_hold_references_of_one_kind_in_the_order_of_names() {
    let service = ApiService::scenario().await;
    service.put("/meshes/apps/virtualNodes", node("a", &[80])).await.ok();
    let list = service.get("/meshes/apps/virtualNodes").await.ok();
    let names: Vec<&Value> = list["virtualNodes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| &entry["virtualNodeName"])
        .collect();
    assert_eq!(names, [&json!("a"), &json!("serviceB")]);
    assert!(list.get("nextToken").is_none());
    let created = service.get("/meshes/apps/virtualNodes/a").await.ok();
    let mut expected = created["metadata"].clone();
    expected["meshName"] = json!("apps");
    expected["virtualNodeName"] = json!("a");
    expected.as_object_mut().expect("an object").remove("uid");
    assert_eq!(list["virtualNodes"][0], expected);
}

#[tokio::test]
async fn pages_together_hold_every_mesh_once() {
    let service = ApiService::new();
    for index in 0..5 {
        service.put("/meshes", json!({"meshName": format!("m{index}")})).await.ok();
    }
    let mut names = Vec::new();
    let mut path = "/meshes?limit=2".to_owned();
    loop {
        let page = service.get(&path).await.ok();
        let meshes = page["meshes"].as_array().expect("a list");
        assert!(meshes.len() <= 2);
        names.extend(meshes.iter().map(|mesh| mesh["meshName"].as_str().expect("a name").to_owned()));
        let Some(token) = page["nextToken"].as_str() else { break };
        path = format!("/meshes?limit=2&nextToken={token}");
    }
    assert_eq!(names, ["m0", "m1", "m2", "m3", "m4"]);
}

#[tokio::test]
async fn lists_of_what_does_not_exist_are_not_found() {
    let service = ApiService::scenario().await;
    let message = service.get("/meshes/no/virtualNodes").await.refused("NotFoundException", 404);
    assert_eq!(message, "Mesh \"no\" does not exist");
    let message = service.get("/meshes/apps/virtualRouter/no/routes").await.refused("NotFoundException", 404);
    assert_eq!(message, "VirtualRouter \"no\" does not exist in mesh/apps");
}

#[tokio::test]
async fn tags_are_added_replaced_listed_by_page_and_removed() {
    let service = ApiService::scenario().await;
    let mut request = node("n", &[80]);
    request["tags"] = json!([{"key": "owner", "value": "a"}]);
    let created = service.put("/meshes/apps/virtualNodes", request).await.ok();
    let arn = created["metadata"]["arn"].as_str().expect("an ARN").replace(':', "%3A").replace('/', "%2F");
    let tags = json!({"tags": [{"key": "owner", "value": "b"}, {"key": "x", "value": ""}]});
    assert_eq!(service.put(&format!("/tag?resourceArn={arn}"), tags).await.ok(), json!({}));
    let first = service.get(&format!("/tags?resourceArn={arn}&limit=1")).await.ok();
    assert_eq!(first["tags"], json!([{"key": "owner", "value": "b"}]));
    let token = first["nextToken"].as_str().expect("a token");
    let second = service.get(&format!("/tags?resourceArn={arn}&limit=1&nextToken={token}")).await.ok();
    assert_eq!(second, json!({"tags": [{"key": "x", "value": ""}]}));
    service.put(&format!("/untag?resourceArn={arn}"), json!({"tagKeys": ["owner", "absent"]})).await.ok();
    let left = service.get(&format!("/tags?resourceArn={arn}")).await.ok();
    assert_eq!(left, json!({"tags": [{"key": "x", "value": ""}]}));
    let described = service.get("/meshes/apps/virtualNodes/n").await.ok();
    assert_eq!(described, created, "tags are no part of the resource's version");
}
