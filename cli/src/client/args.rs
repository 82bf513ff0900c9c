//! The flags of each command, named as kubectl names its own.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use fleetmesh_client::{
    ApplyOptions, Cascade, Command, Condition, DeleteOptions, DescribeOptions, DiffOptions, EventsOptions,
    FIELD_MANAGER, GetOptions, Place, WaitOptions,
};
use fleetmesh_kubectl::PlaceArgs;

use super::selection::{self, FileArgs, Form, LabelArgs, QueryArgs, time};

/// kubectl's commands.
#[derive(Clone, Debug, Subcommand)]
pub enum ClientCommand {
    /// Make objects be as manifests have them, by server-side apply
    Apply(Box<ApplyArgs>),
    /// Show objects
    Get(Box<GetArgs>),
    /// Show objects and their Events in words
    Describe(Box<DescribeArgs>),
    /// Delete objects, and wait until they are gone
    Delete(Box<DeleteArgs>),
    /// Show Events, the last at the end
    Events(Box<EventsArgs>),
    /// Wait until objects are as they should be
    Wait(Box<WaitArgs>),
    /// Show what applying manifests would change
    ///
    /// Exit status: 0 no difference, 1 a difference, 2 it could not be found out. KUBECTL_EXTERNAL_DIFF names another program than
    /// diff -u -N.
    Diff(Box<DiffArgs>),
}

/// The arguments of `apply`.
#[derive(Args, Clone, Debug)]
pub struct ApplyArgs {
    #[command(flatten)]
    pub files: FileArgs,

    #[command(flatten)]
    pub labels: LabelArgs,

    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    pub output: Form,

    /// Take over members that others manage
    #[arg(long)]
    pub force_conflicts: bool,

    /// The name that what is applied is managed under
    #[arg(long, value_name = "NAME", default_value = FIELD_MANAGER)]
    pub field_manager: String,

    /// Whether the API stores it (none) or only says what it would be (server)
    #[arg(long, value_enum, default_value_t = DryRun::None)]
    pub dry_run: DryRun,

    /// What is done about unknown members
    #[arg(long, value_enum, default_value_t = Validate::Strict)]
    pub validate: Validate,

    /// Show in JSON and YAML who manages what
    #[arg(long)]
    pub show_managed_fields: bool,

    // kubectl's name for what is always done here.
    #[arg(long, hide = true)]
    pub server_side: bool,

    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Whether something is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// It is stored
    None,
    /// It is only checked
    Server,
}

/// What is done about unknown members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Validate {
    /// They are an error
    Strict,
    /// There is a warning
    Warn,
    /// Nothing
    Ignore,
}

/// The arguments of `get`.
#[derive(Args, Clone, Debug)]
pub struct GetArgs {
    #[command(flatten)]
    pub query: QueryArgs,

    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    pub output: Form,

    /// Leave out the headers of tables
    #[arg(long)]
    pub no_headers: bool,

    /// Show labels as the last column of tables
    #[arg(long)]
    pub show_labels: bool,

    /// Show in JSON and YAML who manages what
    #[arg(long)]
    pub show_managed_fields: bool,

    /// An object that is not there is no error
    #[arg(long)]
    pub ignore_not_found: bool,

    /// Stay, and show each change; ends on Ctrl-C
    #[arg(short, long)]
    pub watch: bool,

    #[command(flatten)]
    pub place: PlaceArgs,
}

/// The arguments of `describe`.
#[derive(Args, Clone, Debug)]
pub struct DescribeArgs {
    #[command(flatten)]
    pub query: QueryArgs,

    /// Whether Events are shown; by default those of an only object
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub show_events: Option<bool>,

    #[command(flatten)]
    pub place: PlaceArgs,
}

/// The arguments of `delete`.
#[derive(Args, Clone, Debug)]
pub struct DeleteArgs {
    #[command(flatten)]
    pub query: QueryArgs,

    /// All objects of the type
    #[arg(long)]
    pub all: bool,

    /// Print names only: -o name
    #[arg(short, long, value_enum)]
    pub output: Option<NameForm>,

    /// An object that is not there is no error
    #[arg(long)]
    pub ignore_not_found: bool,

    /// What becomes of what the objects own
    #[arg(long, value_enum, default_value_t = CascadeArg::Background)]
    pub cascade: CascadeArg,

    /// Whether the API deletes (none) or only says what it would do (server)
    #[arg(long, value_enum, default_value_t = DryRun::None)]
    pub dry_run: DryRun,

    /// Whether to wait until they are gone
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = true)]
    #[arg(action = clap::ArgAction::Set)]
    pub wait: bool,

    /// How long to wait; 0 is a week
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = time, allow_hyphen_values = true)]
    pub timeout: Duration,

    #[command(flatten)]
    pub place: PlaceArgs,
}

/// The only other form of `delete`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NameForm {
    /// KIND.GROUP/NAME
    Name,
}

/// What becomes of what an object owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CascadeArg {
    /// It is deleted afterwards
    Background,
    /// It is deleted before
    Foreground,
    /// It stays
    Orphan,
}

/// The arguments of `events`.
#[derive(Args, Clone, Debug)]
pub struct EventsArgs {
    /// Only those about this object
    #[arg(long = "for", value_name = "TYPE/NAME")]
    pub about: Option<String>,

    /// Only those of these types: Normal, Warning
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    pub types: Vec<String>,

    /// In all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,

    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    pub output: Form,

    /// Leave out the headers
    #[arg(long)]
    pub no_headers: bool,

    /// Stay, and show each that comes; ends on Ctrl-C
    #[arg(short, long)]
    pub watch: bool,

    #[command(flatten)]
    pub place: PlaceArgs,
}

/// The arguments of `wait`.
#[derive(Args, Clone, Debug)]
pub struct WaitArgs {
    #[command(flatten)]
    pub query: QueryArgs,

    /// All objects of the type
    #[arg(long)]
    pub all: bool,

    /// What to wait for: create, delete, condition=NAME, condition=NAME=VALUE, jsonpath={PATH}, jsonpath={PATH}=VALUE; several are
    /// waited for one after the other
    #[arg(long = "for", value_name = "CONDITION", required = true)]
    pub conditions: Vec<Condition>,

    /// How long at most; 0 looks once, a negative time is a week
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time, allow_hyphen_values = true)]
    pub timeout: Duration,

    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    pub output: Form,

    #[command(flatten)]
    pub place: PlaceArgs,
}

/// The arguments of `diff`.
#[derive(Args, Clone, Debug)]
pub struct DiffArgs {
    #[command(flatten)]
    pub files: FileArgs,

    #[command(flatten)]
    pub labels: LabelArgs,

    /// Take over members that others manage
    #[arg(long)]
    pub force_conflicts: bool,

    /// The name that it would be managed under
    #[arg(long, value_name = "NAME", default_value = FIELD_MANAGER)]
    pub field_manager: String,

    /// Show who manages what
    #[arg(long)]
    pub show_managed_fields: bool,

    // kubectl's name for what is always done here.
    #[arg(long, hide = true)]
    pub server_side: bool,

    // In kubectl's own variable.
    #[arg(long, hide = true, env = "KUBECTL_EXTERNAL_DIFF")]
    pub program: Option<String>,

    #[command(flatten)]
    pub place: PlaceArgs,
}

impl ClientCommand {
    /// Which API, and what is asked of it.
    pub fn parts(self) -> (Place, Command) {
        match self {
            Self::Apply(args) => (selection::place(&args.place), Command::Apply((*args).into())),
            Self::Get(args) => (selection::place(&args.place), Command::Get((*args).into())),
            Self::Describe(args) => {
                let DescribeArgs { query, show_events, place } = *args;
                let options = DescribeOptions { query: query.query(false), events: show_events };
                (selection::place(&place), Command::Describe(options))
            }
            Self::Delete(args) => (selection::place(&args.place), Command::Delete((*args).into())),
            Self::Events(args) => (selection::place(&args.place), Command::Events((*args).into())),
            Self::Wait(args) => {
                let WaitArgs { query, all, conditions, timeout, output, place } = *args;
                let options =
                    WaitOptions { query: query.query(all), conditions, timeout, output: output.into() };
                (selection::place(&place), Command::Wait(options))
            }
            Self::Diff(args) => (selection::place(&args.place), Command::Diff((*args).into())),
        }
    }
}

impl From<ApplyArgs> for ApplyOptions {
    fn from(args: ApplyArgs) -> Self {
        let validation = match args.validate {
            Validate::Strict => "Strict",
            Validate::Warn => "Warn",
            Validate::Ignore => "Ignore",
        };
        Self {
            files: args.files.into(),
            labels: args.labels.labels,
            output: args.output.into(),
            field_manager: args.field_manager,
            force_conflicts: args.force_conflicts,
            dry_run: args.dry_run == DryRun::Server,
            validation: validation.to_owned(),
            show_managed_fields: args.show_managed_fields,
        }
    }
}

impl From<GetArgs> for GetOptions {
    fn from(args: GetArgs) -> Self {
        Self {
            query: args.query.query(false),
            output: args.output.into(),
            no_headers: args.no_headers,
            show_labels: args.show_labels,
            show_managed_fields: args.show_managed_fields,
            ignore_not_found: args.ignore_not_found,
            watch: args.watch,
        }
    }
}

impl From<DeleteArgs> for DeleteOptions {
    fn from(args: DeleteArgs) -> Self {
        let cascade = match args.cascade {
            CascadeArg::Background => Cascade::Background,
            CascadeArg::Foreground => Cascade::Foreground,
            CascadeArg::Orphan => Cascade::Orphan,
        };
        Self {
            query: args.query.query(args.all),
            names: args.output.is_some(),
            ignore_not_found: args.ignore_not_found,
            cascade,
            dry_run: args.dry_run == DryRun::Server,
            no_wait: !args.wait,
            timeout: args.timeout,
        }
    }
}

impl From<EventsArgs> for EventsOptions {
    fn from(args: EventsArgs) -> Self {
        Self {
            all_namespaces: args.all_namespaces,
            about: args.about,
            types: args.types,
            output: args.output.into(),
            no_headers: args.no_headers,
            watch: args.watch,
        }
    }
}

impl From<DiffArgs> for DiffOptions {
    fn from(args: DiffArgs) -> Self {
        Self {
            files: args.files.into(),
            labels: args.labels.labels,
            field_manager: args.field_manager,
            force_conflicts: args.force_conflicts,
            show_managed_fields: args.show_managed_fields,
            program: args.program,
        }
    }
}
