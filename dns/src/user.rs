//! The user that this process becomes when it has its ports.

use nix::unistd::{Gid, Uid, geteuid, setgid, setgroups, setuid};

/// Becomes the user `uid` with the group of the same number, for good and in all threads. Nothing is done when it is that user already.
///
/// # Errors
/// The system does not let this process.
pub fn become_user(uid: u32) -> nix::Result<()> {
    let user = Uid::from_raw(uid);
    if geteuid() == user {
        return Ok(());
    }
    // In this order: afterwards there are no rights left to do so.
    setgroups(&[])?;
    setgid(Gid::from_raw(uid))?;
    setuid(user)
}
