//! The command line. Options are named as kubectl names its own.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use fleetmesh_crds::Phase;

use crate::simulate::ManifestTargets;

const EXIT_STATUS: &str = "Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused, or there is nothing to act on, 4 no answer in time.";

/// Look at the rollout of a Route, and act on it.
///
/// A Route with `canary` in its spec shifts its traffic in steps when its targets change. These commands show where it
/// is (status) and act on it (promote, pause, abort and so on); none of them changes the Route's spec. ROUTE is the name
/// of the Route resource, as `kubectl get routes` prints it.
#[derive(Clone, Debug, Subcommand)]
pub enum CanaryCommand {
    /// Show where the rollout is, what it waits for, and what it is judged by
    Status(StatusArgs),
    /// End the pause of the step in force: on to the next one as soon as the analysis agrees
    Promote(PromoteArgs),
    /// Keep the rollout where it is until somebody resumes it
    Pause(VerbArgs),
    /// Let a paused rollout go on, after a full new window of the analysis
    Resume(VerbArgs),
    /// Go on to the next step without its pause, its analysis and its webhooks
    ///
    /// The proxies are still waited for.
    SkipStep(VerbArgs),
    /// Give the rollout up: the stable targets get everything back at once
    ///
    /// It stays so until the targets in the spec change or somebody retries.
    Abort(VerbArgs),
    /// Begin an aborted rollout anew
    Retry(VerbArgs),
    /// Run a rollout over recorded metrics, without a cluster, and print what would happen when
    Simulate(SimulateArgs),
}

/// The kubeconfig that `fleetmesh standalone` writes into its data directory.
const KUBECONFIG: &str = "kubeconfig";

/// Which API and which namespace; the same for every command that asks one.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "API")]
pub struct PlaceArgs {
    /// The namespace; that of the kubeconfig's context by default
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,

    /// The context in the kubeconfig; its current one by default
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// The kubeconfig file; without it that of --data-dir, KUBECONFIG, ~/.kube/config, or the pod's service account
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// The data directory of a `fleetmesh standalone`, whose kubeconfig is taken
    #[arg(long, env = "FLEETMESH_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

impl PlaceArgs {
    /// The kubeconfig that is given, or that of the data directory; without both that of the environment.
    pub fn kubeconfig(&self) -> Option<PathBuf> {
        self.kubeconfig.clone().or_else(|| Some(self.data_dir.as_ref()?.join(KUBECONFIG)))
    }
}

/// Which Route.
#[derive(Args, Clone, Debug)]
pub struct RouteArgs {
    /// The Route: its name, or route/NAME
    #[arg(value_name = "ROUTE", value_parser = route_name)]
    pub route: String,

    #[command(flatten)]
    /// Where it is.
    pub cluster: PlaceArgs,
}

/// The arguments of `status`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXIT_STATUS)]
pub struct StatusArgs {
    /// Stay, and show each change; ends on Ctrl-C
    #[arg(short, long)]
    pub watch: bool,

    /// Stay until no rollout is under way; fails if it was aborted
    #[arg(long)]
    pub until_done: bool,

    /// With --until-done: how long at most, for example 1h
    #[arg(long, value_name = "TIME", requires = "until_done", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,

    /// Show all former rollouts that are remembered, not only the last 3
    #[arg(long)]
    pub history: bool,

    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,

    // The last: its heading goes on.
    /// Which Route.
    #[command(flatten)]
    pub route: RouteArgs,
}

/// The arguments of a verb.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXIT_STATUS)]
pub struct VerbArgs {
    /// How long to wait for the operator's answer
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,

    // The last: its heading goes on.
    /// Which Route.
    #[command(flatten)]
    pub route: RouteArgs,
}

/// The arguments of `promote`.
#[derive(Args, Clone, Debug)]
pub struct PromoteArgs {
    /// Straight to the end: all steps without pauses, analysis and webhooks
    #[arg(long)]
    pub full: bool,

    /// The arguments of every verb.
    #[command(flatten)]
    pub verb: VerbArgs,
}

/// The arguments of `simulate`.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = TRACE)]
pub struct SimulateArgs {
    /// The manifest of the Route with the new targets; - reads standard input
    #[arg(value_name = "ROUTE.yaml")]
    pub manifest: PathBuf,

    /// The recorded metrics, CSV; --help lists its columns
    #[arg(long, value_name = "FILE")]
    pub trace: PathBuf,

    /// The targets to begin from, for example "serviceB=75 serviceBv2=25"; by default those of the manifest's status
    #[arg(long, value_name = "TARGETS", value_parser = crate::simulate::targets_from)]
    pub stable: Option<ManifestTargets>,

    /// Which Route, when the manifest has several
    #[arg(long, value_name = "NAME", value_parser = route_name)]
    pub route: Option<String>,

    /// Fail unless the rollout ends in this phase, for example Promoted or Aborted
    #[arg(long, value_name = "PHASE", value_parser = phase)]
    pub expect: Option<Phase>,

    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
}

const TRACE: &str = "\
The trace is CSV with a header and one row for each moment, the earliest first:
  time          seconds since the beginning (90), a length (1m30s) or a date
  requests      to the new targets that ended since the row before; empty: no report
  errors        how many of those failed; none without the column
  METRIC        what that Prometheus query gives; empty: no number, error: no answer
  webhook:NAME  what it answers from here on: Confirmed, NotYet, Refused or Error
  action        what somebody does to the rollout: promote, promote-full, pause, resume,
                skip-step, abort or retry
A webhook without a column agrees. The proxies of the simulation acknowledge at once,
and every new target is healthy. The rollout begins at the first row and is followed
to its end, or to the last row.

Exit status: 0 done, 1 not as --expect says, or a file cannot be used, 2 wrong usage.";

/// The form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// JSON; with --watch one object a line
    Json,
}

/// The name from `NAME`, `route/NAME`, `routes/NAME`, `froute/NAME` or `routes.fleetmesh.dev/NAME`.
fn route_name(text: &str) -> Result<String, String> {
    let (kind, name) = text.split_once('/').unwrap_or(("route", text));
    let kind = kind.to_ascii_lowercase();
    if !matches!(
        kind.as_str(),
        "route" | "routes" | "froute" | "route.fleetmesh.dev" | "routes.fleetmesh.dev"
    ) {
        return Err(format!("{kind} is no Route: give NAME or route/NAME"));
    }
    let known =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-.".contains(letter);
    if name.is_empty() || name.len() > 253 || !name.chars().all(known) {
        return Err(format!(
            "{name:?} is no name of a resource: lower-case letters, digits, - and ., 1 to 253 of them"
        ));
    }
    Ok(name.to_owned())
}

fn phase(text: &str) -> Result<Phase, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(subcommand)]
        command: CanaryCommand,
    }

    fn parse(arguments: &str) -> Result<CanaryCommand, clap::Error> {
        Cli::try_parse_from(std::iter::once("canary").chain(arguments.split(' '))).map(|cli| cli.command)
    }

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_is_there_with_help_and_completions() {
        let mut script = Vec::new();
        clap_complete::generate(clap_complete::Shell::Bash, &mut Cli::command(), "canary", &mut script);
        let script = String::from_utf8(script).unwrap();
        for word in ["status", "promote", "pause", "resume", "skip-step", "abort", "retry", "simulate"] {
            let help = parse(&format!("{word} --help")).unwrap_err();
            assert_eq!(help.kind(), clap::error::ErrorKind::DisplayHelp, "{help}");
            assert!(script.contains(word), "{word}");
        }
        assert!(script.contains("--until-done") && script.contains("--full"));
    }

    #[test]
    fn a_route_is_named_as_in_kubectl() {
        for text in [
            "serviceb",
            "route/serviceb",
            "Routes/serviceb",
            "routes.fleetmesh.dev/serviceb",
            "froute/serviceb",
        ] {
            assert_eq!(route_name(text).unwrap(), "serviceb", "{text}");
        }
        for text in ["", "route/", "pod/serviceb", "a/b/c", "route/a/b", "ServiceB", "a b", "../x"] {
            assert!(route_name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn options_are_kubectls() {
        let CanaryCommand::Status(args) =
            parse("status route/b -n apps --context c -w -o json --history").unwrap()
        else {
            panic!("status")
        };
        assert_eq!(args.route.cluster.namespace.as_deref(), Some("apps"));
        assert!(args.watch && args.history && args.output == Format::Json);
        let CanaryCommand::Promote(args) = parse("promote b --full --timeout 1m --kubeconfig f").unwrap()
        else {
            panic!("promote")
        };
        assert!(args.full && args.verb.timeout == Duration::from_secs(60));
        let of = |line: &str| match parse(line) {
            Ok(CanaryCommand::Pause(args)) => args.route.cluster.kubeconfig(),
            other => panic!("{other:?}"),
        };
        assert_eq!(of("pause b --data-dir d"), Some("d/kubeconfig".into()));
        assert_eq!(of("pause b --data-dir d --kubeconfig f"), Some("f".into()));
        for wrong in
            ["status", "status b --timeout 5s", "promote b c", "abort pod/b", "status b -o yaml", "x b"]
        {
            assert_eq!(parse(wrong).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }
}
