//! `fleetmesh control-plane share`: changes the file that says which meshes are shared with which accounts. A control plane that
//! runs with it reads it again.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use clap::Args;
use fleetmesh_mesh::shares::MeshShare;
use fleetmesh_model::AccountId;

/// Share a mesh with other accounts, or end that.
///
/// Changes the file of --mesh-shares, which a control plane that runs reads again, and prints what it says now. Accounts that a
/// mesh is shared with see all of it, and make, change and delete virtual nodes, routers, routes and services of their own in
/// it, as with AWS Resource Access Manager. When a share ends, what they made stays: the mesh's owner can delete it, and its
/// proxies are not configured any more.
#[derive(Args, Clone, Debug)]
pub struct ShareArgs {
    /// The file, which is made if need be
    #[arg(long, env = "FLEETMESH_MESH_SHARES", value_name = "FILE")]
    pub mesh_shares: PathBuf,

    /// The account that owns the mesh: one of the control plane's --account-id
    #[arg(long, value_name = "ID")]
    pub mesh_owner: AccountId,

    /// An account to share it with: another one of the control plane's --account-id. May be repeated
    #[arg(long = "with", value_name = "ID", required = true)]
    pub accounts: Vec<AccountId>,

    /// End the share with these accounts
    #[arg(long)]
    pub remove: bool,

    /// The name of the mesh, which need not exist yet
    #[arg(value_name = "MESH")]
    pub mesh: String,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// The file.
    #[error("cannot use {path} (--mesh-shares): {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{path} (--mesh-shares) is no list of shares: {source}; it is left as it is")]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The output.
    #[error("cannot write to standard output: {0}")]
    Write(io::Error),
}

/// Changes the file and prints to `out` what it says then.
///
/// # Errors
/// See [`ShareError`]. The file is as it was, unless only the output failed.
pub fn share(args: &ShareArgs, out: &mut dyn Write) -> Result<(), ShareError> {
    let path = &args.mesh_shares;
    let failed = |source| ShareError::File { path: path.clone(), source };
    let shares = match fs::read(path) {
        Ok(content) => serde_json::from_slice(&content)
            .map_err(|source| ShareError::Content { path: path.clone(), source })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    let shares = changed(shares, args);
    let mut text = serde_json::to_string_pretty(&shares)
        .map_err(|source| ShareError::Content { path: path.clone(), source })?;
    text.push('\n');
    replace(path, &text).map_err(failed)?;
    out.write_all(text.as_bytes()).map_err(ShareError::Write)
}

/// The shares after the change: each mesh once, and none that is shared with nobody.
fn changed(shares: Vec<MeshShare>, args: &ShareArgs) -> Vec<MeshShare> {
    let ShareArgs { mesh_owner, mesh, accounts, remove, .. } = args;
    let accounts: BTreeSet<String> = accounts.iter().map(AccountId::to_string).collect();
    let (owner, mut all) = (mesh_owner.to_string(), Vec::<MeshShare>::new());
    let new = MeshShare { mesh_owner: owner.clone(), mesh_name: mesh.clone(), accounts: BTreeSet::new() };
    for share in shares.into_iter().chain([new]) {
        let same = |other: &&mut MeshShare| {
            (&other.mesh_owner, &other.mesh_name) == (&share.mesh_owner, &share.mesh_name)
        };
        match all.iter_mut().find(same) {
            Some(before) => before.accounts.extend(share.accounts),
            None => all.push(share),
        }
    }
    for share in all.iter_mut().filter(|share| share.mesh_owner == owner && share.mesh_name == *mesh) {
        match remove {
            true => share.accounts.retain(|account| !accounts.contains(account)),
            false => share.accounts.extend(accounts.iter().cloned()),
        }
    }
    all.retain(|share| !share.accounts.is_empty());
    all
}

/// Writes the file whole: whoever reads it meanwhile finds the one before or this one. What could read that can read this: else
/// a control plane went on with a share that ended. A symbolic link stays one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let (path, before) = match fs::canonicalize(path) {
        Ok(path) => (path.clone(), Some(fs::metadata(path)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (path.to_owned(), None),
        Err(error) => return Err(error),
    };
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(name);
    let written = fs::File::create_new(&new).and_then(|mut file| {
        if let Some(before) = &before {
            keep_readers(&file, before)?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let replaced = written.and_then(|()| fs::rename(&new, path));
    if replaced.is_err() {
        let _ = fs::remove_file(&new);
    }
    replaced
}

/// Gives `file` the owner, group and mode of `before`.
fn keep_readers(file: &fs::File, before: &fs::Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (before.uid(), before.gid()) {
        fchown(file, Some(before.uid()), Some(before.gid()))?;
    }
    file.set_permissions(before.permissions())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn args(file: &Path, mesh: &str, with: &[&str], remove: bool) -> ShareArgs {
        ShareArgs {
            mesh_shares: file.into(),
            mesh_owner: "111122223333".parse().unwrap(),
            accounts: with.iter().map(|id| id.parse().unwrap()).collect(),
            remove,
            mesh: mesh.into(),
        }
    }

    #[test]
    fn shares_come_and_go_and_what_is_no_list_of_them_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shares.json");
        let says = |args: &ShareArgs| {
            let mut out = Vec::new();
            share(args, &mut out).unwrap();
            assert_eq!(fs::read(&file).unwrap(), out);
            let shares: Vec<MeshShare> = serde_json::from_slice(&out).unwrap();
            let shares = shares.into_iter().map(|MeshShare { mesh_name, accounts, .. }| {
                (mesh_name, accounts.into_iter().collect::<Vec<_>>().join(","))
            });
            shares.map(|(mesh, with)| format!("{mesh}: {with}")).collect::<Vec<_>>()
        };
        let (second, third) = ("444455556666", "777788889999");
        assert_eq!(says(&args(&file, "apps", &[second], false)), ["apps: 444455556666"]);
        assert_eq!(says(&args(&file, "apps", &[third], false)), ["apps: 444455556666,777788889999"]);
        assert_eq!(
            says(&args(&file, "other", &[third], false)),
            ["apps: 444455556666,777788889999", "other: 777788889999"]
        );
        assert_eq!(says(&args(&file, "apps", &[second, third], true)), ["other: 777788889999"]);
        assert_eq!(says(&args(&file, "apps", &[second], true)), ["other: 777788889999"]);
        // Who could read the file still can, and a link to it stays one.
        let link = folder.path().join("link");
        symlink(&file, &link).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).unwrap();
        share(&args(&link, "apps", &[second], false), &mut Vec::new()).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o604);
        assert_eq!(says(&args(&file, "apps", &[second], true)), ["other: 777788889999"]);
        fs::remove_file(&link).unwrap();
        fs::write(&file, "{}").unwrap();
        let error = share(&args(&file, "apps", &[second], false), &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("is no list of shares"), "{error}");
        assert_eq!(fs::read(&file).unwrap(), b"{}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left over");
    }
}
