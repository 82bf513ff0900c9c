//! Queries by name, type, class and shape.

use std::net::Ipv4Addr;

use hickory_proto::rr::Name;
use proptest::prelude::*;
use serde_json::json;

use super::*;

const NAME: &str = "serviceb.apps.local.";

fn names() -> VirtualNames {
    let listeners =
        json!({"configs": [{"name": "lds_egress_x", "active_state": {"listener": {}}}]}).to_string();
    let host = json!({"domains": ["serviceb.apps.local"]});
    let routes =
        json!({"configs": [{"route_config": {"name": "rds_egress_http_80", "virtual_hosts": [host]}}]});
    VirtualNames::read(routes.to_string().as_bytes(), listeners.as_bytes()).expect("dumps").expect("names")
}

fn message(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
    message
}

fn decided(message: &Message) -> Decision {
    decide(&message.to_vec().expect("bytes"), &names())
}

fn ours(message: &Message) -> Message {
    match decided(message) {
        Decision::Ours(bytes) => Message::from_vec(&bytes).expect("an answer"),
        other => unreachable!("{other:?}"),
    }
}

fn code(decision: &Decision) -> ResponseCode {
    match decision {
        Decision::Reply(bytes) => Message::from_vec(bytes).expect("an answer").metadata.response_code,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn a_name_of_the_mesh_has_its_address_whatever_its_case() {
    for name in [NAME, "ServiceB.Apps.LOCAL."] {
        let query = message(name, RecordType::A);
        let answer = ours(&query);
        let address = Ipv4Addr::new(198, 19, 110, 37);
        let [record] = &answer.answers[..] else { unreachable!("{answer:?}") };
        assert_eq!((&record.data, record.ttl), (&RData::A(A(address)), TTL));
        assert_eq!(answer.metadata.id, query.metadata.id);
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
        assert!(answer.metadata.recursion_desired && answer.metadata.recursion_available);
        // Resolvers that mix the case of what they ask for compare it.
        assert!(answer.queries[0].name().eq_case(query.queries[0].name()), "{answer:?}");
        assert!(answer.edns.is_none());
    }
}

#[test]
fn other_types_of_the_name_have_no_data_so_that_clients_use_the_address() {
    for kind in [RecordType::AAAA, RecordType::TXT, RecordType::HTTPS, RecordType::from(65000)] {
        let answer = ours(&message(NAME, kind));
        assert_eq!(
            (answer.metadata.response_code, answer.answers.len()),
            (ResponseCode::NoError, 0),
            "{kind}"
        );
    }
    assert_eq!(ours(&message(NAME, RecordType::ANY)).answers.len(), 1);
}

#[test]
fn who_asks_with_edns_is_answered_with_it() {
    let mut query = message(NAME, RecordType::A);
    query.set_edns(Edns::new());
    assert_eq!(ours(&query).edns.expect("EDNS").max_payload(), PAYLOAD);
}

#[test]
fn what_is_not_the_meshs_is_forwarded() {
    for name in ["apps.local.", "x.serviceb.apps.local.", "serviceb.apps.local.example.", "example.com.", "."]
    {
        assert_eq!(decided(&message(name, RecordType::A)), Decision::Forward, "{name}");
    }
    let mut chaos = message(NAME, RecordType::A);
    chaos.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(decided(&chaos), Decision::Forward);
    // What follows the question is the upstream's business.
    let mut strange = message("example.com.", RecordType::A).to_vec().expect("bytes");
    strange[11] = 3;
    strange.extend([0xff; 40]);
    assert_eq!(decide(&strange, &names()), Decision::Forward);
}

#[test]
fn what_is_no_query_is_ignored_or_refused() {
    let mut response = message(NAME, RecordType::A);
    response.metadata.message_type = MessageType::Response;
    assert_eq!(decided(&response), Decision::Ignore);
    assert_eq!(decide(&[0; 11], &names()), Decision::Ignore);
    let mut update = message(NAME, RecordType::A);
    update.metadata.op_code = OpCode::Update;
    assert_eq!(code(&decided(&update)), ResponseCode::NotImp);
    let mut two = message(NAME, RecordType::A);
    two.add_query(Query::query(Name::from_ascii("example.com.").expect("a name"), RecordType::A));
    assert_eq!(code(&decided(&two)), ResponseCode::FormErr);
    let mut cut = message(NAME, RecordType::A).to_vec().expect("bytes");
    cut.truncate(20);
    assert_eq!(code(&decide(&cut, &names())), ResponseCode::FormErr);
}

#[test]
fn an_answer_has_the_id_and_the_question_of_its_query() {
    let query = message("example.com.", RecordType::A).to_vec().expect("bytes");
    let answer = failure(&query, ResponseCode::ServFail).expect("an answer");
    assert!(is_answer(&answer, &query));
    let other = id(&query).expect("an id").wrapping_add(1);
    assert!(!is_answer(&with_id(&answer, other), &query), "another id");
    assert!(is_answer(&with_id(&answer, other), &with_id(&query, other)));
    let elsewhere = message("example.org.", RecordType::A).to_vec().expect("bytes");
    let elsewhere = with_id(&elsewhere, id(&query).expect("an id"));
    assert!(!is_answer(&answer, &elsewhere), "another question");
    assert!(!is_answer(&query, &query), "no answer at all");
    let question = query.len() - 17;
    assert!(!is_answer(&answer[..question], &query), "cut");
}

proptest! {
    #[test]
    fn any_bytes_are_decided_on(bytes in prop::collection::vec(any::<u8>(), 0..600), flip in any::<prop::sample::Index>()) {
        decide(&bytes, &names());
        question(&bytes);
        is_answer(&bytes, &bytes);
        // The same of what is nearly a query.
        let mut query = message(NAME, RecordType::A).to_vec().expect("bytes");
        let at = flip.index(query.len());
        query[at] ^= bytes.first().copied().unwrap_or(1);
        decide(&query, &names());
        failure(&query, ResponseCode::ServFail);
    }
}
