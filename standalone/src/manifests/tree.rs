//! The files of the directory. Blocking.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use fleetmesh_standalone_core::manifests::Problem;
use rustix::fs::OFlags;
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
    /// The directory, without links: what was seen is read from there, also when a link leads to another one by then.
    pub(super) root: PathBuf,
    /// The manifests by their paths below the directory.
    pub(super) files: BTreeMap<String, Stamp>,
    /// What could not be looked at.
    pub(super) unreadable: Vec<Problem>,
}

/// Looks at `root`. What begins with a dot is passed over, and so is a link that leads out of the directory: whoever writes into it
/// could else have files read that are not his.
pub(super) fn look(root: &Path) -> Tree {
    let mut tree = Tree { root: root.to_owned(), ..Tree::default() };
    match root.canonicalize() {
        Ok(real) => {
            tree.root.clone_from(&real);
            folder(&real, &real, 0, &mut tree);
        }
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
        Ok(metadata) if !metadata.is_file() => {
            tree.unreadable.push(Problem::of_file(name, no_file(&metadata)))
        }
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

/// What is wrong with something that has a manifest's name, and can never be read as one.
fn no_file(metadata: &Metadata) -> String {
    let kind = metadata.file_type();
    let kind = match () {
        () if kind.is_dir() => "a link to a folder",
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    format!(
        "it is {kind} and no file, and is not read; nothing is pruned until it is gone: remove or rename it"
    )
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

/// The documents of a file below `root`, which has no links in its own path.
///
/// # Errors
/// In words: it cannot be read, is too large, or is no YAML. No value in it is repeated, which may be secret.
pub(super) fn documents(root: &Path, file: &str) -> Result<Vec<Value>, String> {
    let bytes = bytes(root, file)
        .map_err(|error| format!("it cannot be read, and nothing is pruned until it can: {error}"))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it is larger than {LARGEST} bytes: split it"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8: save it as UTF-8".to_owned())?;
    serde_saphyr::from_multiple(&text).map_err(|error| malformed(&text, &error))
}

/// What is in a file, and one byte more than the largest at the most. It is what was looked at: what took its place since then, a link
/// that leads out of the directory or a pipe that nobody writes to, is neither read nor waited for.
fn bytes(root: &Path, file: &str) -> io::Result<Vec<u8>> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let opened = fs::File::options().read(true).custom_flags(nonblocking).open(root.join(file))?;
    let metadata = opened.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other(no_file(&metadata)));
    }
    // Without /proc the look before has to do.
    let real = fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd()));
    if real.is_ok_and(|real| !real.starts_with(root)) {
        return Err(io::Error::other("it leads out of the directory"));
    }
    let mut bytes = Vec::new();
    opened.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why a text is not taken, with its place.
fn malformed(text: &str, error: &serde_saphyr::Error) -> String {
    let error = error.without_snippet();
    let at = error.location().map(|at| (at.line(), at.column()));
    let Some((line, column)) = at.filter(|(line, _)| *line > 0) else {
        return "it is no YAML, and nothing is pruned until it is".to_owned();
    };
    let document = document_of(text, line);
    match error {
        serde_saphyr::Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().map(|key| format!(" {key:?}")).unwrap_or_default();
            format!(
                "document {document} has the key{key} twice in one map, again at line {line}, column {column}: keep one of them; nothing is pruned until then"
            )
        }
        _ => format!(
            "document {document} is no YAML at line {line}, column {column}, and nothing is pruned until it is"
        ),
    }
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
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, Mode};

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
        let documents = |name: &str| documents(&folder.path().canonicalize().expect("a folder"), name);
        let error = documents("a.yaml").expect_err("half");
        assert!(error.starts_with("document 2 is no YAML at line ") && !error.contains("hunter2"), "{error}");
        fs::write(&file, "a: 1\n---\n---\nb: 2\n")?;
        assert_eq!(documents("a.yaml").map(|found| found.len() >= 2), Ok(true));
        fs::write(&file, "a: 1\n---\nb: hunter2\nc: {}\nb: hunter3\n")?;
        let error = documents("a.yaml").expect_err("twice");
        assert!(
            error.starts_with("document 2 has the key \"b\" twice in one map, again at line 5, "),
            "{error}"
        );
        assert!(error.contains("keep one") && !error.contains("hunter"), "{error}");
        fs::write(&file, "x".repeat((3 << 20) + 1))?;
        assert!(documents("a.yaml").expect_err("large").contains("larger than 3145728 bytes"));
        fs::write(&file, [0xff, 0xfe])?;
        assert!(documents("a.yaml").expect_err("binary").contains("UTF-8"));
        Ok(())
    }

    #[test]
    fn what_is_no_file_is_said_and_never_waited_for() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let root = folder.path().canonicalize()?;
        let _socket = UnixListener::bind(root.join("socket.yaml"))?;
        rustix::fs::mknodat(CWD, root.join("pipe.json"), FileType::Fifo, Mode::RUSR, 0)?;
        symlink("/dev/zero", root.join("device.yaml"))?;
        fs::create_dir(root.join("apps"))?;
        symlink("apps", root.join("apps.yaml"))?;
        let tree = look(&root);
        assert!(tree.files.is_empty(), "{tree:?}");
        let problems: Vec<String> = tree.unreadable.iter().map(ToString::to_string).collect();
        for begins in [
            "socket.yaml: it is a socket and no file",
            "pipe.json: it is a named pipe and no file",
            "device.yaml: it is a link that leads out",
            "apps.yaml: it is a link to a folder and no file",
        ] {
            assert!(problems.iter().any(|problem| problem.starts_with(begins)), "{begins}: {problems:?}");
        }
        assert_eq!(problems.len(), 4, "{problems:?}");
        // What took the place of a file after the look.
        let error = documents(&root, "pipe.json").expect_err("a pipe");
        assert!(error.contains("a named pipe and no file"), "{error}");
        let other = tempfile::tempdir()?;
        fs::write(other.path().join("secret.yaml"), "a: hunter2")?;
        symlink(other.path().join("secret.yaml"), root.join("late.yaml"))?;
        let error = documents(&root, "late.yaml").expect_err("outside");
        assert!(error.ends_with("it leads out of the directory"), "{error}");
        Ok(())
    }
}
