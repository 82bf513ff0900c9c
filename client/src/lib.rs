//! kubectl's commands for hosts without kubectl: apply, get, describe, delete, events, wait and diff, with its words and exit statuses;
//! and what is exported from one API to another.
//!
//! They ask the Kubernetes API, which also makes the tables, and know no kind of their own. What is written is applied on the server's
//! side, under a field manager of this program.
//!
//! `table`, `tabs`, `yaml`, `json`, `describe`, `event`, `resources`, `arguments`, `manifest` and `condition` are pure; [`session`] and
//! the commands do I/O. Nothing here reads a command line: that is the embedding program's, and so are the streams.

mod addresses;
mod apply;
mod arguments;
mod condition;
mod delete;
mod describe;
mod diff;
mod error;
mod event;
mod events;
mod export;
mod fetch;
mod files;
mod get;
mod json;
mod manifest;
mod output;
mod resources;
mod session;
mod status;
mod survey;
mod table;
mod tabs;
mod wait;
mod yaml;

pub use addresses::{AddressesError, addresses};
pub use apply::ApplyOptions;
pub use condition::{Condition, ConditionError};
pub use delete::{Cascade, DeleteOptions};
pub use describe::DescribeOptions;
pub use diff::DiffOptions;
pub use error::Error;
pub use events::EventsOptions;
pub use export::{Export, ExportFile, ExportOptions, export};
pub use fetch::Query;
pub use files::FileOptions;
pub use get::GetOptions;
pub use output::Output;
pub use session::{Place, Session, Streams};
pub use survey::{Greeting, SurveyError, Surveyed};
pub use wait::WaitOptions;

/// The name that what is applied is managed under, unless another one is given.
pub const FIELD_MANAGER: &str = "fleetmesh";

/// A command with its options.
#[derive(Clone, Debug)]
pub enum Command {
    /// Make objects be as files have them.
    Apply(ApplyOptions),
    /// Show objects.
    Get(GetOptions),
    /// Show objects with their Events, for people.
    Describe(DescribeOptions),
    /// Delete objects.
    Delete(DeleteOptions),
    /// Show Events.
    Events(EventsOptions),
    /// Wait for objects to be as they should.
    Wait(WaitOptions),
    /// Show what applying files would change.
    Diff(DiffOptions),
}

impl Command {
    /// Runs the command to its end.
    ///
    /// # Errors
    /// It was not done; [`Error::shown`] is what to print, and [`Error::code`] the exit status.
    pub async fn run(self, place: &Place, streams: Streams<'_>) -> Result<(), Error> {
        // A difference is 1 already.
        let is_diff = matches!(self, Self::Diff(_));
        let run = async {
            let mut session = Session::open(place, streams).await?;
            match self {
                Self::Apply(options) => apply::run(&mut session, &options).await,
                Self::Get(options) => get::run(&mut session, &options).await,
                Self::Describe(options) => describe::run(&mut session, &options).await,
                Self::Delete(options) => delete::run(&mut session, &options).await,
                Self::Events(options) => events::run(&mut session, &options).await,
                Self::Wait(options) => wait::run(&mut session, &options).await,
                Self::Diff(options) => diff::run(&mut session, &options).await,
            }
        };
        run.await.map_err(|error: Error| if is_diff { error.of_diff() } else { error })
    }
}
