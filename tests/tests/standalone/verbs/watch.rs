//! `kubectl get -w`, which stays, on both servers while the same things happen.

use anyhow::{Result, ensure};
use fleetmesh_testbed::process::{Process, START};
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::wait;

use super::{Sides, ageless};

/// A command that stays, what is done before and while it does, and how many lines there are then.
pub(super) struct Watch {
    line: &'static str,
    before: &'static [&'static str],
    steps: &'static [&'static str],
    lines: usize,
}

pub(super) const WATCHES: &[Watch] = &[
    // What is not selected any more is gone, and has a last line.
    Watch {
        line: "get cm -n default -l watched={ns} -w",
        before: &["create cm first-{ns} -n default", "label cm first-{ns} -n default watched={ns}"],
        steps: &[
            "annotate cm first-{ns} -n default x=y",
            "label cm first-{ns} -n default watched=no --overwrite",
            "create cm second-{ns} -n default",
            "label cm second-{ns} -n default watched={ns}",
            "delete cm second-{ns} -n default",
        ],
        lines: 6,
    },
    Watch {
        line: "get fmesh {ns} -w -o wide",
        before: &["apply -f {run}/mesh.yaml"],
        steps: &["label fmesh {ns} a=b", "delete fmesh {ns}"],
        lines: 4,
    },
];

impl Watch {
    /// What differs between what the same command prints while the same things happen, if anything does.
    pub(super) async fn difference(
        &self,
        sides: &Sides,
        name: &str,
        filled: impl Fn(&str) -> Vec<String>,
        run: &RunDir,
    ) -> Result<Option<String>> {
        let both = async |lines: &[&str]| -> Result<()> {
            for line in lines {
                let words = filled(line);
                let found = sides.difference(&words).await?;
                ensure!(found.is_none(), "{found:?}");
            }
            Ok(())
        };
        both(self.before).await?;
        let words = filled(self.line);
        let mut real = Process::spawn(&format!("real-{name}"), &sides.real.command(&words), run)?;
        let mut ours = Process::spawn(&format!("ours-{name}"), &sides.ours.command(&words), run)?;
        // The head, and what is there already.
        let has_begun = async |process: &mut Process| {
            process
                .until("it watches", START, async |process| Ok((process.lines()?.len() >= 2).then_some(())))
                .await
        };
        has_begun(&mut real).await?;
        has_begun(&mut ours).await?;
        both(self.steps).await?;
        let seen = wait::until("both have all lines", START, async || {
            let lines = [real.lines()?, ours.lines()?];
            Ok(lines.iter().all(|lines| lines.len() >= self.lines).then_some(lines))
        })
        .await;
        let [real, ours] = match seen {
            Ok(lines) => lines.map(|lines| ageless(&lines.join("\n"))),
            Err(error) => return Err(error.context(format!("{:?} {:?}", real.lines()?, ours.lines()?))),
        };
        Ok((real != ours).then(|| format!("{}\nkube-apiserver: {real}\nstandalone:     {ours}", self.line)))
    }
}
