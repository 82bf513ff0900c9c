//! What passes the grammar conforms to it, whatever is done to a good proof.

use fleetmesh_api::examples;
use fleetmesh_api::join::Signature;
use proptest::prelude::*;

use super::*;

const GOOD: &str = "AWS4-HMAC-SHA256 Credential=ASIAIOSFODNN7EXAMPLE/20250102/us-west-2/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-fleetmesh-challenge, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const TIME: &str = "20250102T030405Z";

fn sts() -> StsEndpoint {
    StsEndpoint::new(None, "us-west-2").expect("a region's")
}

fn request(authorization: &str, amz_date: &str, token: Option<&str>) -> JoinRequest {
    JoinRequest {
        resource: "mesh/apps/virtualNode/red".into(),
        public_key: "key".into(),
        challenge: "challenge".into(),
        authorization: Signature::new(authorization),
        amz_date: amz_date.into(),
        security_token: token.map(Signature::new),
        identity_document: None,
    }
}

fn sent(authorization: &str) -> Result<HeaderMap, Refusal> {
    headers(&request(authorization, TIME, Some("dG9rZW4=")), &sts())
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers[name].to_str().expect("ASCII").to_owned()
}

/// The grammar once more, in other words: each part by what may stand in it, between the parts that are fixed.
fn is_of_the_grammar(text: &str) -> bool {
    let mut rest = text;
    let parts: [(&str, &dyn Fn(char) -> bool); 6] = [
        ("AWS4-HMAC-SHA256 Credential=", &|c| c.is_ascii_uppercase() || c.is_ascii_digit()),
        ("/", &|c| c.is_ascii_digit()),
        ("/us-west-2/sts/aws4_request, SignedHeaders=content-type;", &|_| false),
        ("host;x-amz-date;x-amz-security-token;x-fleetmesh-challenge", &|_| false),
        (", Signature=", &|c| c.is_ascii_digit() || ('a'..='f').contains(&c)),
        ("", &|_| false),
    ];
    for (fixed, free) in parts {
        let optional = fixed.strip_suffix("content-type;");
        let Some(after) = rest.strip_prefix(fixed).or_else(|| rest.strip_prefix(optional?)) else {
            return false;
        };
        rest = after.trim_start_matches(free);
    }
    rest.is_empty()
}

#[test]
fn a_good_proof_is_built_anew_to_the_byte() {
    let headers = sent(GOOD).expect("good");
    assert_eq!(header(&headers, "authorization"), GOOD);
    assert_eq!(header(&headers, "host"), "sts.us-west-2.amazonaws.com");
    assert_eq!(header(&headers, DATE), TIME);
    assert_eq!(headers.len(), 6);
    assert!(is_of_the_grammar(GOOD) && !is_of_the_grammar(&GOOD.replace("sts/", "iam/")));
    let without = GOOD.replace("x-amz-security-token;", "");
    assert!(super::headers(&request(&without, TIME, None), &sts()).is_ok(), "a user has no token");
}

/// The very bytes that the tests of `fleetmesh proxy join` write.
#[test]
fn the_contract_s_example_is_built_anew() {
    let request: JoinRequest = serde_json::from_str(examples::JOIN_REQUEST).expect("the example");
    let headers = headers(&request, &sts()).expect("good");
    assert_eq!(header(&headers, CHALLENGE), examples::BOUND_CHALLENGE);
    assert_eq!(header(&headers, "authorization"), request.authorization.reveal());
    assert_eq!((header(&headers, DATE), header(&headers, TOKEN)), (TIME.to_owned(), "dG9rZW4=".to_owned()));
    assert_eq!(headers.len(), 6);
}

#[test]
fn what_is_not_of_the_grammar_is_refused_in_few_words() {
    let altered = |from: &str, to: &str| GOOD.replace(from, to);
    for (authorization, words) in [
        (String::new(), "expected `AWS4"),
        (altered("AWS4", "aws4"), "expected `AWS4"),
        (altered(", Signature", ",Signature"), "expected `AWS4"),
        (altered(", Signature", ", X=y, Signature"), "expected `AWS4"),
        (format!("{GOOD}, Signature=1"), "expected `AWS4"),
        (format!("{GOOD}\r\nX-Other: value"), "expected `AWS4"),
        (format!("{GOOD} "), "expected `AWS4"),
        (altered("aws4_request", "aws4_request/more"), "expected `AWS4"),
        (altered("ASIA", "asia"), "expected `AWS4"),
        (altered("ASIAIOSFODNN7EXAMPLE", "ASIA"), "expected `AWS4"),
        (altered("abcdef, ", "ABCDEF, ").replace("Signature=01", "Signature=AB"), "expected `AWS4"),
        (altered("host;x-amz-date", "x-amz-date;host"), "expected `AWS4"),
        (altered("host;", "host;host;"), "expected `AWS4"),
        (altered("host;", "Host;"), "expected `AWS4"),
        (altered("host;", &format!("host;{};", "h".repeat(100_000))), "expected `AWS4"),
        (altered("sts/", "iam/"), "it is for iam, not for sts"),
        (altered("us-west-2", "eu-west-1"), "the region eu-west-1, not for us-west-2"),
        (altered("20250102", "20250103"), "its day is not that of amzDate"),
        (altered("host;", "host;range;"), "\"range\" may not be signed"),
        (altered("host;", ""), "host has to be signed"),
        (altered("x-amz-date;", ""), "x-amz-date has to be signed"),
        (altered("x-amz-security-token;", ""), "x-amz-security-token has to be signed"),
        (altered(";x-fleetmesh-challenge", ""), "x-fleetmesh-challenge has to be signed"),
    ] {
        let refusal = sent(&authorization).expect_err(&authorization).to_string();
        assert!(refusal.contains(words) && refusal.len() < 250, "{authorization:.200}: {refusal}");
    }
    let date = |date: &str| headers(&request(GOOD, date, Some("dG9rZW4=")), &sts());
    for wrong in
        ["20250102", "20250102T030405", "20250102T030405Z ", "20250102T996163Z", "20250102T030405Z\r\nA: b"]
    {
        assert!(date(wrong).expect_err(wrong).to_string().contains("amzDate: expected"), "{wrong}");
    }
    let long = "A".repeat(LONGEST_TOKEN + 1);
    for wrong in ["", "a b", "a\r\nX-Other: value", "ä", &long] {
        let refusal = headers(&request(GOOD, TIME, Some(wrong)), &sts()).expect_err("wrong").to_string();
        assert!(refusal.contains("securityToken: expected") && refusal.len() < 250, "{refusal}");
    }
}

/// What is done to a good header.
#[derive(Clone, Debug)]
enum ProofMutation {
    Replace(prop::sample::Index, char),
    Insert(prop::sample::Index, String),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
}

fn mutation() -> impl Strategy<Value = ProofMutation> {
    let at = any::<prop::sample::Index>;
    let byte =
        prop_oneof![3 => any::<char>(), 3 => prop::char::range(' ', '~'), 1 => Just('\n'), 1 => Just('\0')];
    prop_oneof![
        (at(), byte).prop_map(|(at, by)| ProofMutation::Replace(at, by)),
        (at(), "(, |;|/|=|\\r\\n|Signature=|SignedHeaders=|host|[ -~]{1,8})")
            .prop_map(|(at, text)| ProofMutation::Insert(at, text)),
        (at(), 1..40usize).prop_map(|(at, length)| ProofMutation::Remove(at, length)),
        (at(), 1..80usize).prop_map(|(at, length)| ProofMutation::Repeat(at, length)),
    ]
}

fn mutate(text: &str, mutation: &ProofMutation) -> String {
    let mut text: Vec<char> = text.chars().collect();
    let end = |at: usize, length: usize, text: &[char]| (at + length).min(text.len());
    if text.is_empty() {
        return String::new();
    }
    match mutation {
        ProofMutation::Replace(at, by) => {
            let at = at.index(text.len());
            text[at] = *by;
        }
        ProofMutation::Insert(at, more) => {
            let at = at.index(text.len());
            text.splice(at..at, more.chars());
        }
        ProofMutation::Remove(at, length) => {
            let at = at.index(text.len());
            text.drain(at..end(at, *length, &text));
        }
        ProofMutation::Repeat(at, length) => {
            let at = at.index(text.len());
            let again = text[at..end(at, *length, &text)].to_vec();
            text.splice(at..at, again);
        }
    }
    text.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_mutated_proof_is_refused_or_is_still_of_the_grammar(mutations in proptest::collection::vec(mutation(), 1..4)) {
        let mutated = mutations.iter().fold(GOOD.to_owned(), |text, mutation| mutate(&text, mutation));
        match sent(&mutated) {
            Ok(headers) => {
                prop_assert_eq!(header(&headers, "authorization"), mutated.as_str());
                prop_assert!(is_of_the_grammar(&mutated), "{}", mutated);
            }
            Err(refusal) => {
                let refusal = refusal.to_string();
                prop_assert!(refusal.len() < 250 && !refusal.contains(['\r', '\n', '\0']), "{}", refusal);
            }
        }
    }

    #[test]
    fn nothing_else_passes(authorization in "\\PC{0,300}", date in "\\PC{0,20}", token in proptest::option::of("\\PC{0,40}")) {
        prop_assert!(headers(&request(&authorization, &date, token.as_deref()), &sts()).is_err());
        let outcome = headers(&request(GOOD, &date, token.as_deref()), &sts());
        prop_assert!(outcome.is_err() || is_date_time(&date));
    }
}
