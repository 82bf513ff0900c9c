//! Kubernetes, operator and control plane together, as their users see them: kubectl on one side, the AWS CLI on the
//! other. One stack serves all tests of a group; each test has a mesh and a namespace of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod bed;
mod deletion;
mod drift;
mod ownership;
mod rights;
mod samples;
mod status;

use bed::Bed;

#[tokio::test]
async fn what_a_user_may_rely_on() {
    let mut bed = Bed::start("operator").await.unwrap();
    samples::converge_in_any_order_and_leave_nothing(&bed).await.unwrap();
    drift::a_change_behind_our_back_comes_back_with_an_event(&bed).await.unwrap();
    ownership::what_others_made_is_not_touched_until_adopted(&bed).await.unwrap();
    ownership::the_older_of_two_resources_keeps_the_name(&bed).await.unwrap();
    ownership::a_mesh_allows_the_namespaces_that_it_says(&bed).await.unwrap();
    deletion::a_deletion_names_what_blocks_it_and_goes_on_by_itself(&bed).await.unwrap();
    deletion::a_resource_that_lets_go_leaves_its_object(&bed).await.unwrap();
    status::a_wrong_reference_keeps_the_last_good_state(&bed).await.unwrap();
    status::the_same_meaning_is_not_written_again(&mut bed).await.unwrap();
    status::an_endpoint_that_does_not_answer_is_a_condition(&mut bed).await.unwrap();
}

#[tokio::test]
async fn the_cluster_role_is_what_is_used() {
    rights::audit_log_equals_cluster_role().await.unwrap();
}
