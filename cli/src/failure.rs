//! How a failed command ends: one line on standard error and an exit status.

use std::io::{self, Write};
use std::process::ExitCode;

/// Wrong usage, as clap itself has it.
#[cfg(any(feature = "init", feature = "proxy"))]
const USAGE: u8 = 2;

/// Says what failed and why, and answers the exit status.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        // Whoever read our output, `head` for example, has enough. That is no failure.
        return ExitCode::SUCCESS;
    }
    // Nothing more can be done when standard error is closed.
    let _ = writeln!(io::stderr(), "error: {}", line(error));
    status(error)
}

/// The error and its causes on one line, without those that the text before them quotes already.
fn line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string().trim().replace('\n', "; ");
        if line.is_empty() {
            line = text;
        } else if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
    }
    line
}

fn status(error: &anyhow::Error) -> ExitCode {
    #[cfg(feature = "proxy")]
    if error.is::<crate::proxy::OptionsRefused>() {
        return ExitCode::from(USAGE);
    }
    #[cfg(feature = "init")]
    if error.is::<crate::init::PlanError>() {
        return ExitCode::from(USAGE);
    }
    #[cfg(feature = "canary")]
    if let Some(error) = error.downcast_ref::<fleetmesh_kubectl::Error>() {
        return ExitCode::from(error.exit_code());
    }
    let _ = error;
    ExitCode::FAILURE
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_on_the_same_line_and_are_not_repeated() {
        let cause = io::Error::other("disk\nfull");
        let error = anyhow::Error::new(cause).context("cannot store: disk; full").context("cannot start");
        assert_eq!(line(&error), "cannot start: cannot store: disk; full");
    }

    #[test]
    fn a_closed_pipe_is_found_below_other_errors() {
        let error = anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe)).context("cannot write");
        assert!(is_closed_pipe(&error));
        assert!(!is_closed_pipe(&anyhow::anyhow!("something else")));
    }
}
