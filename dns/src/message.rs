//! What becomes of a DNS message. Pure.
//!
//! Of a query only the header and the question are read, unless the answer is ours: what is forwarded reaches the upstream as it is,
//! whatever else it carries.

use hickory_proto::op::{Edns, Header, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};

use crate::names::VirtualNames;

/// How long an answer may be kept, in seconds: a name may come and go with a backend.
pub const TTL: u32 = 5;
/// The largest answer by UDP that is offered to be taken (DNS Flag Day 2020).
const PAYLOAD: u16 = 1232;
/// The length of a message's id.
const ID: usize = 2;

/// What becomes of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It asks for a name of the mesh, and this is the answer.
    Ours(Vec<u8>),
    /// It cannot be answered, and this says so.
    Reply(Vec<u8>),
    /// Somebody else knows.
    Forward,
    /// It is no query.
    Ignore,
}

/// Decides on `message`.
pub fn decide(message: &[u8], names: &VirtualNames) -> Decision {
    let mut decoder = BinDecoder::new(message);
    let Ok(Header { metadata, counts, .. }) = Header::read(&mut decoder) else { return Decision::Ignore };
    if metadata.message_type == MessageType::Response {
        return Decision::Ignore;
    }
    if metadata.op_code != OpCode::Query {
        return reply(&metadata, ResponseCode::NotImp);
    }
    let Some(question) = Query::read(&mut decoder).ok().filter(|_| counts.queries == 1) else {
        return reply(&metadata, ResponseCode::FormErr);
    };
    let address = names.address(question.name()).filter(|_| question.query_class() == DNSClass::IN);
    let Some(address) = address else { return Decision::Forward };
    let Ok(query) = Message::from_vec(message) else { return reply(&metadata, ResponseCode::FormErr) };
    let mut answer = response(&metadata, ResponseCode::NoError);
    if matches!(question.query_type(), RecordType::A | RecordType::ANY) {
        let data = RData::A(A(address));
        answer.add_answer(Record::from_rdata(question.name().clone(), TTL, data));
    }
    answer.add_query(question);
    if query.edns.is_some() {
        answer.set_edns(edns());
    }
    answer.to_vec().map_or_else(|_| reply(&metadata, ResponseCode::ServFail), Decision::Ours)
}

fn edns() -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD);
    edns
}

fn response(query: &Metadata, code: ResponseCode) -> Message {
    let mut answer = Message::response(query.id, query.op_code);
    answer.metadata = Metadata::response_from_request(query);
    answer.metadata.recursion_available = true;
    answer.metadata.response_code = code;
    answer
}

fn reply(query: &Metadata, code: ResponseCode) -> Decision {
    response(query, code).to_vec().map_or(Decision::Ignore, Decision::Reply)
}

/// The answer that says that a query failed; none for what is no query.
pub fn failure(query: &[u8], code: ResponseCode) -> Option<Vec<u8>> {
    let (header, question, _) = question(query)?;
    let mut answer = response(&header.metadata, code);
    answer.add_query(question);
    answer.to_vec().ok()
}

/// The header of a message with one question, the question, and its bytes.
pub fn question(message: &[u8]) -> Option<(Header, Query, &[u8])> {
    let mut decoder = BinDecoder::new(message);
    let header = Header::read(&mut decoder).ok().filter(|header| header.counts.queries == 1)?;
    let begin = decoder.index();
    let query = Query::read(&mut decoder).ok()?;
    Some((header, query, message.get(begin..decoder.index())?))
}

/// A number that nobody guesses, from the generator that the library takes the ids of its own queries from.
pub fn random() -> u16 {
    Message::query().metadata.id
}

/// `message` with another id.
pub fn with_id(message: &[u8], id: u16) -> Vec<u8> {
    let mut changed = message.to_vec();
    if let Some(bytes) = changed.get_mut(..ID) {
        bytes.copy_from_slice(&id.to_be_bytes());
    }
    changed
}

/// The id of `message`.
pub fn id(message: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(message.get(..ID)?.try_into().ok()?))
}

/// Whether `answer` is one to `query`: by its id and its question, whose case may differ. A server that could not read the question
/// answers without it.
pub fn is_answer(answer: &[u8], query: &[u8]) -> bool {
    let mut decoder = BinDecoder::new(answer);
    let Ok(header) = Header::read(&mut decoder) else { return false };
    if header.metadata.message_type != MessageType::Response || id(answer) != id(query) {
        return false;
    }
    match (question(answer), question(query)) {
        (Some((_, _, answered)), Some((_, _, asked))) => answered.eq_ignore_ascii_case(asked),
        _ => header.counts.queries == 0 && header.metadata.response_code != ResponseCode::NoError,
    }
}

#[cfg(test)]
mod tests;
