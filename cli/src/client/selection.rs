//! The flags that several commands share: which API, which objects, and in which form.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use fleetmesh_client::{FileOptions, Output, Place, Query};
use fleetmesh_kubectl::PlaceArgs;

/// As long as kubectl waits for a negative time.
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The API that `args` name.
pub fn place(args: &PlaceArgs) -> Place {
    let PlaceArgs { namespace, context, .. } = args;
    Place { kubeconfig: args.kubeconfig(), context: context.clone(), namespace: namespace.clone() }
}

/// Which files.
#[derive(Args, Clone, Debug, Default)]
pub struct FileArgs {
    /// A manifest, a folder of manifests, or - for standard input; may be repeated
    #[arg(short, long = "filename", value_name = "FILE", value_delimiter = ',')]
    pub filenames: Vec<PathBuf>,

    /// Read the folders in folders, too
    #[arg(short = 'R', long)]
    pub recursive: bool,
}

impl From<FileArgs> for FileOptions {
    fn from(args: FileArgs) -> Self {
        Self { paths: args.filenames, recursive: args.recursive }
    }
}

/// Which labels.
#[derive(Args, Clone, Debug, Default)]
pub struct LabelArgs {
    /// Only what has these labels, for example app=web,tier!=back
    #[arg(
        short = 'l',
        long = "selector",
        value_name = "LABELS",
        default_value = "",
        hide_default_value = true
    )]
    pub labels: String,
}

/// Which objects.
#[derive(Args, Clone, Debug, Default)]
pub struct QueryArgs {
    /// TYPE, TYPE NAME..., TYPE/NAME..., or TYPE,TYPE
    #[arg(value_name = "TYPE/NAME")]
    pub arguments: Vec<String>,

    #[command(flatten)]
    pub files: FileArgs,

    #[command(flatten)]
    pub labels: LabelArgs,

    /// Only what has these fields, for example metadata.name=apps
    #[arg(long = "field-selector", value_name = "FIELDS", default_value = "", hide_default_value = true)]
    pub fields: String,

    /// In all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
}

impl QueryArgs {
    /// As the client has it; `all` is whether a type alone means all of it.
    pub fn query(self, all: bool) -> Query {
        let Self { arguments, files, labels, fields, all_namespaces } = self;
        Query { arguments, files: files.into(), labels: labels.labels, fields, all_namespaces, all }
    }
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people
    #[default]
    Table,
    /// A table with all columns
    Wide,
    /// KIND.GROUP/NAME
    Name,
    /// JSON
    Json,
    /// YAML
    Yaml,
}

impl From<Form> for Output {
    fn from(form: Form) -> Self {
        match form {
            Form::Table => Self::Table,
            Form::Wide => Self::Wide,
            Form::Name => Self::Name,
            Form::Json => Self::Json,
            Form::Yaml => Self::Yaml,
        }
    }
}

/// A time such as 30s; a negative one is a week.
pub fn time(text: &str) -> Result<Duration, humantime::DurationError> {
    match text {
        "0" => Ok(Duration::ZERO),
        negative if negative.starts_with('-') => Ok(WEEK),
        text => humantime::parse_duration(text),
    }
}
