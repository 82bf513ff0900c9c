//! Signatures of writes that were made by a clock that is ahead of ours, on disk: a process that starts later knows that they
//! were used.
//!
//! A process that starts takes no write that was signed before it started, so of what the last one served only signatures
//! from the future are left to be sent again. Refusing those would lock out every client whose clock is ahead, and keeping
//! only the latest second that was served would lock out everybody until then. So each of them is kept, which costs those few
//! writes a line in a file, and nobody waits for anything: a client whose clock is four minutes ahead writes on after a restart
//! as before it. The line is on disk before the write is served.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::seconds::Digest;
use crate::private;

/// The file in the data directory.
const NAME: &str = "used-signatures";
/// Lines after which the file is written anew, without those that nobody could use again.
const LINES: usize = 512;

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot use {path}, which holds the signatures that were used: {source}; choose a directory that this user can write with --data-dir"
)]
pub struct AheadError {
    path: PathBuf,
    source: io::Error,
}

/// A second, and a signature that was made in it.
pub type SignatureBytes = (u64, Digest);

/// The file of one process.
#[derive(Clone, Debug)]
pub struct Ahead(Arc<Mutex<AheadBook>>);

#[derive(Debug)]
struct AheadBook {
    path: PathBuf,
    file: File,
    lines: usize,
    kept: BTreeSet<SignatureBytes>,
}

impl Ahead {
    /// Opens the file in `directory`, which exists, and answers also the signatures in it that were made at `now` or later.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn open(directory: &Path, now: u64) -> Result<(Self, BTreeSet<SignatureBytes>), AheadError> {
        let path = directory.join(NAME);
        let failed = |source| AheadError { path: path.clone(), source };
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(failed)?,
        };
        // A line that was cut off is of a write that was not served.
        let lines = String::from_utf8_lossy(&text).lines().filter_map(parse).collect::<BTreeSet<_>>();
        let kept: BTreeSet<SignatureBytes> = lines.into_iter().filter(|(second, _)| *second >= now).collect();
        let file = write(&path, &kept).map_err(failed)?;
        let book = AheadBook { lines: kept.len(), file, kept: kept.clone(), path };
        Ok((Self(Arc::new(Mutex::new(book))), kept))
    }

    /// Keeps `signature` at `now`, an earlier second; it is on disk when this returns. Blocks.
    ///
    /// # Errors
    /// It is not on disk, for all that is known.
    pub fn keep(&self, signature: SignatureBytes, now: u64) -> Result<(), AheadError> {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |path: &Path, source| AheadError { path: path.into(), source };
        book.kept = book.kept.split_off(&(now, Digest::default()));
        book.kept.insert(signature);
        if book.lines >= LINES.max(2 * book.kept.len()) {
            book.file = write(&book.path, &book.kept).map_err(|source| failed(&book.path, source))?;
            book.lines = book.kept.len();
            return Ok(());
        }
        book.lines += 1;
        // The first end of line ends what an earlier, failed attempt may have left.
        let line = format!("\n{}", line(&signature));
        let written = book.file.write_all(line.as_bytes()).and_then(|()| book.file.sync_data());
        written.map_err(|source| failed(&book.path, source))
    }
}

/// Writes the file anew, at once or not at all, and answers it open for more.
fn write(path: &Path, kept: &BTreeSet<SignatureBytes>) -> io::Result<File> {
    let text: String = kept.iter().map(line).collect();
    private::replace(path, text.as_bytes())
}

fn line((second, digest): &SignatureBytes) -> String {
    format!("{second} {:032x}\n", u128::from_be_bytes(*digest))
}

fn parse(line: &str) -> Option<SignatureBytes> {
    let (second, digest) = line.split_once(' ')?;
    let digest = u128::from_str_radix(digest, 16).ok().filter(|_| digest.len() == 32)?;
    Some((second.parse().ok()?, digest.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_there_for_the_next_process_until_its_second_is_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let (ahead, found) = Ahead::open(folder.path(), 0).expect("open");
        assert!(found.is_empty());
        for second in [11, 12, 300] {
            ahead.keep((second, [7; 16]), 10).expect("kept");
        }
        let path = folder.path().join(NAME);
        let text = fs::read_to_string(&path).expect("the file");
        fs::write(&path, format!("{text}\n299 0707")).expect("written");
        let (ahead, found) = Ahead::open(folder.path(), 12).expect("open");
        assert_eq!(found, [(12, [7; 16]), (300, [7; 16])].into());
        ahead.keep((301, [8; 16]), 12).expect("kept");
        let (_, found) = Ahead::open(folder.path(), 13).expect("open");
        assert_eq!(found, [(300, [7; 16]), (301, [8; 16])].into());
    }

    #[test]
    fn the_file_does_not_grow_with_what_is_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let (ahead, _) = Ahead::open(folder.path(), 0).expect("open");
        let path = folder.path().join(NAME);
        for now in 0..1200_u64 {
            ahead.keep((now + 2, [1; 16]), now).expect("kept");
        }
        assert!(fs::metadata(&path).expect("the file").len() < 600 * 50);
        let (_, found) = Ahead::open(folder.path(), 1200).expect("open");
        assert_eq!(found, [(1200, [1; 16]), (1201, [1; 16])].into());
    }
}
