//! Bodies of answers in pieces, each made when the connection takes it: whoever asks for much and reads slowly holds next to nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

/// How long a piece of a body is, in bytes, if there is as much: at least, and less than one object more.
pub(crate) const CHUNK: usize = 16 << 10;

/// From how many bytes on the text of an object is not copied to be sent.
const SHARED: usize = 4 << 10;

/// The text of an object as bytes, without a copy.
pub(crate) fn shared(text: &Arc<str>) -> Bytes {
    struct Text(Arc<str>);
    impl AsRef<[u8]> for Text {
        fn as_ref(&self) -> &[u8] {
            self.0.as_bytes()
        }
    }
    Bytes::from_owner(Text(Arc::clone(text)))
}

/// What is written and not taken yet.
#[derive(Default)]
pub(crate) struct Chunks {
    ready: VecDeque<Bytes>,
    open: String,
    length: usize,
}

impl Chunks {
    /// Adds text.
    pub(crate) fn push(&mut self, text: &str) {
        self.open.push_str(text);
        self.length += text.len();
    }

    /// Adds the text of an object; a long one is shared with the store.
    pub(crate) fn push_shared(&mut self, text: &Arc<str>) {
        if text.len() < SHARED {
            return self.push(text);
        }
        self.close();
        self.length += text.len();
        self.ready.push_back(shared(text));
    }

    /// Whether there is enough to be sent before more is written.
    pub(crate) fn is_full(&self) -> bool {
        self.length >= CHUNK
    }

    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The next piece, if there is anything.
    pub(crate) fn take(&mut self) -> Option<Bytes> {
        if self.ready.is_empty() {
            self.close();
        }
        let piece = self.ready.pop_front()?;
        self.length -= piece.len();
        Some(piece)
    }

    /// Everything in one piece.
    pub(crate) fn into_bytes(mut self) -> Bytes {
        self.close();
        match self.ready.len() {
            1 => self.ready.pop_front().unwrap_or_default(),
            _ => self.ready.iter().flatten().copied().collect(),
        }
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.ready.push_back(std::mem::take(&mut self.open).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_shared_and_short_ones_are_put_together() {
        let (short, long): (Arc<str>, Arc<str>) = ("short".into(), "x".repeat(SHARED).into());
        let write = || {
            let mut chunks = Chunks::default();
            chunks.push("<");
            chunks.push_shared(&short);
            chunks.push("|");
            chunks.push_shared(&long);
            chunks.push(">");
            chunks
        };
        let mut chunks = write();
        assert!(!chunks.is_full() && !chunks.is_empty());
        assert_eq!(chunks.take().as_deref(), Some(b"<short|".as_slice()));
        let taken = chunks.take().expect("the long one");
        assert_eq!(taken.as_ptr(), long.as_ptr(), "it was copied");
        assert_eq!(chunks.take().as_deref(), Some(b">".as_slice()));
        assert!(chunks.is_empty() && chunks.take().is_none());
        assert_eq!(write().into_bytes(), format!("<short|{long}>"));
    }
}
