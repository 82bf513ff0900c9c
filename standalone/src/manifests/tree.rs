//! The files of the directory. Blocking.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use fleetmesh_standalone_core::manifests::Problem;
use serde_json::Value;

/// The largest file, in bytes, which is that of a request.
const LARGEST: u64 = 3 << 20;
/// The most files.
const MOST: usize = 10_000;
/// How deep folders may lie in each other.
const DEEPEST: usize = 32;
/// What manifests end with.
const ENDS: [&str; 3] = ["yaml", "yml", "json"];

/// What is another after a change of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    size: u64,
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    #[cfg(test)]
    pub(super) fn of_size(size: u64) -> Self {
        Self { size, inode: 0, modified: (0, 0), changed: (0, 0) }
    }
}

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tree {
    /// The manifests by their paths below the directory.
    pub(super) files: BTreeMap<String, Stamp>,
    /// What could not be looked at.
    pub(super) unreadable: Vec<Problem>,
}

/// Looks at `root`. What begins with a dot is passed over, and so is a link that leads out of the directory: whoever writes into it
/// could else have files read that are not his.
pub(super) fn look(root: &Path) -> Tree {
    let mut tree = Tree::default();
    match root.canonicalize() {
        Ok(real) => folder(&real, &real, 0, &mut tree),
        Err(error) => tree.unreadable.push(unreadable(root, "", &error)),
    }
    tree
}

fn unreadable(root: &Path, file: &str, error: &io::Error) -> Problem {
    let file = if file.is_empty() { root.display().to_string() } else { file.to_owned() };
    Problem::of_file(&file, format!("it cannot be read, and nothing is pruned until it can: {error}"))
}

fn folder(root: &Path, path: &Path, depth: usize, tree: &mut Tree) {
    let below = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
    if depth > DEEPEST {
        let message = format!("folders lie in each other {DEEPEST} deep at the most: move it up");
        tree.unreadable.push(Problem::of_file(&below(path), message));
        return;
    }
    let entries = match fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(error) => return tree.unreadable.push(unreadable(root, &below(path), &error)),
    };
    for entry in entries.iter().filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b".")) {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => folder(root, &path, depth + 1, tree),
            Ok(kind) if is_manifest(&path) => file(root, &path, kind.is_symlink(), &below(&path), tree),
            Ok(_) => {}
            Err(error) => tree.unreadable.push(unreadable(root, &below(&path), &error)),
        }
    }
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|end| ENDS.iter().any(|one| end == *one))
}

fn file(root: &Path, path: &Path, is_link: bool, name: &str, tree: &mut Tree) {
    if is_link && path.canonicalize().is_ok_and(|real| !real.starts_with(root)) {
        let message =
            "it is a link that leads out of the directory, and is not followed: put the file itself there";
        tree.unreadable.push(Problem::of_file(name, message));
        return;
    }
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {}
        Ok(_) if tree.files.len() >= MOST => {
            if tree.files.len() == MOST && !tree.unreadable.iter().any(|problem| problem.place.file == ".") {
                let message =
                    format!("there are more than {MOST} manifests: give --manifests a smaller directory");
                tree.unreadable.push(Problem::of_file(".", message));
            }
        }
        Ok(metadata) => _ = tree.files.insert(name.to_owned(), Stamp::of(&metadata)),
        Err(error) => tree.unreadable.push(unreadable(root, name, &error)),
    }
}

/// Whether Git is writing the checkout that `root` is in.
pub(super) fn is_written(root: &Path) -> bool {
    let Ok(real) = root.canonicalize() else { return false };
    let Some(git) = real.ancestors().map(|folder| folder.join(".git")).find(|git| git.exists()) else {
        return false;
    };
    git_folder(&git).join("index.lock").exists()
}

/// The folder that `.git` is, or that it names where it is a file, as in a worktree.
fn git_folder(git: &Path) -> PathBuf {
    let text = fs::read_to_string(git).unwrap_or_default();
    match text.trim().strip_prefix("gitdir: ") {
        Some(path) => git.parent().unwrap_or(git).join(path),
        None => git.to_owned(),
    }
}

/// The documents of a file.
///
/// # Errors
/// In words: it cannot be read, is too large, or is no YAML. Nothing in it is repeated, which may be secret.
pub(super) fn documents(path: &Path) -> Result<Vec<Value>, String> {
    let mut bytes = Vec::new();
    let opened = fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    opened.map_err(|error| format!("it cannot be read, and nothing is pruned until it can: {error}"))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it is larger than {LARGEST} bytes: split it"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8: save it as UTF-8".to_owned())?;
    serde_saphyr::from_multiple(&text).map_err(|error| {
        let at = error.location().map(|at| (at.line(), at.column()));
        let Some((line, column)) = at.filter(|(line, _)| *line > 0) else {
            return "it is no YAML, and nothing is pruned until it is".to_owned();
        };
        let document = document_of(&text, line);
        format!("document {document} is no YAML at line {line}, column {column}, and nothing is pruned until it is")
    })
}

/// The number of the document that a line is in, both from 1.
fn document_of(text: &str, line: u64) -> usize {
    let before = usize::try_from(line).unwrap_or(usize::MAX);
    let mut has_content = false;
    let mut document = 1;
    for text in text.lines().take(before) {
        if text == "---" || text.starts_with("--- ") {
            document += usize::from(has_content);
            has_content = false;
        }
        has_content |= !text.is_empty() && !text.starts_with(['#', '-']);
    }
    document
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn manifests_are_found_in_folders_and_nothing_outside_or_hidden() -> io::Result<()> {
        let (folder, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let root = folder.path();
        fs::write(other.path().join("secret.yaml"), "password: hunter2")?;
        fs::create_dir_all(root.join("apps/.git"))?;
        for name in ["b.yaml", "apps/a.yml", "apps/c.json", "README.md", ".hidden.yaml", "apps/.git/x.yaml"] {
            fs::write(root.join(name), "{}")?;
        }
        symlink(root.join("b.yaml"), root.join("inside.yaml"))?;
        symlink(other.path().join("secret.yaml"), root.join("outside.yaml"))?;
        symlink(other.path(), root.join("folder"))?;
        let tree = look(root);
        let names: Vec<&str> = tree.files.keys().map(String::as_str).collect();
        assert_eq!(names, ["apps/a.yml", "apps/c.json", "b.yaml", "inside.yaml"]);
        let problems: Vec<String> = tree.unreadable.iter().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("outside.yaml: it is a link that leads out"), "{problems:?}");
        assert!(tree.unreadable[0].hides);
        assert_eq!(look(root), tree);
        fs::write(root.join("b.yaml"), "{a: 1}")?;
        assert_ne!(look(root), tree);
        assert!(look(&root.join("none")).unreadable[0].hides);
        Ok(())
    }

    #[test]
    fn a_checkout_is_written_while_it_has_a_lock() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let root = folder.path().join("apps");
        fs::create_dir_all(&root)?;
        fs::create_dir(folder.path().join(".git"))?;
        assert!(!is_written(&root));
        fs::write(folder.path().join(".git/index.lock"), "")?;
        assert!(is_written(&root));
        fs::write(root.join(".git"), "gitdir: ../.git/worktrees/apps\n")?;
        assert!(!is_written(&root));
        fs::create_dir_all(folder.path().join(".git/worktrees/apps"))?;
        fs::write(folder.path().join(".git/worktrees/apps/index.lock"), "")?;
        assert!(is_written(&root));
        Ok(())
    }

    #[test]
    fn what_is_no_yaml_is_said_by_its_place_alone() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("a.yaml");
        fs::write(&file, "# one\n---\na: 1\n---\nb: [hunter2\n")?;
        let error = documents(&file).expect_err("half");
        assert!(error.starts_with("document 2 is no YAML at line ") && !error.contains("hunter2"), "{error}");
        fs::write(&file, "a: 1\n---\n---\nb: 2\n")?;
        assert_eq!(documents(&file).map(|found| found.len() >= 2), Ok(true));
        fs::write(&file, "x".repeat((3 << 20) + 1))?;
        assert!(documents(&file).expect_err("large").contains("larger than 3145728 bytes"));
        fs::write(&file, [0xff, 0xfe])?;
        assert!(documents(&file).expect_err("binary").contains("UTF-8"));
        Ok(())
    }
}
