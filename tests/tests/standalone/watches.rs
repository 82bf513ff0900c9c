//! `-w` of `fleetmesh get` and `fleetmesh events` beside that of kubectl, on the same server: the same lines while things change.

use std::time::Duration;

use anyhow::{Result, ensure};
use fleetmesh_testbed::process::Process;
use fleetmesh_testbed::wait;

use crate::commands::Both;
use crate::mask;

/// Much longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

/// A command that stays, what is changed while it does, and how many lines there are then.
struct Case {
    line: &'static str,
    steps: &'static [&'static str],
    lines: usize,
}

/// Before each case there are the ConfigMap `first` with the label `a=b`, and an Event about it.
const BEFORE: &[&str] = &[
    "delete namespace watched --ignore-not-found",
    "create namespace watched",
    "create configmap first --namespace=watched --from-literal=k=v",
    "label configmap first --namespace=watched a=b",
    "create -f {run}/first.yaml",
];

const CASES: &[Case] = &[
    // What is deleted has a last line, too.
    Case {
        line: "get configmaps -n watched -w",
        steps: &[
            "create configmap second-of-them --namespace=watched",
            "annotate configmap second-of-them --namespace=watched x=y",
            "delete configmap first --namespace=watched",
        ],
        lines: 5,
    },
    Case {
        line: "get configmap first -n watched -w --no-headers",
        steps: &[
            "create configmap other --namespace=watched",
            "annotate configmap first --namespace=watched x=y",
            "delete configmap first --namespace=watched",
        ],
        lines: 3,
    },
    // An object that is not selected any more is gone from the list.
    Case {
        line: "get configmaps -A -l a=b -w --show-labels",
        steps: &[
            "label configmap first --namespace=watched c=d",
            "label configmap first --namespace=watched a=c --overwrite",
            "create configmap other --namespace=watched",
            "label configmap other --namespace=watched a=b",
        ],
        lines: 5,
    },
    Case {
        line: "get namespaces watched -w -o wide",
        steps: &["label namespace watched x=y", "label namespace watched x-"],
        lines: 4,
    },
    Case { line: "events -n watched -w", steps: &["create -f {run}/second.yaml"], lines: 3 },
    Case {
        line: "events -n watched --for configmap/first --no-headers -w",
        steps: &["create -f {run}/other.yaml", "create -f {run}/second.yaml"],
        lines: 2,
    },
    Case {
        line: "events -A --types=Warning -w",
        steps: &["create -f {run}/other.yaml", "create -f {run}/second.yaml"],
        lines: 2,
    },
];

fn event(name: &str, about: &str, kind: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: Event, metadata: {{name: {name}, namespace: watched}}, type: {kind}, reason: Seen, message: {name}, \
         firstTimestamp: 2024-01-01T00:00:00Z, lastTimestamp: 2024-01-01T00:00:00Z, count: 1, source: {{component: test}}, \
         involvedObject: {{apiVersion: v1, kind: ConfigMap, namespace: watched, name: {about}}}}}\n"
    )
}

/// Lines without ages, behind which columns are as far apart as they may be.
fn ageless(lines: &[String]) -> Vec<String> {
    let line = |line: &String| {
        let mut out = String::new();
        let mut words = line.split(' ').peekable();
        while let Some(word) = words.next() {
            let is_age = mask::is_age(word) && word.len() > 1;
            out.push_str(if is_age { "<age>" } else { word });
            out.push(' ');
            while is_age && words.next_if(|next| next.is_empty()).is_some() {}
        }
        out
    };
    lines.iter().map(line).collect()
}

async fn watched(both: &Both, at: usize, case: &Case) -> Result<()> {
    both.prepare(BEFORE).await?;
    let spawn = |name: &str, command| Process::spawn(&format!("{name}-{at}"), &command, &both.run);
    let mut ours = spawn("ours", both.our_command(case.line)?)?;
    let mut theirs = spawn("theirs", both.their_command(case.line)?)?;
    if !case.line.contains("Warning") {
        ours.first_line(LIMIT).await?;
        theirs.first_line(LIMIT).await?;
    }
    both.prepare(case.steps).await?;
    let found = wait::until("both have all lines", LIMIT, async || {
        ours.ensure_running()?;
        theirs.ensure_running()?;
        let lines = [ageless(&ours.lines()?), ageless(&theirs.lines()?)];
        Ok(lines.iter().all(|lines| lines.len() >= case.lines).then_some(lines))
    })
    .await;
    let [ours, theirs] = match found {
        Ok(found) => found,
        Err(error) => return Err(error.context(format!("{:?} {:?}", ours.lines()?, theirs.lines()?))),
    };
    ensure!(ours == theirs || !both.words, "kubectl:   {theirs:#?}\nfleetmesh: {ours:#?}");
    ensure!(ours.len() == case.lines, "{} lines: {ours:#?}", ours.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_watches_prints_what_kubectl_prints_while_things_change() -> Result<()> {
    let both = Both::start("standalone-watches").await?;
    both.file("first.yaml", &event("first", "first", "Normal"))?;
    both.file("second.yaml", &event("second", "first", "Warning"))?;
    both.file("other.yaml", &event("other", "other", "Normal"))?;
    let mut different = Vec::new();
    for (at, case) in CASES.iter().enumerate() {
        if let Err(error) = watched(&both, at, case).await {
            different.push(format!("{}: {error:#}", case.line));
        }
    }
    println!("{} commands, {} with other lines", CASES.len(), different.len());
    ensure!(different.is_empty(), "{}", different.join("\n\n"));
    Ok(())
}
