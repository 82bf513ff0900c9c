//! Instances that are denied, whatever they prove: a file that people write and that is read again when it changes.
//!
//! One id a line; `#` begins a remark. For an instance that is known to be compromised, until it is terminated.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use fleetmesh_mesh::grant::{Joined, is_instance_id};
use tokio_util::sync::CancellationToken;

use crate::reload::{self, FileError, Named};

/// The flag that names the file.
const FLAG: &str = "--denied-instances";

/// The instances. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Denied {
    ids: Arc<RwLock<BTreeSet<String>>>,
    file: Option<Named>,
}

impl Denied {
    /// Those in `file`.
    ///
    /// # Errors
    /// It cannot be read, or a line of it is no instance's id.
    pub fn read(file: PathBuf) -> Result<Self, FileError> {
        let denied = Self { file: Some(Named { flag: FLAG, path: file }), ..Self::default() };
        denied.load()?;
        Ok(denied)
    }

    /// Why `joined` is not let in; nothing for those who are.
    ///
    /// # Errors
    /// In words: its instance is on the list.
    pub fn check(&self, joined: &Joined) -> Result<(), String> {
        let ids = self.ids.read().unwrap_or_else(PoisonError::into_inner);
        match joined.instance().filter(|id| ids.contains(*id)) {
            Some(id) => Err(format!("the instance {id} is denied ({FLAG})")),
            None => Ok(()),
        }
    }

    /// Reads the file again each time that it changes, until `shutdown`. A file that cannot be used leaves the list as it
    /// was: a slip of the pen lets nobody in.
    pub async fn follow(self, shutdown: CancellationToken) {
        let files = self.file.iter().cloned().collect();
        reload::follow(files, || self.load(), shutdown).await;
    }

    fn load(&self) -> Result<(), FileError> {
        let Some(file) = &self.file else { return Ok(()) };
        let text = String::from_utf8(file.read()?).map_err(|_| file.error("it is no text"))?;
        let ids = parse(&text).map_err(|reason| file.error(reason))?;
        tracing::info!(instances = ids.len(), file = %file.path.display(), "the list of denied instances was read");
        *self.ids.write().unwrap_or_else(PoisonError::into_inner) = ids;
        Ok(())
    }
}

fn parse(text: &str) -> Result<BTreeSet<String>, String> {
    let lines = text.lines().enumerate().map(|(index, line)| {
        let id = line.split('#').next().unwrap_or_default().trim();
        (index + 1, id)
    });
    lines
        .filter(|(_, id)| !id.is_empty())
        .map(|(line, id)| {
            let wrong = || format!("line {line}: {id:.40?} is no instance's id, such as i-0123456789abcdef0");
            is_instance_id(id).then(|| id.to_owned()).ok_or_else(wrong)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use fleetmesh_mesh::testing::session;

    use super::*;

    #[test]
    fn a_list_is_one_id_a_line() {
        let ids =
            parse("# broken into\n\ni-0123456789abcdef0 # since Monday\r\n  i-01234567\n").expect("a list");
        assert_eq!(ids, BTreeSet::from(["i-0123456789abcdef0".to_owned(), "i-01234567".to_owned()]));
        for wrong in
            ["i-0123456789abcdef0 i-01234567", "i-XYZ", "arn:aws:ec2:us-west-2:1:instance/i-01234567"]
        {
            let error = parse(&format!("i-01234567\n{wrong}")).expect_err(wrong);
            assert!(error.starts_with("line 2: ") && error.contains("is no instance's id"), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_changes_is_read_again_and_a_bad_one_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("denied");
        assert!(Denied::read(file.clone()).is_err(), "there is none");
        fs::write(&file, "").expect("written");
        let denied = Denied::read(file.clone()).expect("an empty list");
        let (shutdown, one) = (CancellationToken::new(), session("i-01234567"));
        let following = denied.clone().follow(shutdown.clone());
        let changing = async {
            let pause = || tokio::time::sleep(Duration::from_secs(2));
            pause().await;
            assert_eq!(denied.check(&one), Ok(()));
            fs::write(&file, "i-01234567").expect("written");
            pause().await;
            assert!(denied.check(&one).expect_err("denied").contains("the instance i-01234567 is denied"));
            assert_eq!(denied.check(&session("i-89abcdef")), Ok(()));
            fs::write(&file, "i-0123456 7").expect("written");
            pause().await;
            assert!(denied.check(&one).is_err());
            fs::write(&file, "").expect("written");
            pause().await;
            assert_eq!(denied.check(&one), Ok(()));
            shutdown.cancel();
        };
        tokio::join!(following, changing);
    }
}
